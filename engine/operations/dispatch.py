"""Dispatch: send the messages that say a chunk may be due; the row decides whether it is.

A tenant has at most as many messages in the queue as its in-flight limit, so that a million items
delay nobody else; whoever ends a chunk sends the tenant's next one, its operations taking turns.
"""

from datetime import timedelta
from itertools import takewhile
from uuid import UUID

from sqlalchemy import Connection, text

from engine.ports.platform import Pace, Platform

RUN_CHUNK = "bulk.run_chunk"

_LONGEST_COUNTDOWN_S = 60.0

# The in-flight limit is per tenant, however much it asked for: its operations take turns, the one
# with the fewest chunks in flight first. With a rate, chunks that are dispatched get their time
# after those that were dispatched before. What is due much later is left to the sweeper and takes
# nobody's place. Single transitions have no limit: all are sent when they are submitted.
_NEXT = text("""
WITH open AS (
  SELECT o.id, o.created_at, o.canary_ends_before_chunk, o.queue,
         least(:in_flight_limit, o.parallel) AS wide,
         coalesce(o.paced_until, clock_timestamp()) AS paced_until,
         (SELECT count(*) FROM operation_chunk c
           WHERE c.operation_id = o.id
             AND (c.status = 'RUNNING' OR c.status = 'PENDING' AND c.published_at IS NOT NULL
                    AND c.run_after <= clock_timestamp() + make_interval(secs => :soon_s))
         ) AS on_their_way
    FROM operation o JOIN operation mine ON mine.id = :operation_id
   WHERE o.tenant_id = mine.tenant_id AND o.queue = mine.queue
     AND o.state IN ('QUEUED', 'RUNNING')
), ranked AS (
  SELECT open.id, c.chunk_no,
         row_number() OVER (ORDER BY open.on_their_way + c.nth, open.created_at) AS place
    FROM open CROSS JOIN LATERAL (
      SELECT first.chunk_no, row_number() OVER (ORDER BY first.chunk_no) AS nth FROM (
        SELECT chunk_no FROM operation_chunk c
         WHERE c.operation_id = open.id AND c.status = 'PENDING' AND c.published_at IS NULL
           AND (open.canary_ends_before_chunk IS NULL OR c.chunk_no < open.canary_ends_before_chunk)
           AND greatest(c.run_after, open.paced_until)
               <= clock_timestamp() + make_interval(secs => :soon_s)
         ORDER BY chunk_no LIMIT greatest(open.wide - open.on_their_way, 0)) AS first) AS c
), waiting AS (
  SELECT c.operation_id, c.chunk_no, cardinality(c.ids) AS items
    FROM ranked r JOIN operation_chunk c ON c.operation_id = r.id AND c.chunk_no = r.chunk_no
   WHERE c.status = 'PENDING' AND c.published_at IS NULL
   ORDER BY r.place
   LIMIT (SELECT CASE WHEN bool_and(queue = 'bulk')
                      THEN greatest(0, least(:most, :in_flight_limit - sum(on_their_way)))
                      ELSE :most END FROM open)
     FOR UPDATE OF c SKIP LOCKED
), placed AS (
  SELECT operation_id, chunk_no,
         sum(items) OVER (PARTITION BY operation_id ORDER BY chunk_no DESC) AS ahead
    FROM waiting
), paced AS (
  UPDATE operation o
     SET paced_until = greatest(o.paced_until, clock_timestamp())
           + make_interval(secs => w.items / o.rate)
    FROM (SELECT operation_id, sum(items) AS items FROM waiting GROUP BY operation_id) AS w
   WHERE o.id = w.operation_id AND o.rate IS NOT NULL
  RETURNING o.id, o.rate, o.paced_until
)
UPDATE operation_chunk c
   SET published_at = clock_timestamp(), published = published + 1,
       run_after = greatest(c.run_after, (
         SELECT paced_until - make_interval(secs => placed.ahead / rate)
           FROM paced WHERE paced.id = placed.operation_id))
  FROM placed, operation o
 WHERE c.operation_id = placed.operation_id AND c.chunk_no = placed.chunk_no
   AND o.id = c.operation_id
RETURNING c.operation_id, c.chunk_no, o.queue, c.run_after - clock_timestamp() AS due_in
""")

_ON_THEIR_WAY = text("""
SELECT count(*) FROM operation o JOIN operation_chunk c ON c.operation_id = o.id
 WHERE o.tenant_id = :tenant_id AND o.queue = :queue AND o.state IN ('QUEUED', 'RUNNING')
   AND (c.status = 'RUNNING' OR c.status = 'PENDING' AND c.published_at IS NOT NULL
          AND c.run_after <= clock_timestamp() + make_interval(secs => :soon_s))
""")


def in_flight_room(db: Connection, pace: Pace, tenant_id: int, queue: str) -> int:
    """Return how many more chunks of a tenant fit under its in-flight limit."""
    names = {"tenant_id": tenant_id, "queue": queue, "soon_s": _LONGEST_COUNTDOWN_S}
    return max(0, pace.in_flight_limit - (db.scalar(_ON_THEIR_WAY, names) or 0))


def dispatch_first(
    platform: Platform, operation_id: UUID, queue: str, most: int, apart_s: float = 0.0
) -> None:
    """Send the messages of the first chunks, *apart_s* apart; their rows say they were sent."""
    platform.step("submitted")
    for chunk_no in range(most):
        due_in = timedelta(seconds=chunk_no * apart_s)
        if not dispatch_chunk(platform, operation_id, chunk_no, queue, due_in):
            break  # a silent broker costs seconds for each message; the sweeper sends the rest
    platform.step("dispatched")


def dispatch_next(platform: Platform, operation_id: UUID, most: int) -> tuple[int, bool]:
    """Dispatch up to *most* waiting chunks of the tenant of an operation.

    Returns:
        How many were sent, and whether the broker took all of them.
    """
    names = {
        "operation_id": operation_id,
        "most": most,
        "in_flight_limit": platform.pace.in_flight_limit,
        "soon_s": _LONGEST_COUNTDOWN_S,
    }
    with platform.single.connect() as db:
        chunks = db.execute(_NEXT, names).all()
    platform.step("dispatching")
    # What is due much later wasn't refused by the broker.
    due = [chunk for chunk in chunks if chunk.due_in.total_seconds() <= _LONGEST_COUNTDOWN_S]
    # A silent broker costs seconds for each message, so stop at the first refusal.
    sending = (
        dispatch_chunk(platform, chunk.operation_id, chunk.chunk_no, chunk.queue, chunk.due_in)
        for chunk in sorted(due, key=lambda chunk: (str(chunk.operation_id), chunk.chunk_no))
    )
    sent = sum(takewhile(bool, sending))
    platform.step("dispatched")
    return sent, sent == len(due)


def dispatch_chunk(
    platform: Platform,
    operation_id: UUID,
    chunk_no: int,
    queue: str,
    due_in: timedelta = timedelta(0),
) -> bool:
    """Send one chunk's dispatch message, or leave it to the sweeper if it is due much later."""
    wait_s = max(0.0, due_in.total_seconds())
    if wait_s > _LONGEST_COUNTDOWN_S:
        return False
    return platform.publish(
        RUN_CHUNK,
        {"operation_id": str(operation_id), "chunk_no": chunk_no},
        queue=queue,
        countdown_s=wait_s,
    )
