"""Timeline: list what happened to one record, transitions and other changes, in order."""

from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.orm import aliased

from models.people import Person
from models.trail import TRAIL

_SHOWN = (
    *("event_id", "occurred_at", "correlation_id", "actor_id", "kind", "entity_id", "version"),
    *("event_type", "reason", "comments", "success", "error_code", "error_message"),
    *("execution_time_ms", "lock_acquisition_time_ms", "from_state", "to_state", "approved_by"),
    *("time_in_previous_state_s", "lock_key", "isolation_level", "retry_attempt"),
    *("metadata", "changes"),
)


def timeline(db: Connection, tenant_id: int, kind: str, row_id: int) -> list[dict[str, Any]]:
    """Return the records of one row, done and refused, oldest first.

    Returns:
        Dicts with `event_type`, the `actor` and the `approver` by name; a transition's states,
        metadata and timings; `changes` of what was created, updated or deleted.
    """
    trail = TRAIL.alias("trail")
    approver = aliased(Person)
    rows = db.execute(
        select(
            *(trail.c[name] for name in ("tenant_id", *_SHOWN)),
            Person.name.label("actor"),
            approver.name.label("approver"),
        )
        .outerjoin(Person, Person.id == trail.c.actor_id)
        .outerjoin(approver, approver.id == trail.c.approved_by)
        .where(trail.c.tenant_id == tenant_id, trail.c.kind == kind, trail.c.entity_id == row_id)
        .order_by(trail.c.occurred_at, trail.c.version)
    )
    return [dict(row._mapping) for row in rows]
