"""Pause and resume: hold back the chunks of an operation that wait, and let them go again."""

from math import ceil
from typing import Any
from uuid import UUID

from sqlalchemy import text

from domain.permissions import Actor
from engine.input.checks import check, refuse
from engine.operations.dispatch import dispatch_next
from engine.operations.finish import finish
from engine.operations.request import RATE
from engine.operations.steering import authorize_steering, check_state, log_steered, steering
from engine.ports.platform import Platform

_PAUSE = text("""
WITH before AS (
  SELECT id, state FROM operation
   WHERE id = :operation_id AND tenant_id = :tenant_id AND state IN ('QUEUED', 'RUNNING')
     FOR UPDATE
)
UPDATE operation o
   SET state = 'PAUSED',
       paused_by = coalesce((SELECT name FROM person WHERE id = :actor_id), 'the system')
  FROM before WHERE o.id = before.id
RETURNING before.state AS was
""")

# At a slower rate nobody should get a minute's worth of items at once: chunks that nobody has begun
# are split again, unless a canary is among them. New chunks get numbers after all others, so that
# their ids follow too.
_SPLIT_CHUNKS = text("""
WITH known AS (
  SELECT o.canary_ends_before_chunk, max(c.chunk_no) AS last,
         max(cardinality(c.ids)) FILTER (WHERE c.status = 'PENDING') AS widest,
         max(c.chunk_no) FILTER (WHERE c.status <> 'PENDING' OR c.attempt > 0
                                    OR c.outcomes IS NOT NULL) AS begun
    FROM operation o JOIN operation_chunk c ON c.operation_id = o.id
   WHERE o.id = :operation_id AND o.tenant_id = :tenant_id AND o.state = 'PAUSED'
   GROUP BY o.id
), taken AS (
  DELETE FROM operation_chunk c USING known
   WHERE c.operation_id = :operation_id AND c.status = 'PENDING' AND known.widest > :items
     AND c.chunk_no > coalesce(known.begun, -1)
     AND c.chunk_no >= coalesce(known.canary_ends_before_chunk, 0)
  RETURNING c.*, known.last
)
INSERT INTO operation_chunk (operation_id, chunk_no, ids, expected_versions, inputs)
SELECT operation_id, last + row_number() OVER (ORDER BY chunk_no, first), piece.ids,
       expected_versions[first : first + :items - 1],
       (SELECT jsonb_object_agg(id, inputs -> CAST(id AS text))
          FROM unnest(piece.ids) AS id WHERE inputs ? CAST(id AS text))
  FROM taken, generate_series(1, cardinality(ids), :items) AS first,
       LATERAL (SELECT taken.ids[first : first + :items - 1] AS ids) AS piece
""")

# What was dispatched before is dispatched again: its messages found the operation paused. With a
# rate, chunks get new times. A canary that hasn't ended stays one. The chunks are locked before the
# operation: the lock order that every transaction keeps.
_RESUME = text("""
WITH locked AS (
  SELECT chunk_no FROM operation_chunk
   WHERE operation_id = :operation_id AND status = 'PENDING' ORDER BY chunk_no FOR UPDATE
), before AS (
  SELECT id, rate FROM operation
   WHERE id = :operation_id AND tenant_id = :tenant_id AND state = 'PAUSED'
     AND (SELECT count(*) FROM locked) >= 0
     FOR UPDATE
), resumed AS (
  UPDATE operation o
     SET state = 'QUEUED', paced_until = clock_timestamp(),
         rate = coalesce(CAST(:rate AS float8), o.rate), paused_by = NULL, held = false,
         canary_ends_before_chunk = CASE WHEN EXISTS (
           SELECT FROM operation_chunk c
            WHERE c.operation_id = o.id AND c.chunk_no < o.canary_ends_before_chunk
              AND c.status IN ('PENDING', 'RUNNING')) THEN canary_ends_before_chunk END
    FROM before WHERE o.id = before.id
  RETURNING o.id, o.parallel, o.run_at, o.atomic, before.rate AS old_rate, o.rate AS new_rate
), waiting AS (
  UPDATE operation_chunk c
     SET published_at = NULL, contended_since = NULL,
         run_after = greatest(clock_timestamp(), resumed.run_at)
    FROM resumed, locked
   WHERE c.operation_id = resumed.id AND c.chunk_no = locked.chunk_no AND c.status = 'PENDING'
)
SELECT parallel, atomic, old_rate, new_rate FROM resumed
""")

