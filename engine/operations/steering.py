"""Steering: check who may pause, resume, cancel or follow up an operation, and record it."""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from domain.errors import IllegalTransition, NotFound
from domain.machines.operation import OPERATION
from domain.permissions import Actor
from engine.access.cross_tenant_watch import watch_probes
from engine.access.permissions import authorize
from engine.access.refused_writes import AttemptedWrite, recorded_if_refused
from engine.audit.outbox import log_entities
from engine.ports.platform import Platform

# The owner of an operation, and the owners of the operations that it follows up.
_OWNERS = text("""
WITH RECURSIVE up AS (
  SELECT actor_id, parent_id, purpose FROM operation
   WHERE id = :operation_id AND tenant_id = :tenant_id
  UNION ALL
  SELECT o.actor_id, o.parent_id, o.purpose
    FROM up JOIN operation o ON o.id = up.parent_id WHERE up.purpose IS NOT NULL
)
SELECT actor_id FROM up
""")

_STATE = text("SELECT state FROM operation WHERE id = :operation_id AND tenant_id = :tenant_id")


def authorize_steering(platform: Platform, actor: Actor, operation_id: UUID, verb: str) -> None:
    """Let pass the owner of an operation, and holders of the permission `operation.<verb>`.

    The owner is who submitted it. A follow-up operation belongs to its parent's owner too, whoever
    asked for it first: there is only one undo, and the owner must always be able to take it back.

    Raises:
        NotFound: The actor's tenant has no such operation.
        PermissionDenied: It is another person's operation; the denial is recorded.
    """
    names = {"operation_id": operation_id, "tenant_id": actor.tenant_id}
    with watch_probes(platform, actor, verb):
        with platform.single.connect() as db:
            owners = db.scalars(_OWNERS, names).all()
        if not owners:
            raise operation_not_found(platform, operation_id)
    if actor.person_id not in owners:
        authorize(platform, actor, "operation", verb)


def operation_not_found(platform: Platform, operation_id: UUID) -> NotFound:
    """Return the error for an operation that never existed, or that isn't kept any more."""
    kept_days = platform.retention.operation_days
    return NotFound(what="operation", got=str(operation_id), kept_days=kept_days)


@contextmanager
def steering(
    platform: Platform, actor: Actor, operation_id: UUID, verb: str, **values: Any
) -> Iterator[Connection]:
    """Open the transaction in which an operation is steered; a refusal is recorded as well.

    Args:
        platform: The outside world.
        actor: Who steers.
        operation_id: The operation that is steered.
        verb: What the actor asks for: `pause`, `resume` or `cancel`.
        values: Other columns of the operation that are to be written.
    """
    targets = {transition.target for transition in OPERATION.transitions if transition.verb == verb}
    attempted_write = AttemptedWrite(
        "UPDATED",
        "operation",
        values={"state": " or ".join(targets), **values},
        reason=_cause(actor),
        operation_id=operation_id,
    )
    with recorded_if_refused(platform, actor, attempted_write), platform.database.begin() as db:
        yield db


def log_steered(
    platform: Platform,
    db: Connection,
    actor: Actor,
    operation_id: UUID,
    changes: Mapping[str, tuple[Any, Any]],
) -> None:
    """Record that somebody steered an operation: values before and after, by column."""
    before_after = {name: {"before": old, "after": new} for name, (old, new) in changes.items()}
    log_entities(
        db,
        event_type="UPDATED",
        kind="operation",
        tenant_id=actor.tenant_id,
        actor_id=actor.person_id,
        correlation_id=operation_id,
        reason=_cause(actor),
        ids=[None],
        versions=[None],
        changes=[json.dumps(before_after)],
        now=platform.clock(db),
        origin=actor.origin.as_dict,
    )


def _cause(actor: Actor) -> str:
    return "system_auto" if actor.person_id is None else "user_action"


def check_state(
    db: Connection, names: Mapping[str, Any], verb: str, *, fine: Collection[str]
) -> None:
    """Explain why an operation wasn't steered, unless its state is one of *fine*.

    Raises:
        IllegalTransition: No transition of this verb leaves the operation's state.
    """
    state = db.scalar(_STATE, names)
    if state in fine:
        return
    sources = [transition.source for transition in OPERATION.transitions if transition.verb == verb]
    raise IllegalTransition(
        message=f"The operation is {state}; {verb} takes {' or '.join(sources)}",
        state=state,
        allowed=[transition.target for transition in OPERATION.leaving(str(state))],
    )
