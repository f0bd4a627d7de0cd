"""Whose an operation is: who may steer it, and whether it can be steered still."""

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

# Whose an operation is, and whose those are that it came out of.
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


def demand_own(platform: Platform, actor: Actor, operation_id: UUID, verb: str) -> None:
    """Let pass who submitted an operation, and who holds the permission `operation.<verb>`.

    What came out of an operation belongs to its owner too, whoever asked for it first: there is
    one undo, and one who can't take a row back must not be the last who tried.

    Raises:
        NotFound: The actor's tenant has no such operation.
        PermissionDenied: It is somebody else's; the denial is recorded.
    """
    names = {"operation_id": operation_id, "tenant_id": actor.tenant_id}
    with watch_probes(platform, actor, verb):
        with platform.single.connect() as db:
            owners = db.scalars(_OWNERS, names).all()
        if not owners:
            raise not_there(platform, operation_id)
    if actor.person_id not in owners:
        authorize(platform, actor, "operation", verb)


def not_there(platform: Platform, operation_id: UUID) -> NotFound:
    """Return what is told of an operation that there never was, or that isn't kept any more."""
    kept_days = platform.retention.operation_days
    return NotFound(what="operation", got=str(operation_id), kept_days=kept_days)


@contextmanager
def steering(
    platform: Platform, actor: Actor, operation_id: UUID, verb: str, **values: Any
) -> Iterator[Connection]:
    """Give a transaction in which an operation is steered; a refusal leaves a record as well.

    Args:
        platform: The outside world.
        actor: Who steers.
        operation_id: What is steered.
        verb: What they want: `pause`, `resume` or `cancel`.
        values: What else of it is to be written.
    """
    targets = {each.target for each in OPERATION.transitions if each.verb == verb}
    wanted = AttemptedWrite(
        "UPDATED",
        "operation",
        values={"state": " or ".join(targets), **values},
        reason=_reason(actor),
        operation_id=operation_id,
    )
    with recorded_if_refused(platform, actor, wanted), platform.database.begin() as db:
        yield db


def log_steered(
    platform: Platform,
    db: Connection,
    actor: Actor,
    operation_id: UUID,
    changes: Mapping[str, tuple[Any, Any]],
) -> None:
    """Record that somebody steered an operation: what it was before and is now, by column."""
    told = {name: {"before": old, "after": new} for name, (old, new) in changes.items()}
    log_entities(
        db,
        event_type="UPDATED",
        kind="operation",
        tenant_id=actor.tenant_id,
        actor_id=actor.person_id,
        correlation_id=operation_id,
        reason=_reason(actor),
        ids=[None],
        versions=[None],
        changes=[json.dumps(told)],
        now=platform.clock(db),
        origin=actor.origin.as_dict,
    )


def _reason(actor: Actor) -> str:
    return "system_auto" if actor.person_id is None else "user_action"


def check_state(
    db: Connection, names: Mapping[str, Any], verb: str, *, fine: Collection[str]
) -> None:
    """Say why an operation wasn't steered, unless it is in one of the states that are *fine*.

    Raises:
        IllegalTransition: It is in a state from which the verb leads nowhere.
    """
    state = db.scalar(_STATE, names)
    if state in fine:
        return
    sources = [each.source for each in OPERATION.transitions if each.verb == verb]
    raise IllegalTransition(
        message=f"The operation is {state}; {verb} takes {' or '.join(sources)}",
        state=state,
        allowed=[each.target for each in OPERATION.leaving(str(state))],
    )
