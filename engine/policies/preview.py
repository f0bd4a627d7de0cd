"""Previews: report what a policy would do now, row by row, and why; nothing is changed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func

from domain.policies.policy import ACT, ON, WARN, Terms
from engine.policies.due import Due, find_due
from engine.policies.recheck import why_due

_BATCH_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class Preview:
    """What a stage of a policy would do as of a moment.

    Attributes:
        stage: `act`, or `warn` for policies with a grace.
        matched: How many rows are due.
        left: How many of them would be left for the next run.
        exempt: How many rows are exempt although their time is over.
        waits: The policy isn't on, so nobody is warned and no row is acted on.
        rows: The rows that are due, longest due first, each with its reason.
    """

    stage: str
    matched: int
    left: int
    exempt: int
    waits: bool
    rows: Iterator[dict[str, Any]]


def preview_policy(db: Connection, policy: dict[str, Any], now: datetime) -> list[Preview]:
    """Report what each stage of a policy would do now.

    The rows are read from *db* while they are iterated.

    Raises:
        InvalidInput: A filter can't be read, or isn't a filter of that resource type.
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
    for row in db.execution_options(yield_per=_BATCH_ROWS).execute(query):
        yield {
            "stage": stage,
            "id": row.id,
            "reference": row.reference,
            "state": row.state,
            "since": row.since,
            "reason": why_due(policy, due, row, stage),
        }
