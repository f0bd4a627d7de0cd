"""A change of state: judge the locked rows, write those that pass and their record."""

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
from engine.changes.readings import Brought
from engine.changes.rows import lock_rows, write_rows
from engine.records.conflicts import conflict, stale
from models.base import kinds


class TransitionChange(Change):
    """Rows go to the operation's target state; those of a file bring readings along."""

    def __init__(self, operation: Row[Any]) -> None:
        """Take over who asks, and what each row brings."""
        super().__init__(operation)
        self._brought = Brought(operation, by_system=self.by_system, held=self.permissions)

    @property
    def machine(self) -> Machine:
        """Return the machine that judges."""
        return kinds()[self.operation.kind].machine

    def lock(self, db: Connection, ids: Sequence[int]) -> tuple[Sequence[Row[Any]], set[int]]:
        """Lock rows with the facts of every rule that leads to the target."""
        operation = self.operation
        facts = _facts(operation.kind, operation.target_state)
        rows, held = lock_rows(db, operation.kind, operation.tenant_id, ids, facts)
        self._brought.look_up(db, rows)
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
        # Rules look at the comments: rows with the same are judged together.
        same: dict[str | None, list[Row[Any]]] = defaultdict(list)
        for row in rows:
            same[self._comments(row)].append(row)
        outcomes = Outcomes()
        for comments, group in same.items():
            own = replace(request, comments=comments)
            outcomes.add(judge_rows(self.machine, group, (), own, expected, brought=self._brought))
        outcomes.miss(ids, self.machine.kind)
        return outcomes

    def _comments(self, row: Row[Any]) -> str | None:
        own = self.operation.inputs.get(str(row.id)) or {}
        comments: str | None = own.get("comments") or self.operation.comments
        return comments

    def write(self, db: Connection, outcomes: Outcomes, now: datetime) -> None:
        """Write the new state of the rows that passed, and what they bring."""
        operation = self.operation
        values = {"state": operation.target_state, "state_since": now}
        write_rows(db, operation.kind, outcomes, values, actor_id=operation.actor_id, now=now)
        self._brought.write(db, outcomes.passed, now)

    def log(self, db: Connection, outcomes: Outcomes, now: datetime, measured: Measured) -> None:
        """Record every transition, done and refused, and every reading."""
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
        self._brought.log(db, now)

    def required(self, rows: Iterable[Row[Any]]) -> set[str]:
        """Return the permissions of the arrows to the target, and of what the rows bring."""
        machine = self.machine
        asked = list(rows)
        arrows = (machine.transition(each.state, self.operation.target_state) for each in asked)
        needed = {machine.permission(each) for each in arrows if each is not None}
        return needed | self._brought.required(asked)


@cache
def _facts(kind: str, target: str) -> tuple[str, ...]:
    arrows = [each for each in kinds()[kind].machine.transitions if each.target == target]
    named = (fact for each in arrows for rule in each.rules for fact in rule.facts)
    return tuple(dict.fromkeys(named))


def _may_ask(machine: Machine, state: str, request: Request) -> bool:
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
    brought: Brought | None = None,
) -> Outcomes:
    """Judge locked rows against a request; ids without a row are not found.

    With *brought* rows are judged as if they had what they bring already.
    """
    outcomes = Outcomes()
    judge = Judge(machine, request)
    for row in rows:
        row_id, state, version = row.id, row.state, row.version
        outcomes.versions[row_id] = version
        wanted = expected.get(row_id) if expected else None
        # Who may not go there learns nothing of the row but that.
        if wanted is not None and wanted != version and _may_ask(machine, state, request):
            changes = {"state": {"before": state, "after": request.to}}
            told = conflict(wanted, version, state=state, changes=changes)
            outcomes.refuse(row, [stale(wanted, version, state)], **told)
        elif state == request.to:
            outcomes.outcomes[row_id] = Outcome.SKIPPED
        elif reasons := (
            judge.judge(state, row._mapping).reasons
            if brought is None
            else judge.judge(state, brought.facts(row)).reasons + brought.against(row)
        ):
            outcomes.refuse(row, reasons)
        else:
            outcomes.outcomes[row_id] = Outcome.SUCCEEDED
            outcomes.passed.append(row)
    outcomes.miss(ids, machine.kind)
    return outcomes
