"""Rows of other tenants: found by nobody who names them, and known here only to be recorded."""

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

    To be asked only for what wasn't found, or is denied: a tenant's own rows cost nothing.
    """
    model = records().get(resource_type)
    asked = [each for each in ids if is_id(each)]
    if model is None or not asked:
        return []
    table = table_of(model)
    named = table.c.id == any_(literal(asked, ARRAY(BigInteger)))
    query = select(table.c.id).where(named, table.c.tenant_id != tenant_id).order_by(table.c.id)
    return list(db.scalars(query))


def operation_of_other_tenant(db: Connection, tenant_id: int, operation_id: UUID) -> bool:
    """Say whether an operation is another tenant's."""
    query = select(OperationRow.id).where(
        OperationRow.id == operation_id, OperationRow.tenant_id != tenant_id
    )
    return db.scalar(query) is not None


def id_named(resource_type: str, got: Any) -> int | None:
    """Return the id by which something was looked for and not found; None if it was a name.

    Work is known by references, which often are numbers: there text is no id.
    """
    model = records().get(resource_type)
    if model is None or (isinstance(got, str) and issubclass(model, Work)):
        return None
    return as_id(got) if isinstance(got, int | str) else None
