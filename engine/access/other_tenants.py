"""Rows of other tenants: look up ids across tenants, only to record that they were requested."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Connection, any_, literal, select
from sqlalchemy.dialects.postgresql import ARRAY

from engine.input.checks import is_id
from engine.input.column_types import as_id
from engine.input.record_types import table_of
from models.base import Work, records
from models.operation import OperationRow


def ids_of_other_tenants(
    db: Connection, tenant_id: int, resource_type: str, ids: Iterable[int]
) -> list[int]:
    """Return those of some ids that are rows of other tenants, sorted; one query for all.

    Call it only for ids that weren't found or were denied, so that requests for a tenant's own
    rows pay nothing.
    """
    model = records().get(resource_type)
    valid_ids = [row_id for row_id in ids if is_id(row_id)]
    if model is None or not valid_ids:
        return []
    table = table_of(model)
    is_requested = table.c.id == any_(literal(valid_ids, ARRAY(BigInteger)))
    query = (
        select(table.c.id).where(is_requested, table.c.tenant_id != tenant_id).order_by(table.c.id)
    )
    return list(db.scalars(query))


def operation_of_other_tenant(db: Connection, tenant_id: int, operation_id: UUID) -> bool:
    """Return whether an operation belongs to another tenant."""
    query = select(OperationRow.id).where(
        OperationRow.id == operation_id, OperationRow.tenant_id != tenant_id
    )
    return db.scalar(query) is not None


def id_looked_for(resource_type: str, got: Any) -> int | None:
    """Return the id by which something was looked for and not found; None if it was a name.

    Work has references, which often look like numbers: for work, text is never taken for an id.
    """
    model = records().get(resource_type)
    if model is None or (isinstance(got, str) and issubclass(model, Work)):
        return None
    return as_id(got) if isinstance(got, int | str) else None
