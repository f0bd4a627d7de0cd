"""Rows of work: which are there, and what one of them holds."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, func, select

from domain.errors import NotFound
from models.base import kinds


def list_ids(
    db: Connection, tenant_id: int, kind: str, *, state: str | None = None, limit: int | None = None
) -> list[int]:
    """Return the ids of a tenant's rows of one kind, in order, of one state if it is given."""
    model = kinds()[kind]
    query = select(model.id).where(model.tenant_id == tenant_id).order_by(model.id).limit(limit)
    if state is not None:
        query = query.where(model.state == state)
    return list(db.scalars(query))


def ids_by_reference(
    db: Connection, tenant_id: int, kind: str, references: Sequence[str]
) -> dict[str, int]:
    """Return the ids of rows by the reference that another system knows them by."""
    model = kinds()[kind]
    rows = db.execute(
        select(model.reference, model.id).where(
            model.tenant_id == tenant_id, model.reference.in_(references)
        )
    )
    return {str(reference): row_id for reference, row_id in rows}


def count_by_state(db: Connection, tenant_id: int, kind: str) -> dict[str, int]:
    """Return how many of a tenant's rows of one kind are in each state."""
    model = kinds()[kind]
    rows = db.execute(
        select(model.state, func.count()).where(model.tenant_id == tenant_id).group_by(model.state)
    )
    return dict(rows.all())


def find_row(db: Connection, tenant_id: int, kind: str, row_id: int) -> dict[str, Any]:
    """Return all columns of one row.

    Raises:
        NotFound: The tenant has no such row.
    """
    table = kinds()[kind].__table__
    row = db.execute(
        select(table).where(table.c.tenant_id == tenant_id, table.c.id == row_id)
    ).one_or_none()
    if row is None:
        raise NotFound(what=kind, got=row_id)
    return dict(row._mapping)
