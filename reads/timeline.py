"""What happened to a row, from its records."""

from typing import Any

from sqlalchemy import Connection, select

from models.audit import StateTransitionAudit


def timeline(db: Connection, tenant_id: int, kind: str, row_id: int) -> list[dict[str, Any]]:
    """Return the records of one row's transitions, done and refused, oldest first."""
    records = StateTransitionAudit
    rows = db.execute(
        select(*records.__table__.columns)
        .where(records.tenant_id == tenant_id, records.kind == kind, records.entity_id == row_id)
        .order_by(records.occurred_at, records.version)
    )
    return [dict(each._mapping) for each in rows]
