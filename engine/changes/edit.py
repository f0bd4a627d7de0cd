"""A change of values: an assignment or an update, the same to every row or each its own."""

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
from engine.changes.rows import lock_rows, write_rows
from engine.input.fields import fields_of, find_ids, plain
from engine.input.tour_nesting import nested_tours
from engine.records.conflicts import conflict, stale
from engine.records.intake_warnings import drop_warnings
from models.base import kinds


class ValueChange(Change):
    """A change of values, checked as one, and recorded with what was before and after."""

    def __init__(self, operation: Row[Any]) -> None:
        """Take over which fields there are; what speaks against values is asked later."""
        super().__init__(operation)
        self._model = kinds()[operation.kind]
        self._fields = fields_of(self._model)
        self._checks = self._model.checks
        self._gone: dict[tuple[str, int], Reason] = {}
        self._nested: dict[int, Reason] = {}

    @abstractmethod
    def values_of(self, row_id: int) -> Mapping[str, Any]:
        """Return what is to be written to a row, as the columns hold it, by field."""

    def changes_of(self, row: Row[Any]) -> dict[str, dict[str, Any]]:
        """Return what would change of a locked row: before and after, by field."""
        return {
            name: {"before": plain(getattr(row, name)), "after": plain(value)}
            for name, value in self.values_of(row.id).items()
            if getattr(row, name) != value
        }

    def against(self, row: Row[Any]) -> list[Reason]:
        """Return why a locked row can't get its values; the look-ups come before."""
        values = self.values_of(row.id)
        frozen = no_change(self._model.machine, row.state, values)
        gone = [self._gone[each] for each in self._named(values) if each in self._gone]
        reasons = (frozen, *gone, self._nested.get(row.id), *self._broken(row))
        return [each for each in reasons if each is not None]

    def look_up_references(self, db: Connection, given: Iterable[Mapping[str, Any]]) -> None:
        """Ask which records that values name were deleted meanwhile."""
        by_type: dict[str, set[int]] = defaultdict(set)
        for resource_type, value in (each for values in given for each in self._named(values)):
            by_type[resource_type].add(value)
        tenant_id = self.operation.tenant_id
        there = {
            resource_type: find_ids(db, tenant_id, resource_type, ids)[0]
            for resource_type, ids in by_type.items()
        }
        self._gone |= {
            (resource_type, value): Reason("not_found", f"No {resource_type} {value}")
            for resource_type, ids in by_type.items()
            for value in ids - there[resource_type].keys()
        }

    def look_up_tours(
        self, db: Connection, rows: Iterable[Row[Any]], beside: Iterable[int] = ()
    ) -> None:
        """Ask which locked rows would stand in a tour within a tour; *beside* are written, too."""
        locked = [each.id for each in rows]
        written = {each: self.values_of(each) for each in (*beside, *locked)}
        tenant_id = self.operation.tenant_id
        self._nested |= nested_tours(db, tenant_id, self._model, written, locked)

    def log(self, db: Connection, outcomes: Outcomes, now: datetime, measured: Measured) -> None:
        """Record every update with what was before and after, done and refused."""
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

    def drop_answered(self, db: Connection, outcomes: Outcomes, now: datetime) -> None:
        """Drop the warnings that written rows have answered."""
        ids = [each.id for each in outcomes.passed]
        drop_warnings(db, self._model, self.operation.tenant_id, ids, now)

    def _named(self, values: Mapping[str, Any]) -> list[tuple[str, int]]:
        """Return the records that values name, by resource type and id."""
        resource_types = ((self._fields[name].refers_to, value) for name, value in values.items())
        return [
            (resource_type, value)
            for resource_type, value in resource_types
            if resource_type and value is not None
        ]

    def _broken(self, row: Row[Any]) -> Iterable[Reason]:
        values = {**row._mapping, **self.values_of(row.id)} if self._checks else {}
        for check in self._checks:
            if not check.holds(values):
                got = plain(values[check.field])
                told = f"{check.field}: got {got!r}, expected {check.expected}"
                yield Reason("invalid_input", told)


