"""Policy runs: store one run for each policy and period, and know how many rows are usual."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Connection, Row, Select, select, text

from domain.bulk import Outcome
from domain.machines.operation import OPEN_STATES
from domain.policies.breaker import ENOUGH, HISTORY, Breaker
from domain.policies.policy import ACT, WARN
from engine.input.fields import plain
from engine.input.record_types import table_of
from models.policy import Policy
from models.scheduled_run import HELD, ScheduledRun

# A policy waits until its own last operation has ended, and, once it was stopped or undone, until
# somebody releases it.
_WAITS = f"""
(EXISTS (
   SELECT FROM operation o JOIN scheduled_run r ON r.operation_id = o.id
    WHERE o.state IN {OPEN_STATES} AND r.policy_id = p.id AND r.stage = s.stage)
 OR EXISTS (SELECT FROM scheduled_run r WHERE r.policy_id = p.id AND {HELD}))
"""  # noqa: S608 -- made of constants

# A period begins at a whole multiple of its length since a fixed Monday.
_PERIOD = (
    "date_bin(make_interval(mins => p.every_minutes), CAST(:now AS timestamptz), "
    "'2001-01-01 00:00Z')"
)

# The last run of each policy is one index lookup, however many runs there are. Warnings and alerts
# come first: a breach can't be seen any more once the row is closed.
_IN_TURN = text(f"""
SELECT p.id AS policy_id, s.stage, {_PERIOD} AS period
  FROM policy p CROSS JOIN unnest(CAST(:stages AS text[])) AS s(stage)
  LEFT JOIN LATERAL (
    SELECT r.period FROM scheduled_run r
     WHERE r.policy_id = p.id AND r.stage = s.stage ORDER BY r.period DESC LIMIT 1) AS last ON true
 WHERE p.deleted_at IS NULL AND p.mode <> 'off'
   AND (s.stage = 'act' OR p.grace IS NOT NULL AND p.mode = 'on')
   AND (last.period IS NULL OR last.period < {_PERIOD})
   AND NOT {_WAITS}
 ORDER BY s.stage DESC, p.verb <> 'alert', p.id
""")  # noqa: S608

_TAKE = text("SELECT pg_try_advisory_xact_lock(hashtextextended('policy', :policy_id))")

# A tick that comes late with an earlier period finds that a later one was run already.
_CLAIM = text(f"""
INSERT INTO scheduled_run (tenant_id, policy_id, policy, stage, period, as_of, outcome, missed,
                           requested_by)
SELECT p.tenant_id, p.id, CAST(:policy AS jsonb), s.stage, :period, :now, 'nothing',
       greatest(0, coalesce(
         CAST(floor(extract(epoch FROM :period - before.period) / (60 * p.every_minutes)) AS int)
           - 1, 0)),
       :requested_by
  FROM policy p CROSS JOIN (SELECT CAST(:stage AS text) AS stage) AS s
 CROSS JOIN LATERAL (
   SELECT max(r.period) AS period FROM scheduled_run r
    WHERE r.policy_id = p.id AND r.stage = s.stage) AS before
 WHERE p.id = :policy_id AND p.deleted_at IS NULL
   AND (before.period IS NULL OR before.period < :period)
   AND NOT {_WAITS}
ON CONFLICT DO NOTHING RETURNING id, missed
""")  # noqa: S608

_END = text("""
UPDATE scheduled_run
   SET outcome = CAST(:outcome AS text), matched = :matched, taken = :taken, usual = :usual,
       message = :message, operation_id = :operation_id,
       policy = CASE WHEN CAST(:outcome AS text) <> 'nothing' THEN policy
                     ELSE jsonb_build_object('name', policy -> 'name', 'mode', policy -> 'mode',
                                             'version', policy -> 'version') END,
       held_because = CASE WHEN CAST(:outcome AS text) = 'stopped' THEN 'stopped' END
 WHERE id = :run_id
""")

# Runs that matched nothing don't count towards what is usual.
_EARLIER = text("""
SELECT matched, outcome = 'ran' AS was_on FROM scheduled_run
 WHERE policy_id = :policy_id AND stage = :stage AND id <> :run_id
   AND outcome IN ('ran', 'shadow')
 ORDER BY period DESC LIMIT :history
""")
_RELEASED = text("""
SELECT max(matched) FROM scheduled_run
 WHERE policy_id = :policy_id AND stage = :stage AND outcome = 'stopped'
   AND released_at IS NOT NULL
""")
_LAST = text("""
SELECT outcome FROM scheduled_run
 WHERE policy_id = :policy_id AND stage = :stage AND id <> :run_id ORDER BY period DESC LIMIT 1
