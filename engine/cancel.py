"""Cancelling: what runs ends as it is, what waits is cancelled."""

from uuid import UUID

from sqlalchemy import text

from domain.errors import IllegalTransition, NotFound
from domain.operation import CANCELLABLE_STATES
from domain.permissions import Actor
from engine.denials import demand
from engine.finish import finish
from engine.platform import Platform

_CANCEL = text("""
UPDATE operation o
   SET state = 'CANCELLING',
       details = o.details || jsonb_build_object('cancelled_by', coalesce(
         (SELECT name FROM person WHERE id = :actor_id), 'the system'))
 WHERE o.id = :operation_id AND o.tenant_id = :tenant_id
   AND o.state IN ('QUEUED', 'RUNNING', 'PAUSED')
""")

_STATE = text("SELECT state FROM operation WHERE id = :operation_id AND tenant_id = :tenant_id")

_OWNER = text("""
SELECT actor_id FROM operation WHERE id = :operation_id AND tenant_id = :tenant_id
""")

# Items of a chunk that waited for locks keep the outcomes they have; the rest is cancelled.
# Nobody may claim a chunk whose worker was lost while its operation is cancelled, so it ends
# here too; SKIP LOCKED: not while its change is still open.
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
    """Cancel an operation: chunks that wait never run, a running one ends as it is.

    Who submitted it may, and who holds `operation.cancel`; the operation keeps who did.

    Raises:
        NotFound: The actor's tenant has no such operation.
        PermissionDenied: It is somebody else's; the denial is recorded.
        IllegalTransition: It has ended already.
    """
    names = {
        "operation_id": operation_id,
        "tenant_id": actor.tenant_id,
        "actor_id": actor.person_id,
    }
    _demand_own(platform, actor, operation_id)
    with platform.database.begin() as db:
        cancelling = db.execute(_CANCEL, names).rowcount
        state = db.scalar(_STATE, names)
    if state is None:
        raise NotFound(what="operation", got=str(operation_id))
    if not cancelling and state != "CANCELLING":
        raise IllegalTransition(
            message=f"The operation is {state}; only {', '.join(CANCELLABLE_STATES)} can be "
            "cancelled",
            state=state,
            allowed=[],
        )
    platform.step("cancelling")
    cancel_waiting(platform, operation_id)
    finish(platform, operation_id)


def _demand_own(platform: Platform, actor: Actor, operation_id: UUID) -> None:
    names = {"operation_id": operation_id, "tenant_id": actor.tenant_id}
    with platform.single.connect() as db:
        owner = db.execute(_OWNER, names).one_or_none()
    if owner is not None and owner.actor_id != actor.person_id:
        demand(platform, actor, "operation", "cancel")


def cancel_waiting(platform: Platform, operation_id: UUID) -> None:
    """Take the waiting and the lost chunks of an operation that is being cancelled to their end."""
    with platform.single.connect() as db:
        db.execute(_CANCEL_WAITING, {"operation_id": operation_id})