class Edit(ValueChange):
    """The operation's values are written to rows that don't have them yet.

    Rows of a file have values of their own beside them, or in their place.
    """

    def __init__(self, operation: Row[Any]) -> None:
        """Take the values out of the operation, as the columns hold them."""
        super().__init__(operation)
        self._is_looked_up = False
        self._values = {
            name: None if value is None else self._fields[name].parse(value)
            for name, value in operation.changes.items()
        }
        self._own: dict[int, dict[str, Any]] = {}
        self._names = dict.fromkeys(self._values)
        # All of them from the beginning: rows of every slice are read with all that is written.
        for told in (operation.inputs or {}).values():
            self._names |= dict.fromkeys((told or {}).get("values") or {})

    @property
    def permission(self) -> str:
        """Return the permission that the actor needs, e.g. `ticket.assign`."""
        return f"{self.operation.kind}.{self.operation.verb}"

    def lock(self, db: Connection, ids: Sequence[int]) -> tuple[Sequence[Row[Any]], set[int]]:
        """Lock rows with what they hold now in the columns that are written, or checked."""
        operation = self.operation
        self._read_own(ids)
        if not self._is_looked_up or self._own:
            self._is_looked_up = True
            own = (self._own[each] for each in ids if each in self._own)
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
        """Judge locked rows: permission, version, whether they may change, whether they would."""
        outcomes = Outcomes()
        machine = self._model.machine
        denied = self._denied()
        for row in rows:
            outcomes.versions[row.id] = row.version
            wanted = expected.get(row.id) if expected else None
            if denied is not None:
                # Before anything else: a conflict would show what the row holds.
                frozen = no_change(machine, row.state, self.values_of(row.id))
                outcomes.refuse(row, [denied, *([frozen] if frozen else [])])
            elif wanted is not None and wanted != row.version:
                changes = self.changes_of(row)
                told = conflict(wanted, row.version, state=row.state, changes=changes)
                outcomes.refuse(row, [stale(wanted, row.version, row.state)], **told)
            elif reasons := self.against(row):
                outcomes.refuse(row, reasons)
            elif not self.changes_of(row):
                outcomes.outcomes[row.id] = Outcome.SKIPPED
            else:
                outcomes.outcomes[row.id] = Outcome.SUCCEEDED
                outcomes.passed.append(row)
        outcomes.miss(ids, machine.kind)
        return outcomes

    def write(self, db: Connection, outcomes: Outcomes, now: datetime) -> None:
        """Write the values to the rows that passed; warnings that they answer go."""
        operation = self.operation
        own = None
        if self._own:
            written = [{**row._mapping, **self.values_of(row.id)} for row in outcomes.passed]
            own = {name: [each[name] for each in written] for name in self._names}
        write_rows(
            db,
            operation.kind,
            outcomes,
            {} if own else self._values,
            own=own,
            actor_id=operation.actor_id,
            now=now,
        )
        self.drop_answered(db, outcomes, now)

    def required(self, rows: Iterable[Row[Any]]) -> set[str]:
        """Return the one permission of the verb."""
        return {self.permission}

    def _denied(self) -> Reason | None:
        if self.by_system or self.permission in self.permissions:
            return None
        return Reason("permission_denied", f"The permission {self.permission} is needed")

    def _read_own(self, ids: Sequence[int]) -> None:
        """Take the rows' own values, as the columns hold them."""
        for row_id in ids if self.operation.inputs else ():
            told = (self.operation.inputs.get(str(row_id)) or {}).get("values") or {}
            self._own[row_id] = self._values | {
                name: None if value is None else self._fields[name].parse(value)
                for name, value in told.items()
            }

    def values_of(self, row_id: int) -> dict[str, Any]:
        """Return the values of a row: its own, or those of the operation."""
        return self._own.get(row_id, self._values)
