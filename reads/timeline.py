"""What happened to a record: one trail over its transitions and its other changes."""

from typing import Any

from sqlalchemy import Connection, Select, Text, cast, literal, null, select, union_all
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import aliased

from models.audit import AuditLog, StateTransitionAudit
from models.people import Person

_SHARED = (
    *("event_id", "occurred_at", "correlation_id", "actor_id", "kind", "entity_id", "version"),
    *("reason", "comments", "success", "error_code", "error_message"),
    *("execution_time_ms", "lock_acquisition_time_ms"),
)
_OF_TRANSITIONS = (
    *("from_state", "to_state", "approved_by", "time_in_previous_state_s"),
    *("lock_key", "isolation_level", "retry_attempt"),
)


def timeline(db: Connection, tenant_id: int, kind: str, row_id: int) -> list[dict[str, Any]]:
    """Return the records of one row, done and refused, oldest first.

    Returns:
        Dicts with `event_type`, the `actor` and the `approver` by name; a transition's states,
        metadata and timings; `changes` of what was created, updated or deleted.
    """
    trail = union_all(_transitions(), _others()).subquery("trail")
    approver = aliased(Person)
    rows = db.execute(
        select(*trail.c, Person.name.label("actor"), approver.name.label("approver"))
        .outerjoin(Person, Person.id == trail.c.actor_id)
        .outerjoin(approver, approver.id == trail.c.approved_by)
        .where(trail.c.tenant_id == tenant_id, trail.c.kind == kind, trail.c.entity_id == row_id)
        .order_by(trail.c.occurred_at, trail.c.version)
    )
    return [dict(each._mapping) for each in rows]


def _transitions() -> Select[Any]:
    table = StateTransitionAudit.__table__
    return select(
        table.c.tenant_id,
        literal("STATE_CHANGED").label("event_type"),
        *(table.c[name] for name in _SHARED),
        *(table.c[name] for name in _OF_TRANSITIONS),
        table.c.metadata,
        cast(null(), JSONB).label("changes"),
    )


def _others() -> Select[Any]:
    table = AuditLog.__table__
    missing = StateTransitionAudit.__table__.c
    return select(
        table.c.tenant_id,
        cast(table.c.event_type, Text),
        *(table.c[name] for name in _SHARED),
        *(cast(null(), missing[name].type).label(name) for name in _OF_TRANSITIONS),
        table.c.metadata,
        table.c.changes,
    )
