"""A change of values: an assignment or an update, the same to every row or each its own."""

import json
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from domain.bulk import Outcome
from domain.machine import Reason, no_change
from engine.change import Change, Measured
from engine.fields import fields_of, find_ids, plain
from engine.judged import Judged, conflict, stale
from engine.outbox import log_entity_updated
from engine.rows import lock_rows, write_rows
from engine.tours import nested_tours
from engine.warnings import drop_warnings
from models.base import kinds


class ValueChange(Change):
    """A change of values, recorded with what was before and after."""

    @abstractmethod
    def changes_of(self, row: Row[Any]) -> dict[str, dict[str, Any]]:
        """Return what would change of a locked row: before and after, by field."""

    def log(self, db: Connection, judged: Judged, now: datetime, measured: Measured) -> None:
        """Record every update with what was before and after, done and refused."""
        log_entity_updated(
            db,
            operation=self.operation,
            passed=judged.passed,
            refused=judged.refused,
            failures=judged.failures,
            changes=[json.dumps(self.changes_of(row)) for row in (*judged.passed, *judged.refused)],
            now=now,
            measured=measured,
        )


class Edit(ValueChange):
    """The operation's values are written to rows that don't have them yet.

    Rows of a file have values of their own beside them, or in their place.
    """

    def __init__(self, operation: Row[Any]) -> None:
        """Take the values out of the operation, as the columns hold them."""
        super().__init__(operation)
        model = kinds()[operation.kind]
        self._checks = model.checks
        self._gone: dict[tuple[str, int], Reason] = {}
        self._is_looked_up = False
        self._nested: dict[int, Reason] = {}
        self._fields = fields_of(model)
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
            self._gone |= self._references_gone(db)
        names = tuple(self._fields) if self._checks else tuple(self._names)
        rows, held = lock_rows(db, operation.kind, operation.tenant_id, ids, names)
        locked = [each.id for each in rows]
        model = kinds()[operation.kind]
        self._nested |= nested_tours(db, operation.tenant_id, model, self._values, locked)
        return rows, held

    def judge(
        self,
        rows: Iterable[Row[Any]],
        ids: Iterable[int],
        expected: Mapping[int, int],
        now: datetime,
    ) -> Judged:
        """Judge locked rows: permission, version, whether they may change, whether they would."""
        judged = Judged()
        machine = kinds()[self.operation.kind].machine
        denied = self._denied()
        for row in rows:
            judged.versions[row.id] = row.version
            wanted = expected.get(row.id) if expected else None
            frozen = no_change(machine, row.state, self._values_of(row))
            if denied is not None:
                # Before anything else: a conflict would show what the row holds.
                judged.refuse(row, [denied, *([frozen] if frozen else [])])
            elif wanted is not None and wanted != row.version:
                changes = self.changes_of(row)
                told = conflict(wanted, row.version, state=row.state, changes=changes)
                judged.refuse(row, [stale(wanted, row.version, row.state)], **told)
            elif reasons := [*self._against(row, frozen), *self._broken(row)]:
                judged.refuse(row, reasons)
            elif not self.changes_of(row):
                judged.outcomes[row.id] = Outcome.SKIPPED
            else:
                judged.outcomes[row.id] = Outcome.SUCCEEDED
                judged.passed.append(row)
        judged.miss(ids, machine.kind)
        return judged

    def write(self, db: Connection, judged: Judged, now: datetime) -> None:
        """Write the values to the rows that passed; warnings that they answer go."""
        operation = self.operation
        own = None
        if self._own:
            written = [{**row._mapping, **self._values_of(row)} for row in judged.passed]
            own = {name: [each[name] for each in written] for name in self._names}
        write_rows(
            db,
            operation.kind,
            judged,
            {} if own else self._values,
            own=own,
            actor_id=operation.actor_id,
            now=now,
        )
        ids = [each.id for each in judged.passed]
        drop_warnings(db, kinds()[operation.kind], operation.tenant_id, ids, now)

    def required(self, rows: Iterable[Row[Any]]) -> set[str]:
        """Return the one permission of the verb."""
        return {self.permission}

    def _denied(self) -> Reason | None:
        if self.by_system or self.permission in self.permissions:
            return None
        return Reason("permission_denied", f"The permission {self.permission} is needed")

    def _against(self, row: Row[Any], frozen: Reason | None) -> list[Reason]:
        nested = self._nested.get(row.id)
        gone = [
            self._gone[each] for each in self._named(self._values_of(row)) if each in self._gone
        ]
        return [each for each in (frozen, *gone, nested) if each is not None]

    def _references_gone(self, db: Connection) -> dict[tuple[str, int], Reason]:
        """Return which records that the values name were deleted since it was submitted."""
        given = (self._values, *self._own.values())
        by_noun: dict[str, set[int]] = defaultdict(set)
        for noun, value in (each for values in given for each in self._named(values)):
            by_noun[noun].add(value)
        tenant_id = self.operation.tenant_id
        there = {noun: find_ids(db, tenant_id, noun, ids)[0] for noun, ids in by_noun.items()}
        return {
            (noun, value): Reason("not_found", f"No {noun} {value}")
            for noun, ids in by_noun.items()
            for value in ids - there[noun].keys()
        }

    def _named(self, values: Mapping[str, Any]) -> list[tuple[str, int]]:
        """Return the records that values name, by noun and id."""
        nouns = ((self._fields[name].refers_to, value) for name, value in values.items())
        return [(noun, value) for noun, value in nouns if noun and value is not None]

    def _read_own(self, ids: Sequence[int]) -> None:
        """Take the rows' own values, as the columns hold them."""
        for row_id in ids if self.operation.inputs else ():
            told = (self.operation.inputs.get(str(row_id)) or {}).get("values") or {}
            self._own[row_id] = self._values | {
                name: None if value is None else self._fields[name].parse(value)
                for name, value in told.items()
            }

    def _values_of(self, row: Row[Any]) -> dict[str, Any]:
        return self._own.get(row.id, self._values)

    def _broken(self, row: Row[Any]) -> Iterable[Reason]:
        values = {**row._mapping, **self._values_of(row)} if self._checks else {}
        for check in self._checks:
            if not check.holds(values):
                got = plain(values[check.field])
                told = f"{check.field}: got {got!r}, expected {check.expected}"
                yield Reason("invalid_input", told)

    def changes_of(self, row: Row[Any]) -> dict[str, dict[str, Any]]:
        """Return what the row's values would change."""
        return {
            name: {"before": plain(getattr(row, name)), "after": plain(value)}
            for name, value in self._values_of(row).items()
            if getattr(row, name) != value
        }
