"""Alerts: raise one alert each time a row becomes due, in chunks like any other work."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, Row, any_, literal, text
from sqlalchemy.dialects.postgresql import ARRAY

from domain.bulk import Outcome
from engine.audit.outbox import Measured
from engine.changes.change import Change
from engine.changes.outcomes import Outcomes
from engine.changes.versioned_rows import lock_rows
from engine.policies.due import alert_code, find_due
from engine.policies.recheck import why_due
from engine.policies.runs import run_of

VERB = "alert"

_RAISE = text("""
INSERT INTO alert (tenant_id, policy_id, code, kind, entity_id, since, message, operation_id,
                   raised_at)
SELECT :tenant_id, :policy_id, :code, :kind, i.id, i.since, i.message, :operation_id, :now
  FROM unnest(CAST(:ids AS bigint[]), CAST(:since AS timestamptz[]), CAST(:messages AS text[]))
       AS i(id, since, message)
ON CONFLICT DO NOTHING
""")


class RaiseAlerts(Change):
    """Raises the alert of a run's stage for each of its rows; the rows don't change."""

    def lock(self, db: Connection, ids: Sequence[int]) -> tuple[Sequence[Row[Any]], set[int]]:
        """Lock the rows, so that what an alert says still holds when it is written."""
        operation = self.operation
        return lock_rows(db, operation.kind, operation.tenant_id, ids, ())

    def judge(
        self,
        rows: Iterable[Row[Any]],
        ids: Iterable[int],
        expected: Mapping[int, int],
        now: datetime,
    ) -> Outcomes:
        """Pass every row that exists; the run itself judges whether a row is due."""
        outcomes = Outcomes()
        for row in rows:
            outcomes.versions[row.id] = row.version
            outcomes.outcomes[row.id] = Outcome.SUCCEEDED
            outcomes.passed.append(row)
        outcomes.fail_missing(ids, self.operation.kind)
        return outcomes

    def write(self, db: Connection, outcomes: Outcomes, now: datetime) -> None:
        """Raise the alerts of the rows that are still due."""
        run = run_of(db, self.operation.id)
        if run is None or not outcomes.passed:
            return
        policy, stage = run.policy, run.stage
        due = find_due(db, policy, now, stage=stage)
        is_passed = due.model.id == any_(
            literal([row.id for row in outcomes.passed], ARRAY(BigInteger))
        )
        rows = db.execute(
            due.select(
                due.model.id,
                due.model.state,
                due.since.label("since"),
                due.calendar.label("calendar"),
                due.extra.label("extra"),
            ).where(is_passed)
        ).all()
        db.execute(
            _RAISE,
            {
                "tenant_id": self.operation.tenant_id,
                "policy_id": policy["id"],
                "code": alert_code(policy, stage),
                "kind": self.operation.kind,
                "operation_id": self.operation.id,
                "ids": [row.id for row in rows],
                "since": [row.since for row in rows],
                "messages": [why_due(policy, due, row, stage) for row in rows],
                "now": now,
            },
        )

    def log(self, db: Connection, outcomes: Outcomes, now: datetime, measured: Measured) -> None:
        """Record nothing: the alert itself is the record, and the row doesn't change."""

    def required(self, rows: Iterable[Row[Any]]) -> set[str]:
        """Return no permissions: the platform itself asks."""
        return set()
