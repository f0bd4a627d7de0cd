"""Hints: messages that say a chunk may be due; the row decides whether it is.

A window of messages an operation is in the queue at a time, so that a million items don't
bury anybody; whoever ends a chunk sends the next.
"""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import text

from engine.platform import Platform

RUN_CHUNK = "bulk.run_chunk"
WRITE_AUDIT = "audit.write"

_LONGEST_COUNTDOWN_S = 60.0

_NEXT = text("""
UPDATE operation_chunk c
   SET published_at = clock_timestamp(), published = published + 1
  FROM operation o
 WHERE o.id = c.operation_id
   AND (c.operation_id, c.chunk_no) IN (
     SELECT operation_id, chunk_no FROM operation_chunk
      WHERE operation_id = :operation_id AND status = 'PENDING' AND published_at IS NULL
      ORDER BY chunk_no LIMIT :most FOR UPDATE SKIP LOCKED)
   AND o.state IN ('QUEUED', 'RUNNING')
RETURNING c.chunk_no, o.queue, c.run_after - clock_timestamp() AS due_in
""")


def send_next(platform: Platform, operation_id: UUID, most: int) -> None:
    """Send hints for up to *most* waiting chunks of an operation that have none yet."""
    with platform.single.connect() as db:
        due = db.execute(_NEXT, {"operation_id": operation_id, "most": most}).all()
    platform.step("hinting")
    for chunk in sorted(due):
        send_chunk(platform, operation_id, chunk.chunk_no, chunk.queue, chunk.due_in)
    platform.step("hinted")


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
