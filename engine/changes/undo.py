"""Undo: give rows their former state or values back, if nobody changed them since the operation.

Former states and values are read from the operation's audit records, or from the outbox as long
as the records aren't written.
"""

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from domain.bulk import Outcome
from domain.machines.machine import Reason
from domain.redaction.masks import has_mask
from engine.audit.outbox import Measured, log_state_transition
from engine.changes.change import Change
from engine.changes.edit import ValueChange
from engine.changes.outcomes import Outcomes
from engine.changes.versioned_rows import lock_rows, write_rows
from engine.records.conflicts import conflict, stale
from models.base import ASSIGNED, kinds

_FORMER_STATES = text("""
SELECT a.entity_id, a.from_state FROM state_transition_audit a
 WHERE a.tenant_id = :tenant_id AND a.kind = :kind AND a.entity_id = ANY(:ids)
   AND a.correlation_id = :parent_id AND a.success
   AND a.occurred_at >= (SELECT started_at FROM operation WHERE id = :parent_id)
UNION ALL
SELECT i.id, i.from_state
  FROM outbox b, unnest(b.entity_ids, b.from_states, b.error_codes) AS i(id, from_state, error_code)
 WHERE b.tenant_id = :tenant_id AND b.record = 'state_transition' AND i.error_code IS NULL
   AND b.body ->> 'correlation_id' = CAST(:parent_id AS text) AND i.id = ANY(:ids)
""")

_FORMER_VALUES = text("""
SELECT a.entity_id, a.changes FROM audit_log a
 WHERE a.tenant_id = :tenant_id AND a.kind = :kind AND a.entity_id = ANY(:ids)
   AND a.correlation_id = :parent_id AND a.success AND a.event_type = 'UPDATED'
   AND a.occurred_at >= (SELECT started_at FROM operation WHERE id = :parent_id)
UNION ALL
SELECT i.id, CAST(i.changes AS jsonb)
  FROM outbox b, unnest(b.entity_ids, b.changes, b.error_codes) AS i(id, changes, error_code)
 WHERE b.tenant_id = :tenant_id AND b.record = 'audit_log' AND i.error_code IS NULL
   AND b.body ->> 'correlation_id' = CAST(:parent_id AS text) AND i.id = ANY(:ids)
""")

# A retry of an undo undoes the operation that the first undo was about.
_FIND_UNDONE_OPERATION = text("""
WITH RECURSIVE up AS (
  SELECT id, verb, parent_id FROM operation WHERE id = :parent_id AND tenant_id = :tenant_id
  UNION ALL
  SELECT o.id, o.verb, o.parent_id FROM up JOIN operation o ON o.id = up.parent_id
   WHERE up.verb = 'undo'
)
SELECT id FROM up WHERE verb <> 'undo'
""")

_NOT_RECORDED = Reason("not_recorded", "What it was before is not in the records any more")


_REDACTED = Reason(
    "redacted", "What it was before held personal data, which the records don't keep"
)


def undo_of(operation: Row[Any]) -> "Undo":
    """Return the undo of transitions, or of an edit if the operation has `changes`."""
    return UndoTransition(operation) if operation.changes is None else UndoEdit(operation)


class Undo(Change):
    """A change that makes rows what they were before, as a new version, if nobody changed them."""

    def __init__(self, operation: Row[Any]) -> None:
        """Take the actor from *operation*; former values are read when rows are locked."""
        super().__init__(operation)
        self.machine = kinds()[operation.kind].machine
        self.former: dict[int, Any] = {}
        self._undone_id: UUID | None = None

    def judge(
        self,
        rows: Iterable[Row[Any]],
        ids: Iterable[int],
        expected: Mapping[int, int],
        now: datetime,
    ) -> Outcomes:
        """Pass the rows that still have the version that was written, and that may go back."""
        outcomes = Outcomes()
        for row in rows:
            outcomes.versions[row.id] = row.version
            expected_version = expected.get(row.id, row.version)
            denied = self._denial(row)
            if denied is not None:
                outcomes.refuse(row, [denied])
            elif expected_version != row.version:
                facts = conflict(expected_version, row.version, state=row.state, changes={})
                outcomes.refuse(row, [stale(expected_version, row.version, row.state)], **facts)
            elif reasons := self.reasons_against(row):
                outcomes.refuse(row, reasons)
            else:
                outcomes.outcomes[row.id] = Outcome.SUCCEEDED
                outcomes.passed.append(row)
        outcomes.fail_missing(ids, self.machine.kind)
        return outcomes

    def read_former(self, db: Connection, ids: Sequence[int], query: Any) -> None:
        """Read what rows were before, by one of the queries of former states or values."""
        operation = self.operation
        of_tenant = {"tenant_id": operation.tenant_id, "parent_id": operation.parent_id}
        if self._undone_id is None:
            self._undone_id = db.scalar(_FIND_UNDONE_OPERATION, of_tenant)
        names = of_tenant | {"kind": operation.kind, "ids": list(ids), "parent_id": self._undone_id}
        self.former.update(dict(db.execute(query, names).all()))

    @abstractmethod
    def permission(self, row: Row[Any]) -> str | None:
        """Return the permission that the undone change of a row needed, if that is known."""

    def _denial(self, row: Row[Any]) -> Reason | None:
        needed = self.permission(row)
        if needed is None or self.by_system or needed in self.permissions:
            return None
        return Reason("permission_denied", f"The permission {needed} is needed")

    @abstractmethod
    def reasons_against(self, row: Row[Any]) -> list[Reason]:
        """Return why a row can't get its former state or values back."""

    def required(self, rows: Iterable[Row[Any]]) -> set[str]:
        """Return the permissions that the undone changes needed."""
        return {permission for permission in map(self.permission, rows) if permission is not None}


