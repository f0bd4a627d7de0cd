"""The sweeper: repair what a crash or a lost message left behind. Any number may run at once."""

import json
import logging
from dataclasses import asdict, dataclass
from itertools import takewhile
from typing import Any

from sqlalchemy import Row, select, text
from sqlalchemy.exc import DBAPIError

from engine.audit.wake import wake_audit
from engine.input.database_errors import plain_message
from engine.operations.cancel import cancel_waiting
from engine.operations.dispatch import dispatch_chunk, dispatch_next
from engine.operations.finish import finish, store_result
from engine.operations.pause import pause_after_canary
from engine.ports.platform import Platform
from models.audit import Outbox
from models.operation import OperationRow

_BATCH_ROWS = 200
"""The most rows of each kind in one sweep; the next sweep takes the rest."""

_log = logging.getLogger(__name__)

# Out of attempts: the chunk is waiting again, or the lease of its last claim has expired.
_DEAD_LETTER = text("""
WITH exhausted AS (
  SELECT operation_id, chunk_no FROM operation_chunk
   WHERE attempt >= :attempts
     AND (status = 'PENDING' OR status = 'RUNNING' AND lease_until < clock_timestamp())
   LIMIT :most FOR UPDATE SKIP LOCKED
), buried AS (
  SELECT c.operation_id, c.chunk_no, array_agg(i.id ORDER BY i.n) AS lost
    FROM operation_chunk c JOIN exhausted USING (operation_id, chunk_no),
         unnest(c.ids, coalesce(c.outcomes, array_fill(0, ARRAY[cardinality(c.ids)])))
           WITH ORDINALITY AS i(id, outcome, n)
   WHERE i.outcome = 0
   GROUP BY c.operation_id, c.chunk_no
)
UPDATE operation_chunk c
   SET status = 'DEAD', claim = NULL, lease_until = NULL,
       error = coalesce(c.error, 'its worker was lost every time'),
       outcomes = (SELECT array_agg(CASE WHEN outcome = 0 THEN 3 ELSE outcome END ORDER BY n)
                     FROM unnest(coalesce(c.outcomes, array_fill(0, ARRAY[cardinality(c.ids)])))
                          WITH ORDINALITY AS each(outcome, n)),
       versions = coalesce(c.versions, array_fill(0, ARRAY[cardinality(c.ids)])),
       failures = coalesce(c.failures, '{}') || (
         SELECT jsonb_object_agg(CAST(id AS text), CAST(:failure AS jsonb))
           FROM unnest(buried.lost) AS id),
       failure_codes = coalesce(c.failure_codes, '{}')
         || jsonb_build_object('unavailable', cardinality(buried.lost)),
       failed = c.failed + cardinality(buried.lost)
  FROM buried
 WHERE c.operation_id = buried.operation_id AND c.chunk_no = buried.chunk_no
RETURNING c.operation_id, c.chunk_no, c.error
""")

# A chunk that was dispatched and not taken, or whose lease has expired, is dispatched again, after
# a time that doubles up to 300 seconds.
_REDISPATCH = text("""
WITH lost AS (
  SELECT c.operation_id, c.chunk_no FROM operation_chunk c JOIN operation o ON o.id = c.operation_id
   WHERE o.state IN ('QUEUED', 'RUNNING')
     AND (o.canary_ends_before_chunk IS NULL OR c.chunk_no < o.canary_ends_before_chunk)
     AND (c.status = 'PENDING' AND c.published_at IS NOT NULL
       OR c.status = 'RUNNING' AND c.lease_until < clock_timestamp())
     AND c.run_after <= clock_timestamp()
     AND coalesce(c.published_at, '-infinity') < clock_timestamp() - make_interval(
           secs => least(:republish_after_s * power(2, greatest(c.published - 1, 0)), 300))
   ORDER BY c.run_after, c.chunk_no LIMIT :most FOR UPDATE OF c SKIP LOCKED
)
UPDATE operation_chunk c
   SET published_at = clock_timestamp(), published = c.published + 1
  FROM lost, operation o
 WHERE c.operation_id = lost.operation_id AND c.chunk_no = lost.chunk_no
   AND o.id = c.operation_id
RETURNING c.operation_id, c.chunk_no, o.queue
""")

# Tenants with chunks that were never dispatched: they are filled up to the in-flight limit, as if a
# chunk had just ended.
_WAITING = text("""
SELECT DISTINCT ON (o.tenant_id, o.queue) o.id
  FROM operation o JOIN operation_chunk c ON c.operation_id = o.id
 WHERE o.state IN ('QUEUED', 'RUNNING') AND c.status = 'PENDING' AND c.published_at IS NULL
   AND c.run_after <= clock_timestamp()
   AND (o.canary_ends_before_chunk IS NULL OR c.chunk_no < o.canary_ends_before_chunk)
 LIMIT :most
""")

