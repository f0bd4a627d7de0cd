"""Recheck: judge again whether a row is due before it changes; leave it alone if it isn't."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, Row, and_, any_, literal, not_, true
from sqlalchemy.dialects.postgresql import ARRAY

from domain.machines.machine import Reason
from domain.policies.policy import Terms, due_sentence
from engine.policies.due import Due, alert_code, find_due
from engine.policies.runs import run_of
from engine.ports.hooks import Hook
from models.base import clocks_of, kinds

CODE = "no_longer_due"


class Recheck(Hook):
    """Judges the rows of a run again, under their locks, by the policy that the run stored."""

    name = "still_due"

    def before(
        self, db: Connection, operation: Row[Any], rows: Sequence[Row[Any]], now: datetime
    ) -> Mapping[int, Reason] | None:
        """Return why rows of a run aren't due any more, by id."""
        if operation.actor_id is not None:
            return None
        run = run_of(db, operation.id)
        return None if run is None else not_due(db, run, [row.id for row in rows], now)


def not_due(db: Connection, run: Row[Any], ids: Sequence[int], now: datetime) -> dict[int, Reason]:
    """Return why some of these rows aren't due, by id."""
    due = find_due(db, run.policy, now, stage=run.stage)
    is_asked = due.model.id == any_(literal(list(ids), ARRAY(BigInteger)))
    # A breach stays one, whoever closed the row meanwhile: another policy may have been first.
    meant = due.meant if alert_code(run.policy, run.stage) != "overdue" else true()
    left = due.select(
        due.model.id,
        due.model.state,
        due.since.label("since"),
        meant.label("meant"),
        due.exempt.label("exempt"),
        due.is_over.label("is_over"),
        due.calendar.label("calendar"),
        due.extra.label("extra"),
    ).where(
        is_asked, and_(meant, due.is_over, not_(due.exempt), due.is_ready).is_distinct_from(true())
    )
    return {
        row.id: Reason(CODE, "It is no longer due", _why_not_due(run.policy, run.stage, due, row))
        for row in db.execute(left)
    }


def why_due(policy: Mapping[str, Any], due: Due, row: Row[Any], stage: str) -> str:
    """Return why a row is due: since when, how much time has passed, and the limit."""
    terms = Terms.of(policy)
    calendar = due.calendar_of(row.calendar)
    clock = clocks_of(kinds()[terms.kind])[terms.clock]
    return due_sentence(
        clock.event or row.state.lower(),
        row.since,
        due.passed(row.calendar, row.since),
        calendar.zone,
        terms.limit(calendar, stage, row.extra),
        unit="business " if terms.business else "",
    )


def _why_not_due(policy: Mapping[str, Any], stage: str, due: Due, row: Row[Any]) -> str:
    if not row.meant:
        return f"it isn't one of {policy['selection']} any more"
    if row.exempt:
        return f"it is exempt by {policy['exempt']}"
    if row.since is None:
        return f"it has no time {policy['clock']} any more"
    if not row.is_over:
        return why_due(policy, due, row, stage)
    return "nobody was warned of it in time" if alert_code(policy, stage) is None else "it was told"
