"""Cross-tenant probing: record a denial when a request names a row of another tenant.

The caller gets the same "not found" as for a row that doesn't exist.
"""

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
from engine.access.other_tenants import (
    id_looked_for,
    ids_of_other_tenants,
    operation_of_other_tenant,
)
from engine.access.permissions import held_by, record_denial
from engine.ports.platform import Platform

_OPERATION = "operation"
_log = logging.getLogger(__name__)


@contextmanager
def watch_probes(platform: Platform, actor: Actor, action: str) -> Iterator[None]:
    """Record a denial if a NotFound of the block is about another tenant's row; re-raise it.

    Args:
        platform: The outside world.
        actor: Who makes the request.
        action: What they want to do with the row, e.g. `view`.
    """
    try:
        yield
    except NotFound as missing:
        record_probes(platform, actor, action, [(missing.facts["what"], missing.facts["got"])])
        raise


def record_probes(
    platform: Platform, actor: Actor, action: str, missing: Iterable[tuple[str, Any]]
) -> None:
    """Record one denial for each resource type of which a row of another tenant was requested.

    Args:
        platform: The outside world.
        actor: Who makes the request.
        action: What they want to do with the rows.
        missing: What wasn't found: the resource type, and the id or name that was requested.
    """
    by_type: dict[str, list[Any]] = defaultdict(list)
    for resource_type, value in missing:
        by_type[resource_type].append(value)
    if not by_type:
        return
    try:
        with platform.database.begin() as db:
            for resource_type, values in by_type.items():
                record_if_cross_tenant(
                    platform, db, actor, action, resource_type=resource_type, values=values
                )
    except SQLAlchemyError as trouble:
        # A denial that can't be recorded must not change the caller's answer.
        _log.error("denial_not_recorded", extra={"reason": type(trouble).__name__})


def record_if_cross_tenant(
    platform: Platform,
    db: Connection,
    actor: Actor,
    action: str,
    *,
    resource_type: str,
    values: Iterable[Any],
) -> bool:
    """Record a denial if something that wasn't found is another tenant's; return whether it is."""
    tenant_id, operation_id, ids = actor.tenant_id, None, []
    if resource_type == _OPERATION:
        operations = (UUID(value) for value in values)
        cross_tenant = (
            operation
            for operation in operations
            if operation_of_other_tenant(db, tenant_id, operation)
        )
        operation_id = next(cross_tenant, None)
    else:
        requested = {id_looked_for(resource_type, value) for value in values}
        ids = ids_of_other_tenants(
            db, tenant_id, resource_type, (row_id for row_id in requested if row_id is not None)
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
