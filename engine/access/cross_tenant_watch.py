"""Watching who names what is another tenant's: the answer tells nothing, the record does."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from domain.audit.denial_risk import Denial
from domain.errors import NotFound
from domain.permissions import Actor
from engine.access.other_tenants import id_named, ids_of_other_tenants, operation_of_other_tenant
from engine.access.permissions import held_by, record_denial
from engine.ports.platform import Platform

_OPERATION = "operation"
_log = logging.getLogger(__name__)


@contextmanager
def watch_probes(platform: Platform, actor: Actor, action: str) -> Iterator[None]:
    """Let a NotFound through as it is; leave a denial if what it names is another tenant's.

    Args:
        platform: The outside world.
        actor: Who asks.
        action: What they want to do with it, e.g. `view`.
    """
    try:
        yield
    except NotFound as missing:
        record_probes(platform, actor, action, [(missing.facts["what"], missing.facts["got"])])
        raise


def record_probes(
    platform: Platform, actor: Actor, action: str, named: Iterable[tuple[str, Any]]
) -> None:
    """Leave a denial for each resource type of which something of another tenant was named.

    Args:
        platform: The outside world.
        actor: Who asks.
        action: What they want to do with it.
        named: What wasn't found, by resource type and what was given for it.
    """
    by_type: dict[str, list[Any]] = defaultdict(list)
    for resource_type, given in named:
        by_type[resource_type].append(given)
    if not by_type:
        return
    try:
        with platform.database.begin() as db:
            for resource_type, given in by_type.items():
                leave_probe(platform, db, actor, action, resource_type=resource_type, given=given)
    except SQLAlchemyError as trouble:
        # Whoever asked is told what they would be told anyway.
        _log.error("denial_not_recorded", extra={"reason": type(trouble).__name__})


def leave_probe(
    platform: Platform,
    db: Connection,
    actor: Actor,
    action: str,
    *,
    resource_type: str,
    given: Iterable[Any],
) -> bool:
    """Say whether something that wasn't found is another tenant's, and leave a denial if so."""
    tenant_id, operation_id, ids = actor.tenant_id, None, []
    if resource_type == _OPERATION:
        operations = (UUID(each) for each in given)
        theirs = (each for each in operations if operation_of_other_tenant(db, tenant_id, each))
        operation_id = next(theirs, None)
    else:
        named = {id_named(resource_type, each) for each in given}
        ids = ids_of_other_tenants(
            db, tenant_id, resource_type, (each for each in named if each is not None)
        )
    if operation_id is None and not ids:
        return False
    # No permission would have helped.
    denial = Denial(
        kind=resource_type,
        action=action,
        required=frozenset(),
        held=held_by(db, actor),
        ids=ids,
        is_cross_tenant=True,
    )
    record_denial(db, actor, denial, platform.clock(db), correlation_id=operation_id)
    return True
