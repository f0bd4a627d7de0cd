"""Edits: assign or update fields of locked rows, with the same values for all or each its own."""

import json
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from domain.bulk import Outcome
from domain.machines.machine import Reason, no_change
from engine.audit.outbox import Measured, log_entity_updated
from engine.changes.change import Change
from engine.changes.outcomes import Outcomes
from engine.changes.versioned_rows import lock_rows, write_rows
from engine.input.fields import fields_of, find_ids, plain
from engine.input.tour_nesting import nested_tours
from engine.records.conflicts import conflict, stale
from engine.records.intake_warnings import drop_warnings
from models.base import kinds


class ValueChange(Change):
    """The common part of edits and of their undo: check, write and record changes of fields."""

    def __init__(self, operation: Row[Any]) -> None:
        """Take the fields from the operation's kind; values are checked once rows are locked."""
        super().__init__(operation)
        self._model = kinds()[operation.kind]
        self._fields = fields_of(self._model)
        self._checks = self._model.checks
        self._missing_references: dict[tuple[str, int], Reason] = {}
        self._nested_tours: dict[int, Reason] = {}

    @abstractmethod
    def values_of(self, row_id: int) -> Mapping[str, Any]:
        """Return the values to write to a row, by field, as its columns hold them."""

    def changes_of(self, row: Row[Any]) -> dict[str, dict[str, Any]]:
        """Return what would change in a locked row: before and after, by field."""
        return {
            name: {"before": plain(getattr(row, name)), "after": plain(value)}
            for name, value in self.values_of(row.id).items()
            if getattr(row, name) != value
        }

    def reasons_against(self, row: Row[Any]) -> list[Reason]:
        """Return why a locked row can't get its values; look up references and tours first."""
        values = self.values_of(row.id)
        not_editable = no_change(self._model.machine, row.state, values)
        gone = [
            self._missing_references[reference]
            for reference in self._references_in(values)
            if reference in self._missing_references
        ]
        reasons = (not_editable, *gone, self._nested_tours.get(row.id), *self._broken_checks(row))
        return [reason for reason in reasons if reason is not None]

    def look_up_references(
        self, db: Connection, rows_of_values: Iterable[Mapping[str, Any]]
    ) -> None:
        """Look up which records that values refer to were deleted meanwhile."""
        by_type: dict[str, set[int]] = defaultdict(set)
        for resource_type, value in (
            reference for values in rows_of_values for reference in self._references_in(values)
        ):
            by_type[resource_type].add(value)
        tenant_id = self.operation.tenant_id
        existing = {
            resource_type: find_ids(db, tenant_id, resource_type, ids)[0]
            for resource_type, ids in by_type.items()
        }
        self._missing_references |= {
            (resource_type, value): Reason("not_found", f"No {resource_type} {value}")
            for resource_type, ids in by_type.items()
            for value in ids - existing[resource_type].keys()
        }

    def look_up_tours(
        self, db: Connection, rows: Iterable[Row[Any]], beside: Iterable[int] = ()
    ) -> None:
        """Look up which locked rows would be a tour within a tour; *beside* are written as well."""
        locked = [row.id for row in rows]
        written = {row_id: self.values_of(row_id) for row_id in (*beside, *locked)}
        tenant_id = self.operation.tenant_id
        self._nested_tours |= nested_tours(db, tenant_id, self._model, written, locked)

    def log(self, db: Connection, outcomes: Outcomes, now: datetime, measured: Measured) -> None:
        """Record every update, done and refused, with the values before and after."""
        log_entity_updated(
            db,
            operation=self.operation,
            passed=outcomes.passed,
            refused=outcomes.refused,
            failures=outcomes.failures,
            changes=[
                json.dumps(self.changes_of(row)) for row in (*outcomes.passed, *outcomes.refused)
            ],
            now=now,
            measured=measured,
        )

    def drop_answered_warnings(self, db: Connection, outcomes: Outcomes, now: datetime) -> None:
        """Drop the intake warnings of written rows that their new values resolve."""
        ids = [row.id for row in outcomes.passed]
        drop_warnings(db, self._model, self.operation.tenant_id, ids, now)

    def _references_in(self, values: Mapping[str, Any]) -> list[tuple[str, int]]:
        """Return the records that values refer to, as pairs of resource type and id."""
        resource_types = ((self._fields[name].refers_to, value) for name, value in values.items())
        return [
            (resource_type, value)
            for resource_type, value in resource_types
            if resource_type and value is not None
        ]

    def _broken_checks(self, row: Row[Any]) -> Iterable[Reason]:
        values = {**row._mapping, **self.values_of(row.id)} if self._checks else {}
        for check in self._checks:
            if not check.holds(values):
                got = plain(values[check.field])
                message = f"{check.field}: got {got!r}, expected {check.expected}"
                yield Reason("invalid_input", message)


