"""What a policy would do now, row by row, and why; nothing is changed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func

from domain.policies.policy import ACT, ON, WARN, Terms
from engine.policies.due import Due, find_due
from engine.policies.recheck import why_due

_AT_A_TIME = 2_000


@dataclass(frozen=True, slots=True)
class Preview:
    """What a stage of a policy would do as of a moment.

    Attributes:
        stage: `act`, or `warn` for policies with a grace.
        matched: So many rows are due.
        left: So many of them would be left for the next run.
        exempt: So many are left alone although their time is over.
        waits: They would be acted on only after a warning, which nobody gets: it isn't on.
        rows: Each that is due, those longest due first, with its reason.
    """

    stage: str
    matched: int
    left: int
    exempt: int
    waits: bool
    rows: Iterator[dict[str, Any]]


def preview_policy(db: Connection, policy: dict[str, Any], now: datetime) -> list[Preview]:
    """Return what the stages of a policy would do now.

    The rows are read while they are asked for, in the connection *db*.

    Raises:
        InvalidInput: A filter can't be read, or isn't one of that kind.
        NotFound: There is no record of a name in a filter.
    """
    stages = (WARN, ACT) if Terms.of(policy).warns else (ACT,)
    return [_preview(db, policy, stage, now) for stage in stages]


def _preview(db: Connection, policy: dict[str, Any], stage: str, now: datetime) -> Preview:
    due = find_due(db, policy, now, stage=stage)
    over = due.meant & due.is_over
    matched, exempt = db.execute(
        due.select(func.count().filter(due.is_due), func.count().filter(due.exempt)).where(over)
    ).one()
    return Preview(
        stage=stage,
        matched=matched,
        left=max(0, matched - policy["cap"]),
        exempt=exempt,
        waits=stage == ACT and Terms.of(policy).warns and policy["mode"] != ON,
        rows=_rows(db, policy, due, stage),
    )


def _rows(db: Connection, policy: dict[str, Any], due: Due, stage: str) -> Iterator[dict[str, Any]]:
    query = (
        due.select(
            due.model.id,
            due.model.reference,
            due.model.state,
            due.since.label("since"),
            due.calendar.label("calendar"),
            due.extra.label("extra"),
        )
        .where(due.is_due)
        .order_by(due.since, due.model.id)
    )
    for row in db.execution_options(yield_per=_AT_A_TIME).execute(query):
        yield {
            "stage": stage,
            "id": row.id,
            "reference": row.reference,
            "state": row.state,
            "since": row.since,
            "reason": why_due(policy, due, row, stage),
        }
