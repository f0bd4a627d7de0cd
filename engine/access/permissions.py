"""Permissions: authorize an action of an actor, and record a denial with its risk."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from domain.audit.denial_risk import REPEATS_COUNTED, Denial
from domain.errors import PermissionDenied
from domain.permissions import Actor, granted
from engine.access.other_tenants import ids_of_other_tenants
from engine.audit.outbox import log_permission_denied
from engine.calendars import is_out_of_hours
from engine.ports.platform import Platform
from models.people import HELD_ROLES

# Denials that are still in the outbox count as well. The limit is the number beyond which more
# denials add nothing to the risk.
_COUNT_RECENT_DENIALS = text("""
SELECT (SELECT count(*) FROM (
          SELECT FROM permission_denial_audit
           WHERE tenant_id = :tenant_id AND actor_id = :actor_id AND occurred_at > :since
           LIMIT :most) AS recorded)
     + (SELECT count(*) FROM (
          SELECT FROM outbox
           WHERE tenant_id = :tenant_id AND record = 'permission_denial'
             AND body ->> 'actor_id' = CAST(:actor_id AS text) AND occurred_at > :since
           LIMIT :most) AS waiting)
""")
_RECENT_SPAN = timedelta(hours=1)


def record_denial(
    db: Connection,
    actor: Actor,
    denial: Denial,
    now: datetime,
    *,
    correlation_id: UUID | None = None,
) -> None:
    """Record a denial with what adds to its risk: denials in the last hour, and the time of day."""
    person = {"tenant_id": actor.tenant_id, "actor_id": actor.person_id}
    recent = {"since": now - _RECENT_SPAN, "most": REPEATS_COUNTED}
    denial_with_risk = replace(
        denial,
        recent=db.execute(_COUNT_RECENT_DENIALS, person | recent).scalar_one(),
        is_out_of_hours=is_out_of_hours(db, actor, now),
    )
    log_permission_denied(
        db, actor=actor, correlation_id=correlation_id, denial=denial_with_risk, now=now
    )


def authorize(
    platform: Platform,
    actor: Actor,
    kind: str,
    action: str,
    ids: Iterable[int] = (),
    *,
    resource_type: str | None = None,
) -> frozenset[str] | None:
    """Make sure that an actor holds `<kind>.<action>`; the system needs no permission.

    Args:
        platform: The outside world.
        actor: Who makes the request.
        kind: The kind that the permission is for.
        action: What is to be done.
        ids: The rows of the request, for the record of a denial.
        resource_type: What these rows are, if they are children of the kind and not of the kind.

    Returns:
        All permissions that the actor holds; None for the system.

    Raises:
        PermissionDenied: The actor doesn't hold it; the denial is recorded.
    """
    return authorize_one_of(platform, actor, kind, [action], ids, resource_type=resource_type)


def authorize_one_of(
    platform: Platform,
    actor: Actor,
    kind: str,
    actions: Iterable[str],
    ids: Iterable[int] = (),
    *,
    resource_type: str | None = None,
) -> frozenset[str] | None:
    """Make sure that an actor holds the permission of at least one action; see `authorize`."""
    if actor.person_id is None:
        return None
    distinct = sorted(set(actions))
    required = [f"{kind}.{action}" for action in distinct]
    with platform.database.begin() as db:
        held = held_by(db, actor)
        if not held.isdisjoint(required):
            return held
        requested = list(ids)
        denial = Denial(
            kind=kind,
            action=" or ".join(distinct),
            required=frozenset(required),
            held=held,
            ids=requested,
            is_cross_tenant=bool(
                ids_of_other_tenants(db, actor.tenant_id, resource_type or kind, requested)
            ),
        )
        record_denial(db, actor, denial, platform.clock(db))
    raise PermissionDenied(
        message=f"The permission {' or '.join(required)} is needed. "
        "Ask somebody whose role holds it.",
        required=required,
    )


def held_by(db: Connection, actor: Actor) -> frozenset[str]:
    """Return all permissions that a person holds; none for the system, which needs none."""
    if actor.person_id is None:
        return frozenset()
    people = {"tenant_id": actor.tenant_id, "people": [actor.person_id]}
    held, _ = granted(db.execute(HELD_ROLES, people), actor.person_id)
    return held
