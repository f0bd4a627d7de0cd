"""Checks of the doctor that look into a database: guard, states, clocks, waiting work."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, func, select, text

from domain.machines.machine import Machine
from domain.machines.operation import CLAIMABLE_STATES, OPERATION
from models.audit import Outbox
from models.base import kinds
from models.operation import Chunk, MachineArrow, OperationRow
from reads.policies import find_troubled

_MOST_SKEW_S = 2.0
_MOST_WAITING_S = 60.0


Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check: what was checked, its status, what was found, how to mend it."""

    name: str
    status: Status
    found: str
    mend: str = ""


def _check_guard(db: Connection) -> CheckResult:
    machines = [kind.machine for kind in kinds().values()] + [OPERATION]
    expected = {(m.kind, t.source, t.target, t.undo) for m in machines for t in m.transitions}
    expected |= {(m.kind, "", m.initial, False) for m in machines}
    expected |= {(m.kind, state, state, False) for m in machines for state in _open_states(m)}
    arrow = MachineArrow
    stored = {
        tuple(row) for row in db.execute(select(arrow.kind, arrow.source, arrow.target, arrow.undo))
    }
    disabled = db.scalars(
        text("SELECT tgname FROM pg_trigger WHERE tgname LIKE 'guard\\_%' AND tgenabled = 'D'")
    ).all()
    differ = len(expected ^ stored)
    message = f"{differ} arrows differ from the machines, {len(disabled)} triggers are disabled"
    return check_result(
        "guard",
        not differ and not disabled,
        message if differ or disabled else f"knows all {len(stored)} arrows",
        "Run `lockside db upgrade`; ENABLE TRIGGER what was disabled.",
    )


def _check_states(db: Connection) -> CheckResult:
    unknown = [
        f"{rows:,} {kind} in {state}"
        for kind, model in kinds().items()
        for state, rows in db.execute(
            select(model.state, func.count())
            .where(model.state.not_in(model.machine.states), model.deleted_at.is_(None))
            .group_by(model.state)
        )
    ]
    return check_result(
        "states",
        not unknown,
        ", ".join(unknown) or "every row is in a state of its machine",
        "Put the state back into the machine, move the rows, then take it away: "
        "docs/how-to/change-a-machine.md.",
    )


def _open_states(machine: Machine) -> set[str]:
    return set(machine.states) - set(machine.final)


def _check_clocks(db: Connection) -> CheckResult:
    before = time.time()
    there = db.scalar(text("SELECT extract(epoch FROM clock_timestamp())::float")) or 0.0
    skew_s = there - (before + time.time()) / 2
    return check_result(
        "clocks",
        abs(skew_s) < _MOST_SKEW_S,
        f"PostgreSQL's is {abs(skew_s):.3f} s {'ahead' if skew_s > 0 else 'behind'}",
        "Set both by NTP; times in the records are PostgreSQL's.",
    )


def _check_waiting_work(db: Connection) -> CheckResult:
    waiting_s = db.scalar(
        select(_age_s(func.min(Chunk.run_after)))
        .join(OperationRow, OperationRow.id == Chunk.operation_id)
        .where(
            Chunk.status == "PENDING",
            Chunk.run_after <= func.clock_timestamp(),
            OperationRow.state.in_(CLAIMABLE_STATES),
        )
    )
    return check_result(
        "waiting work",
        (waiting_s or 0) < _MOST_WAITING_S,
        "none" if waiting_s is None else f"the oldest chunk waits for {waiting_s:.0f} s",
        "Start more workers, or look into the log of those that run.",
        otherwise="warn",
    )


def _check_outbox(db: Connection) -> CheckResult:
    age_s = db.scalar(select(_age_s(func.min(Outbox.occurred_at))))
    return check_result(
        "outbox",
        (age_s or 0) < _MOST_WAITING_S,
        "empty" if age_s is None else f"the oldest change waits {age_s:.0f} s for its record",
        "Start a worker that serves the queue audit, and beat.",
        otherwise="warn",
    )


def _check_dead_letters(db: Connection) -> CheckResult:
    dead = db.scalar(
        select(func.count())
        .select_from(Chunk)
        .join(OperationRow, OperationRow.id == Chunk.operation_id)
        .where(
            Chunk.status == "DEAD",
            OperationRow.created_at > func.clock_timestamp() - text("interval '1 day'"),
        )
    )
    return check_result(
        "dead-lettered chunks",
        not dead,
        f"{dead} in a day" if dead else "none in a day",
        "`lockside operations list --state FAILED`; the workers' logs say why they died.",
        otherwise="warn",
    )


def _check_policies(db: Connection) -> CheckResult:
    stopped, late = find_troubled(db)
    if late:
        message = f"{late:,} weren't run when it was their time"
        return CheckResult(
            "policies", "warn", message, "Start beat, and a worker for the queue upkeep."
        )
    return check_result(
        "policies",
        not stopped,
        f"stopped: {', '.join(stopped)}" if stopped else "run in their periods",
        "`lockside autoclose policies` says why, `autoclose resume` lets one go on.",
        otherwise="warn",
    )


DATABASE_CHECKS: tuple[Callable[[Connection], CheckResult], ...] = (
    *(_check_guard, _check_clocks, _check_waiting_work, _check_outbox),
    # The last: it looks at all rows of work.
    *(_check_dead_letters, _check_policies, _check_states),
)


def _age_s(moment: Any) -> Any:
    return func.extract("epoch", func.clock_timestamp() - moment)


def check_result(
    name: str,
    is_ok: bool,  # noqa: FBT001 -- the result itself
    message: str,
    mend: str,
    *,
    otherwise: Status = "fail",
) -> CheckResult:
    """Return that a check is fine, or what was found with how to mend it."""
    return (
        CheckResult(name, "ok", message) if is_ok else CheckResult(name, otherwise, message, mend)
    )
