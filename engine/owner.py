"""Whose an operation is: who may steer it, and whether it can be steered still."""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from domain.errors import IllegalTransition, NotFound
from domain.operation import OPERATION
from domain.permissions import Actor
from engine.denials import demand
from engine.platform import Platform

_OWNER = text("""
SELECT actor_id FROM operation WHERE id = :operation_id AND tenant_id = :tenant_id
""")

_STATE = text("SELECT state FROM operation WHERE id = :operation_id AND tenant_id = :tenant_id")


def demand_own(platform: Platform, actor: Actor, operation_id: UUID, verb: str) -> None:
    """Let pass who submitted an operation, and who holds the permission `operation.<verb>`.

    Raises:
        NotFound: The actor's tenant has no such operation.
        PermissionDenied: It is somebody else's; the denial is recorded.
    """
    names = {"operation_id": operation_id, "tenant_id": actor.tenant_id}
    with platform.single.connect() as db:
        owner = db.execute(_OWNER, names).one_or_none()
    if owner is None:
        raise NotFound(what="operation", got=str(operation_id))
    if owner.actor_id != actor.person_id:
        demand(platform, actor, "operation", verb)


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