_CANARY = "its canary"
"""The name of who paused an operation that begins with a canary."""

_PAUSE_FOR_CANARY = text("""
UPDATE operation o
   SET state = 'PAUSED', paused_by = :its_canary, held = true
 WHERE o.id = :operation_id AND o.state IN ('QUEUED', 'RUNNING')
   AND o.canary_ends_before_chunk IS NOT NULL
   AND NOT EXISTS (SELECT FROM operation_chunk c
                    WHERE c.operation_id = o.id AND c.chunk_no < o.canary_ends_before_chunk
                      AND c.status IN ('PENDING', 'RUNNING'))
   AND EXISTS (SELECT FROM operation_chunk c
                WHERE c.operation_id = o.id AND c.status = 'PENDING')
""")


def pause(platform: Platform, actor: Actor, operation_id: UUID) -> None:
    """Pause an operation: waiting chunks go on waiting, a running one ends as it is.

    Who submitted it may, and holders of `operation.pause`. Pausing twice changes nothing.

    Raises:
        NotFound: The actor's tenant has no such operation.
        PermissionDenied: It is another person's operation; the denial is recorded.
        IllegalTransition: It has ended, or is being cancelled.
    """
    authorize_steering(platform, actor, operation_id, "pause")
    names = {
        "operation_id": operation_id,
        "tenant_id": actor.tenant_id,
        "actor_id": actor.person_id,
    }
    with steering(platform, actor, operation_id, "pause") as db:
        was = db.scalar(_PAUSE, names)
        if was is None:
            check_state(db, names, "pause", fine=("PAUSED",))
        else:
            log_steered(platform, db, actor, operation_id, {"state": (was, "PAUSED")})
    platform.step("paused")
    # Its last chunk may have ended meanwhile, and whoever ended it saw the operation locked.
    finish(platform, operation_id)


def resume(
    platform: Platform, actor: Actor, operation_id: UUID, *, rate: float | None = None
) -> None:
    """Resume an operation, also after its canary; *rate* is a new limit in items a second.

    Who submitted it may, and holders of `operation.resume`. Chunks that were begun go on as they
    are; at a slower rate the others go on in smaller chunks.

    Raises:
        InvalidInput: The rate is not what was expected, or the operation is all or nothing.
        NotFound: The actor's tenant has no such operation.
        PermissionDenied: It is another person's operation; the denial is recorded.
        IllegalTransition: It has ended, or is being cancelled; or a rate is given and it isn't
            paused.
    """
    if rate is not None:
        check("rate", rate, RATE)
    authorize_steering(platform, actor, operation_id, "resume")
    names = {"operation_id": operation_id, "tenant_id": actor.tenant_id, "rate": rate}
    new_values = {} if rate is None else {"rate": rate}
    with steering(platform, actor, operation_id, "resume", **new_values) as db:
        if rate is not None:
            db.execute(_SPLIT_CHUNKS, names | {"items": ceil(rate)})
        resumed = db.execute(_RESUME, names).one_or_none()
        if resumed is None:
            check_state(db, names, "resume", fine=("QUEUED", "RUNNING") if rate is None else ())
        elif rate is not None and resumed.atomic:
            refuse("rate", "all or nothing beside it", "to continue on error")
        else:
            changes: dict[str, Any] = {"state": ("PAUSED", "QUEUED")}
            if resumed.old_rate != resumed.new_rate:
                changes["rate"] = (resumed.old_rate, resumed.new_rate)
            log_steered(platform, db, actor, operation_id, changes)
    platform.step("resumed")
    if resumed is not None:
        in_flight_limit = platform.pace.in_flight_limit
        dispatch_next(
            platform, operation_id, min(in_flight_limit, resumed.parallel or in_flight_limit)
        )
        finish(platform, operation_id)


def pause_after_canary(platform: Platform, operation_id: UUID) -> None:
    """Pause an operation whose canary has ended, if it has one and isn't resumed."""
    with platform.single.connect() as db:
        db.execute(_PAUSE_FOR_CANARY, {"operation_id": operation_id, "its_canary": _CANARY})
