"""Forgetting: delete idempotency keys, operations, runs and alerts that are older than is kept.

Any number may run at once and be killed at any time: each batch is its own transaction.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import TextClause, text

from engine.ports.platform import Platform
from models.scheduled_run import HELD

_IDLE_RUN_AGE = timedelta(days=2)

# An open operation keeps its key, so that the same request still finds it.
_KEYS = text("""
WITH old AS (
  SELECT id FROM operation WHERE idempotency_key IS NOT NULL AND finished_at < :before
   ORDER BY finished_at LIMIT :most FOR UPDATE SKIP LOCKED
)
UPDATE operation o SET idempotency_key = NULL, fingerprint = NULL FROM old WHERE o.id = old.id
""")

# Follow-up operations go before their parent: an undo reads what it takes back. No operation ended
# before it began, so the index of a tenant's operations finds them.
_OLD_OPERATIONS = text("""
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

# A statement of its own: it sees a follow-up operation that came while it waited for the lock, and
# after the lock none can come.
_DELETE = text("""
WITH gone AS MATERIALIZED (
  SELECT o.id FROM operation o
   WHERE o.id = ANY(:ids)
     AND NOT EXISTS (SELECT FROM operation child WHERE child.parent_id = o.id)
), chunks AS (
  DELETE FROM operation_chunk c USING gone WHERE c.operation_id = gone.id
), notified AS (
  DELETE FROM notification n USING gone WHERE n.operation_id = gone.id
)
DELETE FROM operation o USING gone WHERE o.id = gone.id
""")


# A run that found nothing only shows that its period was run; the last run of a policy shows since
# when periods were missed.
_IDLE_RUNS = text("""
DELETE FROM scheduled_run WHERE id IN (
  SELECT id FROM scheduled_run r
   WHERE created_at < :before AND outcome = 'nothing' AND EXISTS (
     SELECT FROM scheduled_run later
      WHERE later.policy_id = r.policy_id AND later.stage = r.stage AND later.period > r.period)
   ORDER BY created_at LIMIT :most FOR UPDATE SKIP LOCKED)
""")

# A run that holds its policy back stays until somebody releases it.
_RUNS = text(f"""
DELETE FROM scheduled_run WHERE id IN (
  SELECT id FROM scheduled_run
   WHERE created_at < :before AND outcome <> 'nothing' AND operation_id IS NULL AND NOT ({HELD})
   ORDER BY created_at LIMIT :most FOR UPDATE SKIP LOCKED)
""")  # noqa: S608 -- made of a constant

# Kept as long as records: an alert isn't raised again for a row that is still open.
_ALERTS = text("""
DELETE FROM alert WHERE id IN (
  SELECT id FROM alert WHERE raised_at < :before
   ORDER BY raised_at LIMIT :most FOR UPDATE SKIP LOCKED)
""")


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How much was deleted.

    Attributes:
        keys: Idempotency keys, removed from operations that stay.
        operations: Operations, with their chunks and notifications.
        runs: Runs of policies.
        alerts: Alerts.
    """

    keys: int
    operations: int
    runs: int
    alerts: int


def forget(platform: Platform) -> Forgotten:
    """Delete old idempotency keys, operations, runs and alerts; safe to repeat.

    Runs of policies that found nothing go after two days, others with the records, like alerts.

    An operation that is open keeps its key. One that has ended stays while a follow-up operation
    of it is kept, or while its records are yet to be written. Its records stay.
    """
    with platform.single.connect() as db:
        now = platform.clock(db)
    kept = platform.retention
    old = kept.operations_gone_before(now)
    return Forgotten(
        keys=_in_batches(
            platform, partial(_run_statement, platform, _KEYS, kept.keys_gone_before(now))
        ),
        operations=_in_batches(platform, partial(_delete_operations, platform, old)),
        runs=_in_batches(
            platform, partial(_run_statement, platform, _IDLE_RUNS, now - _IDLE_RUN_AGE)
        )
        + _in_batches(platform, partial(_run_statement, platform, _RUNS, kept.gone_before(now))),
        alerts=_in_batches(
            platform, partial(_run_statement, platform, _ALERTS, kept.gone_before(now))
        ),
    )


def _in_batches(platform: Platform, run_batch: Callable[[], int]) -> int:
    done = 0
    for _ in range(platform.pace.forget_batches):
        batch = run_batch()
        if not batch:
            break
        done += batch
    return done


def _run_statement(platform: Platform, statement: TextClause, before: datetime) -> int:
    with platform.database.begin() as db:
        rows = db.execute(statement, {"before": before, "most": platform.pace.forget_rows}).rowcount
        platform.step("forgotten")
    return rows


def _delete_operations(platform: Platform, before: datetime) -> int:
    with platform.database.begin() as db:
        limits = {
            "before": before,
            "most": platform.pace.forget_rows,
            "items": platform.pace.forget_items,
        }
        old = list(db.scalars(_OLD_OPERATIONS, limits))
        platform.step("old_operations_found")
        locked = list(db.scalars(_LOCK, {"ids": old})) if old else []
        deleted = db.execute(_DELETE, {"ids": locked}).rowcount if locked else 0
        platform.step("operations_forgotten")
    return deleted