class Edit(ValueChange):
    """A change that writes the operation's values to rows that don't have them yet.

    Rows of a row file have values of their own, besides the operation's or instead of them.
    """

    def __init__(self, operation: Row[Any]) -> None:
        """Parse the operation's values, as the columns hold them."""
        super().__init__(operation)
        self._is_looked_up = False
        self._values = {
            name: None if value is None else self._fields[name].parse(value)
            for name, value in operation.changes.items()
        }
        self._own: dict[int, dict[str, Any]] = {}
        self._names = dict.fromkeys(self._values)
        # The fields of all rows, not of one slice: each slice reads all columns that are written.
        for row_input in (operation.inputs or {}).values():
            self._names |= dict.fromkeys((row_input or {}).get("values") or {})

    @property
    def permission(self) -> str:
        """Return the permission that the actor needs, e.g. `ticket.assign`."""
        return f"{self.operation.kind}.{self.operation.verb}"

    def lock(self, db: Connection, ids: Sequence[int]) -> tuple[Sequence[Row[Any]], set[int]]:
        """Lock rows, and read the present values of the columns that are written or checked."""
        operation = self.operation
        self._read_own(ids)
        if not self._is_looked_up or self._own:
            self._is_looked_up = True
            own = (self._own[row_id] for row_id in ids if row_id in self._own)
            self.look_up_references(db, (self._values, *own))
        names = tuple(self._fields) if self._checks else tuple(self._names)
        rows, held = lock_rows(db, operation.kind, operation.tenant_id, ids, names)
        self.look_up_tours(db, rows)
        return rows, held

    def judge(
        self,
        rows: Iterable[Row[Any]],
        ids: Iterable[int],
        expected: Mapping[int, int],
        now: datetime,
    ) -> Outcomes:
        """Judge locked rows: permission, version, rules, and whether anything would change."""
        outcomes = Outcomes()
        machine = self._model.machine
        denied = self._denial()
        for row in rows:
            outcomes.versions[row.id] = row.version
            expected_version = expected.get(row.id) if expected else None
            if denied is not None:
                # Checked before the version: a conflict would show what the row holds.
                not_editable = no_change(machine, row.state, self.values_of(row.id))
                outcomes.refuse(row, [denied, *([not_editable] if not_editable else [])])
            elif expected_version is not None and expected_version != row.version:
                changes = self.changes_of(row)
                facts = conflict(expected_version, row.version, state=row.state, changes=changes)
                outcomes.refuse(row, [stale(expected_version, row.version, row.state)], **facts)
            elif reasons := self.reasons_against(row):
                outcomes.refuse(row, reasons)
            elif not self.changes_of(row):
                outcomes.outcomes[row.id] = Outcome.SKIPPED
            else:
                outcomes.outcomes[row.id] = Outcome.SUCCEEDED
                outcomes.passed.append(row)
        outcomes.fail_missing(ids, machine.kind)
        return outcomes

    def write(self, db: Connection, outcomes: Outcomes, now: datetime) -> None:
        """Write the values to the rows that passed, and drop the warnings that they resolve."""
        operation = self.operation
        own = None
        if self._own:
            written = [{**row._mapping, **self.values_of(row.id)} for row in outcomes.passed]
            own = {name: [row[name] for row in written] for name in self._names}
        write_rows(
            db,
            operation.kind,
            outcomes,
            {} if own else self._values,
            own=own,
            actor_id=operation.actor_id,
            now=now,
        )
        self.drop_answered_warnings(db, outcomes, now)

    def required(self, rows: Iterable[Row[Any]]) -> set[str]:
        """Return the one permission of the verb."""
        return {self.permission}

    def _denial(self) -> Reason | None:
        if self.by_system or self.permission in self.permissions:
            return None
        return Reason("permission_denied", f"The permission {self.permission} is needed")

    def _read_own(self, ids: Sequence[int]) -> None:
        """Parse the rows' own values, as the columns hold them."""
        for row_id in ids if self.operation.inputs else ():
            row_values = (self.operation.inputs.get(str(row_id)) or {}).get("values") or {}
            self._own[row_id] = self._values | {
                name: None if value is None else self._fields[name].parse(value)
                for name, value in row_values.items()
            }

    def values_of(self, row_id: int) -> dict[str, Any]:
        """Return the values of a row: its own, or those of the operation."""
        return self._own.get(row_id, self._values)