""")

_REFUSED = text("""
SELECT i.id FROM operation_chunk c, unnest(c.ids, c.outcomes) AS i(id, outcome)
 WHERE c.failed > 0 AND i.outcome = :failed AND c.operation_id = (
   SELECT r.operation_id FROM scheduled_run r
    WHERE r.policy_id = :policy_id AND r.stage = 'act' AND r.operation_id IS NOT NULL
    ORDER BY r.period DESC LIMIT 1)
""")

_ALERT = text("""
INSERT INTO alert (tenant_id, policy_id, code, kind, message, raised_at)
VALUES (:tenant_id, :policy_id, :code, :kind, :message, :now)
""")


@dataclass(frozen=True, slots=True)
class Turn:
    """A stage of a policy in one period, and who asked for it if the schedule didn't."""

    policy_id: int
    stage: str
    period: datetime
    requested_by: int | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """The outcome of a policy in one period.

    Attributes:
        stage: `act`, or `warn` where somebody is warned first.
        missed: How many periods before this one had no run.
        outcome: `ran`, `nothing`, `shadow`, `stopped` or `failed`.
        matched: How many rows were due.
        taken: How many of them the operation takes.
        operation_id: The operation; None if there was nothing to do, or it was stopped.
        message: Why it was stopped, or failed.
    """

    id: int
    policy: Mapping[str, Any]
    stage: str
    missed: int = 0
    outcome: str = "nothing"
    matched: int = 0
    taken: int = 0
    usual: int | None = None
    operation_id: UUID | None = None
    message: str | None = None

    @property
    def left(self) -> int:
        """Return how many rows are left for the next run."""
        return self.matched - self.taken


def turns(db: Connection, now: datetime) -> list[Turn]:
    """Return the policies and stages whose period has no run yet; warnings come first."""
    rows = db.execute(_IN_TURN, {"now": now, "stages": [WARN, ACT]})
    return [Turn(row.policy_id, row.stage, row.period) for row in rows]


def begin_run(db: Connection, turn: Turn, now: datetime) -> Run | None:
    """Store the run of a policy in a period; None if it is being run, or was run already."""
    if not db.scalar(_TAKE, {"policy_id": turn.policy_id}):
        return None
    table = table_of(Policy)
    row = db.execute(select(table).where(table.c.id == turn.policy_id)).one()
    policy = {name: plain(value) for name, value in row._mapping.items()}
    names = {name: getattr(turn, name) for name in Turn.__slots__}
    names |= {"policy": json.dumps(policy), "now": now}
    claimed = db.execute(_CLAIM, names).one_or_none()
    if claimed is None:
        return None
    return Run(claimed.id, policy, turn.stage, claimed.missed)


def end_run(db: Connection, run: Run) -> None:
    """Store the outcome of a run."""
    columns = ("outcome", "matched", "taken", "usual", "message", "operation_id")
    db.execute(_END, {"run_id": run.id} | {name: getattr(run, name) for name in columns})


def most_rows(db: Connection, run: Run) -> int | None:
    """Return how many rows a run may match; None if it isn't known yet what is usual."""
    policy = run.policy
    names = {"policy_id": policy["id"], "stage": run.stage, "run_id": run.id}
    earlier = db.execute(_EARLIER, {**names, "history": HISTORY}).all()
    # Runs that changed rows say what is usual; shadow runs count only while those are too few.
    acted = [run_row.matched for run_row in earlier if run_row.was_on]
    history = acted if len(acted) >= ENOUGH else [run_row.matched for run_row in earlier]
    breaker = Breaker(policy["breaker_factor"], policy["breaker_least"])
    return breaker.most(history, periods=run.missed + 1, released=db.scalar(_RELEASED, names))


def has_failed_before(db: Connection, run: Run) -> bool:
    """Say whether the run before failed as well."""
    names = {"policy_id": run.policy["id"], "stage": run.stage, "run_id": run.id}
    return bool(db.scalar(_LAST, names) == "failed")


def refused_last(policy_id: int) -> Select[Any]:
    """Return the query for the rows that failed in the last run of a policy."""
    query = _REFUSED.bindparams(policy_id=policy_id, failed=int(Outcome.FAILED))
    return select(query.columns(id=BigInteger).subquery("refused").c.id)


def alert(db: Connection, run: Run, now: datetime) -> None:
    """Raise an alert about a run that did nothing although rows were due."""
    policy = run.policy
    about = {"tenant_id": policy["tenant_id"], "policy_id": policy["id"], "kind": policy["kind"]}
    message = f"{policy['name']}: {run.message}"
    db.execute(_ALERT, {**about, "code": run.outcome, "message": message, "now": now})


def run_of(db: Connection, operation_id: UUID) -> Row[Any] | None:
    """Return the policy and the stage of the run that stored an operation; None if no run did."""
    return db.execute(
        select(ScheduledRun.policy, ScheduledRun.stage).where(
            ScheduledRun.operation_id == operation_id
        )
    ).one_or_none()
