"""Taking back: rows that are still as an operation left them become what they were before.

What they were is read from the records of that operation, and where these aren't written yet,
from the outbox.
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
from engine.changes.rows import lock_rows, write_rows
from engine.records.conflicts import conflict, stale
from models.base import ASSIGNED, kinds

_STATES = text("""
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

_VALUES = text("""
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

# An undo that is tried again takes back what the first one was to take back.
_ORIGIN = text("""
WITH RECURSIVE up AS (
  SELECT id, verb, parent_id FROM operation WHERE id = :parent_id AND tenant_id = :tenant_id
  UNION ALL
  SELECT o.id, o.verb, o.parent_id FROM up JOIN operation o ON o.id = up.parent_id
   WHERE up.verb = 'undo'
)
SELECT id FROM up WHERE verb <> 'undo'
""")

_FORGOTTEN = Reason("not_recorded", "What it was before is not in the records any more")


_REDACTED = Reason(
    "redacted", "What it was before held personal data, which the records don't keep"
)


def undo_of(operation: Row[Any]) -> "Undo":
    """Return the way back for what an operation is to undo; its `changes` tell which."""
    return UndoTransition(operation) if operation.changes is None else UndoEdit(operation)


class Undo(Change):
    """Rows become what they were before, as a new version; only where nobody changed them."""

    def __init__(self, operation: Row[Any]) -> None:
        """Take over who asks; what rows were is read when they are locked."""
        super().__init__(operation)
        self.machine = kinds()[operation.kind].machine
        self.former: dict[int, Any] = {}
        self._origin: UUID | None = None

    def judge(
        self,
        rows: Iterable[Row[Any]],
        ids: Iterable[int],
        expected: Mapping[int, int],
        now: datetime,
    ) -> Outcomes:
        """Let pass what is at the version that was written, and may go back."""
        outcomes = Outcomes()
        for row in rows:
            outcomes.versions[row.id] = row.version
            wanted = expected.get(row.id, row.version)
            denied = self._denied(row)
            if denied is not None:
                outcomes.refuse(row, [denied])
            elif wanted != row.version:
                told = conflict(wanted, row.version, state=row.state, changes={})
                outcomes.refuse(row, [stale(wanted, row.version, row.state)], **told)
            elif reasons := self.against(row):
                outcomes.refuse(row, reasons)
            else:
                outcomes.outcomes[row.id] = Outcome.SUCCEEDED
                outcomes.passed.append(row)
        outcomes.miss(ids, self.machine.kind)
        return outcomes

    def read_former(self, db: Connection, ids: Sequence[int], query: Any) -> None:
        """Read what rows were before."""
        operation = self.operation
        of_tenant = {"tenant_id": operation.tenant_id, "parent_id": operation.parent_id}
        if self._origin is None:
            self._origin = db.scalar(_ORIGIN, of_tenant)
        names = of_tenant | {"kind": operation.kind, "ids": list(ids), "parent_id": self._origin}
        self.former.update(dict(db.execute(query, names).all()))

    @abstractmethod
    def permission(self, row: Row[Any]) -> str | None:
        """Return the permission that the change of a row needed, if that is known."""

    def _denied(self, row: Row[Any]) -> Reason | None:
        needed = self.permission(row)
        if needed is None or self.by_system or needed in self.permissions:
            return None
        return Reason("permission_denied", f"The permission {needed} is needed")

    @abstractmethod
    def against(self, row: Row[Any]) -> list[Reason]:
        """Return why a row can't go back."""

    def required(self, rows: Iterable[Row[Any]]) -> set[str]:
        """Return the permissions that the changes needed."""
        return {each for each in map(self.permission, rows) if each is not None}


class UndoTransition(Undo):
    """Rows go back along the arrow that they came."""

    def lock(self, db: Connection, ids: Sequence[int]) -> tuple[Sequence[Row[Any]], set[int]]:
        """Lock rows, and read the states that they came from."""
        self.read_former(db, ids, _STATES)
        return lock_rows(db, self.operation.kind, self.operation.tenant_id, ids, ())

    def permission(self, row: Row[Any]) -> str | None:
        """Return the permission for the arrow that the row came."""
        arrow = self._arrow(row)
        return None if arrow is None else self.machine.permission(arrow)

    def write(self, db: Connection, outcomes: Outcomes, now: datetime) -> None:
        """Write the former states, one after the other."""
        operation = self.operation
        for state, passed in self._by_state(outcomes.passed).items():
            values = {"state": state, "state_since": now}
            group = replace(outcomes, passed=passed)
            write_rows(db, operation.kind, group, values, actor_id=operation.actor_id, now=now)

    def log(self, db: Connection, outcomes: Outcomes, now: datetime, measured: Measured) -> None:
        """Record every step back, done and refused, by the state that it leads to."""
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

    def against(self, row: Row[Any]) -> list[Reason]:
        """Return that nobody knows the way back, or that there is none."""
        arrow = self._arrow(row)
        if arrow is None:
            return [_FORGOTTEN]
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
    """The fields that were written hold again what they held before."""

    def __init__(self, operation: Row[Any]) -> None:
        """Take over what can be written; which fields were, the records tell."""
        super().__init__(operation)
        self._names: dict[str, None] = {}
        self._before: dict[int, dict[str, Any]] | None = None

    def lock(self, db: Connection, ids: Sequence[int]) -> tuple[Sequence[Row[Any]], set[int]]:
        """Lock rows with what the fields hold, and read what they held before."""
        if self._before is None:
            self._before = self._read_before(db)
            self.look_up_references(db, self._before.values())
        operation = self.operation
        # All of them: rows of another slice may have changed in other fields.
        names = tuple(self._fields)
        rows, held = lock_rows(db, operation.kind, operation.tenant_id, ids, names)
        self.look_up_tours(db, rows, beside=self._before)
        return rows, held

    def permission(self, row: Row[Any]) -> str | None:
        """Return the permission of the verb that is undone, the same for all rows."""
        verb = "assign" if self._names.keys() <= set(ASSIGNED) else "update"
        return f"{self.operation.kind}.{verb}"

    def write(self, db: Connection, outcomes: Outcomes, now: datetime) -> None:
        """Write the former values, each row its own; warnings that they answer go."""
        operation = self.operation
        written = [{**row._mapping, **self.values_of(row.id)} for row in outcomes.passed]
        own = {name: [each[name] for each in written] for name in self._names}
        write_rows(db, operation.kind, outcomes, {}, own=own, actor_id=operation.actor_id, now=now)
        self.drop_answered(db, outcomes, now)

    def against(self, row: Row[Any]) -> list[Reason]:
        """Return why a row can't have its former values again, as against any others."""
        if row.id not in self.former:
            return [_FORGOTTEN]
        if any(has_mask(each["before"]) for each in self.former[row.id].values()):
            return [_REDACTED]
        return super().against(row)

    def values_of(self, row_id: int) -> Mapping[str, Any]:
        """Return what the fields that the operation changed held before."""
        return (self._before or {}).get(row_id, {})

    def _read_before(self, db: Connection) -> dict[int, dict[str, Any]]:
        # Of the whole chunk: what goes back beside a row can speak against it.
        self.read_former(db, self.operation.ids, _VALUES)
        for changed in self.former.values():
            self._names |= dict.fromkeys(changed)
        return {
            row_id: {
                name: self._parsed(name, each["before"])
                for name, each in changed.items()
                if not has_mask(each["before"])
            }
            for row_id, changed in self.former.items()
        }

    def _parsed(self, name: str, value: Any) -> Any:
        return None if value is None else self._fields[name].parse(value)