# Only operations with something to do, so that no number of others crowds them out.
_UNFINISHED = text("""
SELECT o.id, o.state FROM operation o CROSS JOIN LATERAL (
    SELECT count(*) AS open,
           count(*) FILTER (WHERE c.status = 'PENDING') AS waiting,
           count(*) FILTER (WHERE c.lease_until < clock_timestamp()) AS lost,
           count(*) FILTER (WHERE c.chunk_no < o.canary_ends_before_chunk) AS before_canary_end
      FROM operation_chunk c
     WHERE c.operation_id = o.id AND c.status IN ('PENDING', 'RUNNING')) AS chunks
 WHERE o.state IN ('QUEUED', 'RUNNING', 'PAUSED', 'CANCELLING')
   AND (open = 0 OR o.state = 'CANCELLING' AND waiting + lost > 0
     OR o.state IN ('QUEUED', 'RUNNING') AND o.canary_ends_before_chunk IS NOT NULL
       AND before_canary_end = 0)
 ORDER BY o.created_at LIMIT :most
""")

_OLDEST = text("""
SELECT coalesce(extract(epoch FROM clock_timestamp() - min(c.run_after)), 0)::float
  FROM operation_chunk c JOIN operation o ON o.id = c.operation_id
 WHERE c.status = 'PENDING' AND c.run_after <= clock_timestamp()
   AND o.state IN ('QUEUED', 'RUNNING')
""")


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep repaired, and the age of the oldest chunk that is due and still waits."""

    published: int
    dead: int
    finished: int
    results_stored: int
    oldest_waiting_s: float


def sweep(platform: Platform) -> Swept:
    """Redispatch lost chunks, dead-letter exhausted ones, finish operations, store results."""
    dead = _dead_letter(platform)
    published = _publish(platform)
    finished = _finish(platform)
    stored = _store_results(platform)
    with platform.single.connect() as db:
        oldest_s = db.scalar(_OLDEST) or 0.0
        outbox = db.scalar(select(Outbox.id).limit(1))
    if outbox is not None:
        wake_audit(platform)
    swept = Swept(published, dead, finished, stored, oldest_s)
    if published or dead or finished or stored:
        _log.info("swept", extra=asdict(swept))
    return swept


def _dead_letter(platform: Platform) -> int:
    attempts = platform.pace.attempts
    failure = {
        "code": "unavailable",
        "message": f"Given up after {attempts} attempts: the worker was lost or failed each time",
        "codes": ["unavailable"],
        "retryable": True,
    }
    with platform.single.connect() as db:
        chunks = db.execute(
            _DEAD_LETTER,
            {"attempts": attempts, "most": _BATCH_ROWS, "failure": json.dumps(failure)},
        ).all()
    for chunk in chunks:
        _log.error(
            "chunk_dead",
            extra={"operation_id": str(chunk.operation_id), "chunk_no": chunk.chunk_no},
        )
    return len(chunks)


def _finish(platform: Platform) -> int:
    with platform.single.connect() as db:
        unfinished = db.execute(_UNFINISHED, {"most": _BATCH_ROWS}).all()
    return sum(_finish_one(platform, operation) for operation in unfinished)


def _finish_one(platform: Platform, operation: Row[Any]) -> bool:
    try:
        if operation.state == "CANCELLING":
            cancel_waiting(platform, operation.id)
        pause_after_canary(platform, operation.id)
        return finish(platform, operation.id)
    except (DBAPIError, RuntimeError) as error:
        # An operation that can't be finished now must not block the others.
        _log.error(
            "not_finished", extra={"operation_id": str(operation.id), "error": plain_message(error)}
        )
        return False


def _store_results(platform: Platform) -> int:
    with platform.single.connect() as db:
        operations = db.execute(
            select(OperationRow.id, OperationRow.result)
            .where(OperationRow.finished_at.is_not(None), OperationRow.result_stored_at.is_(None))
            .order_by(OperationRow.finished_at)
            .limit(_BATCH_ROWS)
        ).all()
    stored = takewhile(
        bool, (store_result(platform, operation.id, operation.result) for operation in operations)
    )
    return sum(stored)


def _publish(platform: Platform) -> int:
    pace = platform.pace
    names = {"republish_after_s": pace.republish_after_s, "most": _BATCH_ROWS}
    with platform.single.connect() as db:
        lost = db.execute(_REDISPATCH, names).all()
    platform.step("dispatching")
    # A silent broker costs seconds for each message, so stop at the first refusal.
    sending = (
        dispatch_chunk(platform, chunk.operation_id, chunk.chunk_no, chunk.queue) for chunk in lost
    )
    sent = sum(takewhile(bool, sending))
    if sent < len(lost):
        return sent
    with platform.single.connect() as db:
        waiting = db.scalars(_WAITING, {"most": _BATCH_ROWS}).all()
    for operation_id in waiting:
        dispatched, all_of_them = dispatch_next(platform, operation_id, pace.in_flight_limit)
        sent += dispatched
        if not all_of_them:
            break
    return sent
