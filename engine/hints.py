"""Hints: messages that say a chunk may be due; the row decides whether it is.

A window of messages an operation is in the queue at a time, so that a million items don't
bury anybody; whoever ends a chunk sends the next.
"""

from datetime import timedelta
from itertools import takewhile
from uuid import UUID

from sqlalchemy import text

from engine.platform import Platform

RUN_CHUNK = "bulk.run_chunk"
WRITE_AUDIT = "audit.write"

_LONGEST_COUNTDOWN_S = 60.0

# With a rate, what is hinted at gets its place in time behind what was hinted at before it.
_NEXT = text("""
WITH waiting AS (
  SELECT c.chunk_no, cardinality(c.ids) AS items
    FROM operation_chunk c JOIN operation o ON o.id = c.operation_id
   WHERE c.operation_id = :operation_id AND c.status = 'PENDING' AND c.published_at IS NULL
     AND o.state IN ('QUEUED', 'RUNNING') AND (o.hold_from IS NULL OR c.chunk_no < o.hold_from)
   ORDER BY c.chunk_no LIMIT :most FOR UPDATE OF c SKIP LOCKED
), placed AS (
  SELECT chunk_no, sum(items) OVER (ORDER BY chunk_no DESC) AS ahead FROM waiting
), paced AS (
  UPDATE operation
     SET paced_until = greatest(paced_until, clock_timestamp())
           + make_interval(secs => (SELECT sum(items) FROM waiting) / rate)
   WHERE id = :operation_id AND rate IS NOT NULL AND EXISTS (SELECT FROM waiting)
  RETURNING rate, paced_until
)
UPDATE operation_chunk c
   SET published_at = clock_timestamp(), published = published + 1,
       run_after = greatest(c.run_after, (
         SELECT paced_until - make_interval(secs => placed.ahead / rate) FROM paced))
  FROM placed, operation o
 WHERE c.operation_id = :operation_id AND c.chunk_no = placed.chunk_no AND o.id = c.operation_id
RETURNING c.chunk_no, o.queue, c.run_after - clock_timestamp() AS due_in
""")


def send_first(platform: Platform, operation_id: UUID, queue: str, most: int) -> None:
    """Send the hints of an operation's first chunks, which it was stored with."""
    platform.step("submitted")
    for chunk_no in range(most):
        if not send_chunk(platform, operation_id, chunk_no, queue):
            break  # a silent broker costs seconds a message; the sweeper sends the rest
    platform.step("hinted")


def send_next(platform: Platform, operation_id: UUID, most: int) -> int:
    """Send hints for up to *most* waiting chunks of an operation that have none yet.

    Returns:
        How many were sent; the broker may fall silent before the last.
    """
    with platform.single.connect() as db:
        due = db.execute(_NEXT, {"operation_id": operation_id, "most": most}).all()
    platform.step("hinting")
    # A silent broker costs seconds a message, so the first refusal is enough.
    hints = (
        send_chunk(platform, operation_id, chunk.chunk_no, chunk.queue, chunk.due_in)
        for chunk in sorted(due)
    )
    sent = sum(takewhile(bool, hints))
    platform.step("hinted")
    return sent


def send_chunk(
    platform: Platform,
    operation_id: UUID,
    chunk_no: int,
    queue: str,
    due_in: timedelta = timedelta(0),
) -> bool:
    """Send one chunk's hint; what is due much later is left to the sweeper."""
    wait_s = max(0.0, due_in.total_seconds())
    if wait_s > _LONGEST_COUNTDOWN_S:
        return False
    return platform.publish(
        RUN_CHUNK,
        {"operation_id": str(operation_id), "chunk_no": chunk_no},
        queue=queue,
        countdown_s=wait_s,
    )


def wake_audit(platform: Platform, *, after_s: float = 0.0, surely: bool = False) -> None:
    """Have the outbox drained soon; one such message is on its way, or *surely* another."""
    if surely or platform.locks.once(WRITE_AUDIT, platform.pace.republish_after_s):
        platform.publish(WRITE_AUDIT, {}, queue="audit", countdown_s=after_s)
