"""The runs of policies: one row a period, whoever comes first, and what was usual before it."""

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

# A policy waits for its own last operation, and for somebody to look at it once it was stopped
# or undone.
_WAITS = f"""
(EXISTS (
   SELECT FROM operation o JOIN scheduled_run r ON r.operation_id = o.id
    WHERE o.state IN {OPEN_STATES} AND r.policy_id = p.id AND r.stage = s.stage)
 OR EXISTS (SELECT FROM scheduled_run r WHERE r.policy_id = p.id AND {HELD}))
"""  # noqa: S608 -- made of constants

# A period begins where its length divides the time since a fixed Monday.
_PERIOD = (
    "date_bin(make_interval(mins => p.every_minutes), CAST(:now AS timestamptz), "
    "'2001-01-01 00:00Z')"
)

# The last run of each policy is one look into an index, however many there were. Who only warns and
# alerts comes first: what is closed has no breach any more that could be seen.
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

# Whoever comes late with an earlier period finds that it was caught up already.
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

# Runs that found nothing say nothing of how much is usual when there is something.
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
    """A stage of a policy in one period, and who asked for it if it isn't the clock."""

    policy_id: int
    stage: str
    period: datetime
    requested_by: int | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """What became of a policy in one period.

    Attributes:
        stage: `act`, or `warn` where somebody is warned before.
        missed: So many periods before it nobody ran.
        outcome: `ran`, `nothing`, `shadow`, `stopped` or `failed`.
        matched: So many rows were due.
        taken: So many of them the operation takes.
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
    """Return the policies whose period nobody has run yet; warnings come first."""
    found = db.execute(_IN_TURN, {"now": now, "stages": [WARN, ACT]})
    return [Turn(each.policy_id, each.stage, each.period) for each in found]


def begin_run(db: Connection, turn: Turn, now: datetime) -> Run | None:
    """Store that a policy is run in a period; None if somebody runs it, or has run it."""
    if not db.scalar(_TAKE, {"policy_id": turn.policy_id}):
        return None
    table = table_of(Policy)
    found = db.execute(select(table).where(table.c.id == turn.policy_id)).one()
    policy = {name: plain(value) for name, value in found._mapping.items()}
    names = {name: getattr(turn, name) for name in Turn.__slots__}
    names |= {"policy": json.dumps(policy), "now": now}
    claimed = db.execute(_CLAIM, names).one_or_none()
    if claimed is None:
        return None
    return Run(claimed.id, policy, turn.stage, claimed.missed)


def end_run(db: Connection, run: Run) -> None:
    """Store what became of a run."""
    told = ("outcome", "matched", "taken", "usual", "message", "operation_id")
    db.execute(_END, {"run_id": run.id} | {name: getattr(run, name) for name in told})


def most_rows(db: Connection, run: Run) -> int | None:
    """Return how many rows a run may match; None if nobody knows what is usual."""
    policy = run.policy
    names = {"policy_id": policy["id"], "stage": run.stage, "run_id": run.id}
    earlier = db.execute(_EARLIER, {**names, "history": HISTORY}).all()
    # What it really did says what is usual; what it would have done only as long as that is all.
    done = [each.matched for each in earlier if each.was_on]
    history = done if len(done) >= ENOUGH else [each.matched for each in earlier]
    breaker = Breaker(policy["breaker_factor"], policy["breaker_least"])
    return breaker.most(history, periods=run.missed + 1, released=db.scalar(_RELEASED, names))


def has_failed_before(db: Connection, run: Run) -> bool:
    """Say whether the run before failed as well."""
    names = {"policy_id": run.policy["id"], "stage": run.stage, "run_id": run.id}
    return bool(db.scalar(_LAST, names) == "failed")


def refused_last(policy_id: int) -> Select[Any]:
    """Return the query for the rows that the last run of a policy couldn't do."""
    found = _REFUSED.bindparams(policy_id=policy_id, failed=int(Outcome.FAILED))
    return select(found.columns(id=BigInteger).subquery("refused").c.id)


def alert(db: Connection, run: Run, now: datetime) -> None:
    """Raise an alert about a run that did nothing, though there was something to do."""
    policy = run.policy
    about = {"tenant_id": policy["tenant_id"], "policy_id": policy["id"], "kind": policy["kind"]}
    message = f"{policy['name']}: {run.message}"
    db.execute(_ALERT, {**about, "code": run.outcome, "message": message, "now": now})


def run_of(db: Connection, operation_id: UUID) -> Row[Any] | None:
    """Return the policy and the stage of the run that an operation is of; None if it is of none."""
    return db.execute(
        select(ScheduledRun.policy, ScheduledRun.stage).where(
            ScheduledRun.operation_id == operation_id
        )
    ).one_or_none()