class UndoTransition(Undo):
    """An undo of transitions: rows go back to the states that they came from."""

    def lock(self, db: Connection, ids: Sequence[int]) -> tuple[Sequence[Row[Any]], set[int]]:
        """Lock rows, and read the states that they came from."""
        self.read_former(db, ids, _FORMER_STATES)
        return lock_rows(db, self.operation.kind, self.operation.tenant_id, ids, ())

    def permission(self, row: Row[Any]) -> str | None:
        """Return the permission of the arrow that is undone."""
        arrow = self._arrow(row)
        return None if arrow is None else self.machine.permission(arrow)

    def write(self, db: Connection, outcomes: Outcomes, now: datetime) -> None:
        """Write the former states, with one statement for each state."""
        operation = self.operation
        for state, passed in self._by_state(outcomes.passed).items():
            values = {"state": state, "state_since": now}
            group = replace(outcomes, passed=passed)
            write_rows(db, operation.kind, group, values, actor_id=operation.actor_id, now=now)

    def log(self, db: Connection, outcomes: Outcomes, now: datetime, measured: Measured) -> None:
        """Record every undone transition, done and refused, by the state that it leads to."""
        passed, refused = self._by_state(outcomes.passed), self._by_state(outcomes.refused)
        for state in passed.keys() | refused.keys():
            log_state_transition(
                db,
                operation=self.operation,
                passed=passed[state],
                refused=refused[state],
                failures=outcomes.failures,
                to_state=state,
                now=now,
                measured=measured,
            )

    def _arrow(self, row: Row[Any]) -> Any:
        former = self.former.get(row.id)
        return former and self.machine.transition(former, self.operation.target_state)

    def reasons_against(self, row: Row[Any]) -> list[Reason]:
        """Return that the former state isn't recorded, or that its arrow can't be undone."""
        arrow = self._arrow(row)
        if arrow is None:
            return [_NOT_RECORDED]
        if not arrow.undo:
            way = f"{arrow.source} to {arrow.target}"
            return [Reason("not_undoable", f"The way from {way} can't be taken back")]
        return []

    def _by_state(self, rows: Sequence[Row[Any]]) -> dict[str, list[Row[Any]]]:
        groups: dict[str, list[Row[Any]]] = defaultdict(list)
        for row in rows:
            groups[self.former.get(row.id, row.state)].append(row)
        return groups


class UndoEdit(ValueChange, Undo):
    """An undo of an edit: the fields that were written get their former values back."""

    def __init__(self, operation: Row[Any]) -> None:
        """Take the fields from the operation's kind; the records say which ones were written."""
        super().__init__(operation)
        self._names: dict[str, None] = {}
        self._before: dict[int, dict[str, Any]] | None = None

    def lock(self, db: Connection, ids: Sequence[int]) -> tuple[Sequence[Row[Any]], set[int]]:
        """Lock rows with the present values of all fields, and read the former values."""
        if self._before is None:
            self._before = self._read_before(db)
            self.look_up_references(db, self._before.values())
        operation = self.operation
        # All fields: rows of another slice may have changed in other fields.
        names = tuple(self._fields)
        rows, held = lock_rows(db, operation.kind, operation.tenant_id, ids, names)
        self.look_up_tours(db, rows, beside=self._before)
        return rows, held

    def permission(self, row: Row[Any]) -> str | None:
        """Return the permission of the undone verb, the same for all rows."""
        verb = "assign" if self._names.keys() <= set(ASSIGNED) else "update"
        return f"{self.operation.kind}.{verb}"

    def write(self, db: Connection, outcomes: Outcomes, now: datetime) -> None:
        """Write each row's former values, and drop the warnings that they resolve."""
        operation = self.operation
        written = [{**row._mapping, **self.values_of(row.id)} for row in outcomes.passed]
        own = {name: [row[name] for row in written] for name in self._names}
        write_rows(db, operation.kind, outcomes, {}, own=own, actor_id=operation.actor_id, now=now)
        self.drop_answered_warnings(db, outcomes, now)

    def reasons_against(self, row: Row[Any]) -> list[Reason]:
        """Return why a row can't get its former values back; they are checked like new ones."""
        if row.id not in self.former:
            return [_NOT_RECORDED]
        if any(has_mask(change["before"]) for change in self.former[row.id].values()):
            return [_REDACTED]
        return super().reasons_against(row)

    def values_of(self, row_id: int) -> Mapping[str, Any]:
        """Return the former values of the fields that the operation changed."""
        return (self._before or {}).get(row_id, {})

    def _read_before(self, db: Connection) -> dict[int, dict[str, Any]]:
        # For the whole chunk: whether a row may go back can depend on the others that go back.
        self.read_former(db, self.operation.ids, _FORMER_VALUES)
        for changed in self.former.values():
            self._names |= dict.fromkeys(changed)
        return {
            row_id: {
                name: self._parse(name, change["before"])
                for name, change in changed.items()
                if not has_mask(change["before"])
            }
            for row_id, changed in self.former.items()
        }

    def _parse(self, name: str, value: Any) -> Any:
        return None if value is None else self._fields[name].parse(value)
