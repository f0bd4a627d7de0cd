"""Cancel: let the running chunks of an operation end, and cancel those that wait."""

from uuid import UUID

from sqlalchemy import text

from domain.permissions import Actor
from engine.operations.finish import finish
from engine.operations.steering import authorize_steering, check_state, log_steered, steering
from engine.ports.platform import Platform

_CANCEL = text("""
WITH before AS (
  SELECT id, state FROM operation
   WHERE id = :operation_id AND tenant_id = :tenant_id
     AND state IN ('QUEUED', 'RUNNING', 'PAUSED')
     FOR UPDATE
)
UPDATE operation o
   SET state = 'CANCELLING',
       cancelled_by = coalesce((SELECT name FROM person WHERE id = :actor_id), 'the system')
  FROM before WHERE o.id = before.id
RETURNING before.state AS was
""")

# Items that have an outcome already keep it (their chunk waited for contended rows); the others are
# cancelled. Nobody may claim a chunk of an operation that is being cancelled, so one whose worker
# was lost ends here too; SKIP LOCKED: not while its change is still open.
_CANCEL_WAITING = text("""
WITH lost AS (
  SELECT chunk_no FROM operation_chunk
   WHERE operation_id = :operation_id AND status = 'RUNNING'
     AND lease_until < clock_timestamp() FOR UPDATE SKIP LOCKED
)
UPDATE operation_chunk c
   SET status = 'CANCELLED', claim = NULL, lease_until = NULL,
       outcomes = (SELECT array_agg(CASE WHEN outcome = 0 THEN 4 ELSE outcome END ORDER BY n)
                     FROM unnest(coalesce(c.outcomes, array_fill(0, ARRAY[cardinality(c.ids)])))
                          WITH ORDINALITY AS each(outcome, n)),
       cancelled = cardinality(c.ids) - c.succeeded - c.skipped - c.failed
 WHERE c.operation_id = :operation_id
   AND (c.status = 'PENDING' OR c.chunk_no IN (SELECT chunk_no FROM lost))
   AND EXISTS (SELECT FROM operation o WHERE o.id = c.operation_id AND o.state = 'CANCELLING')
""")


def cancel(platform: Platform, actor: Actor, operation_id: UUID) -> None:
    """Cancel an operation: waiting chunks never run, a running one ends as it is.

    Who submitted it may, and holders of `operation.cancel`; the operation keeps their name.

    Raises:
        NotFound: The actor's tenant has no such operation.
        PermissionDenied: It is another person's operation; the denial is recorded.
        IllegalTransition: It has ended already.
    """
    names = {
        "operation_id": operation_id,
        "tenant_id": actor.tenant_id,
        "actor_id": actor.person_id,
    }
    authorize_steering(platform, actor, operation_id, "cancel")
    with steering(platform, actor, operation_id, "cancel") as db:
        was = db.scalar(_CANCEL, names)
        if was is None:
            check_state(db, names, "cancel", fine=("CANCELLING",))
        else:
            log_steered(platform, db, actor, operation_id, {"state": (was, "CANCELLING")})
    platform.step("cancelling")
    cancel_waiting(platform, operation_id)
    finish(platform, operation_id)


def cancel_waiting(platform: Platform, operation_id: UUID) -> None:
    """End the waiting and the lost chunks of an operation that is being cancelled."""
    with platform.single.connect() as db:
        db.execute(_CANCEL_WAITING, {"operation_id": operation_id})
