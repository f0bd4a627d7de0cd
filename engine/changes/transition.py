"""Transitions: judge locked rows against a target state, write those that pass, and record all."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row

from domain.bulk import Outcome
from domain.machines.machine import Judge, Machine, Request
from engine.audit.outbox import Measured, log_state_transition
from engine.changes.change import Change
from engine.changes.outcomes import Outcomes
from engine.changes.readings import RowReadings
from engine.changes.versioned_rows import lock_rows, write_rows
from engine.records.conflicts import conflict, stale
from models.base import kinds


class TransitionChange(Change):
    """A change of rows to the operation's target state, with the readings of a row file."""

    def __init__(self, operation: Row[Any]) -> None:
        """Take the actor from *operation*, and the readings of each row."""
        super().__init__(operation)
        self._row_readings = RowReadings(
            operation, by_system=self.by_system, permissions=self.permissions
        )

    @property
    def machine(self) -> Machine:
        """Return the state machine of the rows."""
        return kinds()[self.operation.kind].machine

    def lock(self, db: Connection, ids: Sequence[int]) -> tuple[Sequence[Row[Any]], set[int]]:
        """Lock rows, and read the facts of all rules of the arrows to the target."""
        operation = self.operation
        facts = _facts(operation.kind, operation.target_state)
        rows, held = lock_rows(db, operation.kind, operation.tenant_id, ids, facts)
        self._row_readings.look_up(db, rows)
        return rows, held

    def judge(
        self,
        rows: Iterable[Row[Any]],
        ids: Iterable[int],
        expected: Mapping[int, int],
        now: datetime,
    ) -> Outcomes:
        """Judge locked rows by the machine; ids without a row are not found."""
        operation = self.operation
        request = Request(
            operation.target_state,
            self.permissions,
            operation.comments,
            self.by_manager,
            self.by_system,
            now,
        )
        if not operation.inputs:
            return judge_rows(self.machine, rows, ids, request, expected)
        # Rules look at the comments: rows with the same comments are judged together.
        same: dict[str | None, list[Row[Any]]] = defaultdict(list)
        for row in rows:
            same[self._comments(row)].append(row)
        outcomes = Outcomes()
        for comments, group in same.items():
            own = replace(request, comments=comments)
            outcomes.add(
                judge_rows(self.machine, group, (), own, expected, row_readings=self._row_readings)
            )
        outcomes.fail_missing(ids, self.machine.kind)
        return outcomes

    def _comments(self, row: Row[Any]) -> str | None:
        own = self.operation.inputs.get(str(row.id)) or {}
        comments: str | None = own.get("comments") or self.operation.comments
        return comments

    def write(self, db: Connection, outcomes: Outcomes, now: datetime) -> None:
        """Write the new state of the rows that passed, and their readings."""
        operation = self.operation
        values = {"state": operation.target_state, "state_since": now}
        write_rows(db, operation.kind, outcomes, values, actor_id=operation.actor_id, now=now)
        self._row_readings.write(db, outcomes.passed, now)

    def log(self, db: Connection, outcomes: Outcomes, now: datetime, measured: Measured) -> None:
        """Record every transition, done and refused, and every reading written."""
        log_state_transition(
            db,
            operation=self.operation,
            passed=outcomes.passed,
            refused=outcomes.refused,
            failures=outcomes.failures,
            to_state=self.operation.target_state,
            comments=self.operation.inputs
            and [self._comments(row) for row in (*outcomes.passed, *outcomes.refused)],
            now=now,
            measured=measured,
        )
        self._row_readings.log(db, now)

    def required(self, rows: Iterable[Row[Any]]) -> set[str]:
        """Return the permissions of the arrows to the target, and of the rows' readings."""
        machine = self.machine
        denied_rows = list(rows)
        arrows = (machine.transition(row.state, self.operation.target_state) for row in denied_rows)
        needed = {machine.permission(arrow) for arrow in arrows if arrow is not None}
        return needed | self._row_readings.required(denied_rows)


@cache
def _facts(kind: str, target: str) -> tuple[str, ...]:
    arrows = [arrow for arrow in kinds()[kind].machine.transitions if arrow.target == target]
    facts = (fact for arrow in arrows for rule in arrow.rules for fact in rule.facts)
    return tuple(dict.fromkeys(facts))


def _may_request(machine: Machine, state: str, request: Request) -> bool:
    if request.by_system or state == request.to:
        return True
    arrow = machine.transition(state, request.to)
    return arrow is None or machine.permission(arrow) in request.permissions


def judge_rows(
    machine: Machine,
    rows: Iterable[Row[Any]],
    ids: Iterable[int],
    request: Request,
    expected: Mapping[int, int],
    *,
    row_readings: RowReadings | None = None,
) -> Outcomes:
    """Judge locked rows against a request; ids without a row are not found.

    With *row_readings* rows are judged as if they had their readings already.
    """
    outcomes = Outcomes()
    judge = Judge(machine, request)
    for row in rows:
        row_id, state, version = row.id, row.state, row.version
        outcomes.versions[row_id] = version
        expected_version = expected.get(row_id) if expected else None
        # A conflict shows what the row holds, so it is only for actors who may go there.
        if (
            expected_version is not None
            and expected_version != version
            and _may_request(machine, state, request)
        ):
            changes = {"state": {"before": state, "after": request.to}}
            facts = conflict(expected_version, version, state=state, changes=changes)
            outcomes.refuse(row, [stale(expected_version, version, state)], **facts)
        elif state == request.to:
            outcomes.outcomes[row_id] = Outcome.SKIPPED
        elif reasons := (
            judge.judge(state, row._mapping).reasons
            if row_readings is None
            else judge.judge(state, row_readings.facts(row)).reasons
            + row_readings.reasons_against(row)
        ):
            outcomes.refuse(row, reasons)
        else:
            outcomes.outcomes[row_id] = Outcome.SUCCEEDED
            outcomes.passed.append(row)
    outcomes.fail_missing(ids, machine.kind)
    return outcomes
