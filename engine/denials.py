"""Denials: what somebody asked for and may not do, recorded with its risk."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from domain.errors import PermissionDenied
from domain.permissions import Actor, granted
from domain.risk import Denial
from engine.change import Change
from engine.judged import Judged
from engine.outbox import log_permission_denied
from engine.platform import Platform
from models.audit import PermissionDenialAudit
from models.people import HELD_ROLES

_RECENT = timedelta(hours=1)


def log_denials(db: Connection, change: Change, judged: Judged, now: datetime) -> None:
    """Record the rows of a chunk that were refused for want of a permission, as one denial."""
    rows = judged.denied()
    if not rows:
        return
    operation = change.operation
    required = change.required(rows)
    denial = Denial(
        kind=operation.kind,
        action=" or ".join(sorted(each.partition(".")[2] for each in required)),
        required=frozenset(required),
        held=change.permissions,
        ids=[each.id for each in rows],
        recent=_recent(db, operation.tenant_id, operation.actor_id, now),
    )
    log_permission_denied(
        db,
        tenant_id=operation.tenant_id,
        actor_id=operation.actor_id,
        correlation_id=operation.id,
        denial=denial,
        now=now,
    )


def demand(
    platform: Platform, actor: Actor, kind: str, action: str, ids: Iterable[int] = ()
) -> frozenset[str] | None:
    """Make sure that an actor holds `<kind>.<action>`; the system needs no permission.

    Returns:
        Everything that they hold; None for the system.

    Raises:
        PermissionDenied: They don't; the denial is recorded.
    """
    return demand_one_of(platform, actor, kind, [action], ids)


def demand_one_of(
    platform: Platform, actor: Actor, kind: str, actions: Iterable[str], ids: Iterable[int] = ()
) -> frozenset[str] | None:
    """Make sure that an actor holds the permission of one of some actions; else as `demand`."""
    if actor.person_id is None:
        return None
    wanted = sorted(set(actions))
    required = [f"{kind}.{each}" for each in wanted]
    people = {"tenant_id": actor.tenant_id, "people": [actor.person_id]}
    with platform.database.begin() as db:
        held, _ = granted(db.execute(HELD_ROLES, people), actor.person_id)
        if not held.isdisjoint(required):
            return held
        now = platform.clock(db)
        denial = Denial(
            kind=kind,
            action=" or ".join(wanted),
            required=frozenset(required),
            held=held,
            ids=list(ids),
            recent=_recent(db, actor.tenant_id, actor.person_id, now),
        )
        log_permission_denied(
            db,
            tenant_id=actor.tenant_id,
            actor_id=actor.person_id,
            correlation_id=None,
            denial=denial,
            now=now,
        )
    raise PermissionDenied(
        message=f"The permission {' or '.join(required)} is needed. "
        "Ask somebody whose role holds it.",
        required=required,
        risk_score=denial.risk_score,
    )


def _recent(db: Connection, tenant_id: int, actor_id: int, now: datetime) -> int:
    query = select(func.count()).where(
        PermissionDenialAudit.tenant_id == tenant_id,
        PermissionDenialAudit.actor_id == actor_id,
        PermissionDenialAudit.occurred_at > now - _RECENT,
    )
    return db.scalar(query) or 0
