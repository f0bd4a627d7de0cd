"""What has served its time: keys of requests, and operations of which only their records remain.

Any number may run at once, and be killed anywhere: each batch is a transaction of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import TextClause, text

from engine.ports.platform import Platform
from models.scheduled_run import HELD

_IDLE_KEPT = timedelta(days=2)

# Under its key an open operation is still found by whoever asks again.
_KEYS = text("""
WITH old AS (
  SELECT id FROM operation WHERE idempotency_key IS NOT NULL AND finished_at < :before
   ORDER BY finished_at LIMIT :most FOR UPDATE SKIP LOCKED
)
UPDATE operation o SET idempotency_key = NULL, fingerprint = NULL FROM old WHERE o.id = old.id
""")

# What came out of an operation goes before it: an undo reads what it takes back. None ended before
# it began, so the index of a tenant's operations finds them.
_OLD = text("""
WITH old AS (
  SELECT old.* FROM tenant t CROSS JOIN LATERAL (
    SELECT o.id, o.total, o.created_at FROM operation o
     WHERE o.tenant_id = t.id AND o.created_at < :before AND o.finished_at < :before
       AND NOT EXISTS (SELECT FROM operation child WHERE child.parent_id = o.id)
       AND o.id NOT IN (SELECT CAST(b.body ->> 'correlation_id' AS uuid) FROM outbox b
                         WHERE b.body ->> 'correlation_id' IS NOT NULL)
     ORDER BY o.created_at LIMIT :most) AS old
   ORDER BY old.created_at, old.id LIMIT :most
), counted AS (
  SELECT id, sum(total) OVER (ORDER BY created_at, id) - total AS before FROM old
)
SELECT id FROM counted WHERE before < :items
""")

_LOCK = text("SELECT id FROM operation WHERE id = ANY(:ids) ORDER BY id FOR UPDATE SKIP LOCKED")

# A statement of its own: it sees the child that came while the lock was waited for, and after the
# lock none can come.
_DELETE = text("""
WITH gone AS MATERIALIZED (
  SELECT o.id FROM operation o
   WHERE o.id = ANY(:ids)
     AND NOT EXISTS (SELECT FROM operation child WHERE child.parent_id = o.id)
), chunks AS (
  DELETE FROM operation_chunk c USING gone WHERE c.operation_id = gone.id
), told AS (
  DELETE FROM notification n USING gone WHERE n.operation_id = gone.id
)
DELETE FROM operation o USING gone WHERE o.id = gone.id
""")


# A run that found nothing is there so that its period isn't run again; the last one of a policy
# says from when on periods were missed.
_IDLE = text("""
DELETE FROM scheduled_run WHERE id IN (
  SELECT id FROM scheduled_run r
   WHERE created_at < :before AND outcome = 'nothing' AND EXISTS (
     SELECT FROM scheduled_run later
      WHERE later.policy_id = r.policy_id AND later.stage = r.stage AND later.period > r.period)
   ORDER BY created_at LIMIT :most FOR UPDATE SKIP LOCKED)
""")

# A run that keeps its policy from going on stays until somebody lets it.
_RUNS = text(f"""
DELETE FROM scheduled_run WHERE id IN (
  SELECT id FROM scheduled_run
   WHERE created_at < :before AND outcome <> 'nothing' AND operation_id IS NULL AND NOT ({HELD})
   ORDER BY created_at LIMIT :most FOR UPDATE SKIP LOCKED)
""")  # noqa: S608 -- made of a constant

# As long as records: a row that is open still was told of once.
_ALERTS = text("""
DELETE FROM alert WHERE id IN (
  SELECT id FROM alert WHERE raised_at < :before
   ORDER BY raised_at LIMIT :most FOR UPDATE SKIP LOCKED)
""")


@dataclass(frozen=True, slots=True)
class Forgotten:
    """So many keys were taken off their operations, and so many of the others are gone."""

    keys: int
    operations: int
    runs: int
    alerts: int


def forget(platform: Platform) -> Forgotten:
    """Forget old keys, and old operations with all that hangs on them; safe to repeat.

    Runs of policies that found nothing go after two days, others with the records, and alerts, too.

    An operation that is open keeps its key. One that has ended stays while anything that came out
    of it is kept, or while its records are yet to be written. The records stay.
    """
    with platform.single.connect() as db:
        now = platform.clock(db)
    kept = platform.retention
    old = kept.operations_gone_before(now)
    return Forgotten(
        keys=_in_batches(platform, partial(_treat, platform, _KEYS, kept.keys_gone_before(now))),
        operations=_in_batches(platform, partial(_delete, platform, old)),
        runs=_in_batches(platform, partial(_treat, platform, _IDLE, now - _IDLE_KEPT))
        + _in_batches(platform, partial(_treat, platform, _RUNS, kept.gone_before(now))),
        alerts=_in_batches(platform, partial(_treat, platform, _ALERTS, kept.gone_before(now))),
    )


def _in_batches(platform: Platform, some: Callable[[], int]) -> int:
    done = 0
    for _ in range(platform.pace.forget_batches):
        batch = some()
        if not batch:
            break
        done += batch
    return done


def _treat(platform: Platform, statement: TextClause, before: datetime) -> int:
    with platform.database.begin() as db:
        treated = db.execute(
            statement, {"before": before, "most": platform.pace.forget_rows}
        ).rowcount
        platform.step("forgotten")
    return treated


def _delete(platform: Platform, before: datetime) -> int:
    with platform.database.begin() as db:
        wanted = {
            "before": before,
            "most": platform.pace.forget_rows,
            "items": platform.pace.forget_items,
        }
        old = list(db.scalars(_OLD, wanted))
        platform.step("old_operations_found")
        mine = list(db.scalars(_LOCK, {"ids": old})) if old else []
        deleted = db.execute(_DELETE, {"ids": mine}).rowcount if mine else 0
        platform.step("operations_forgotten")
    return deleted
