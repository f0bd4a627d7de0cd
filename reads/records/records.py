"""Records: list, count and read records and rows of work."""

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Select, Table, func, select

from domain.errors import NotFound
from models.base import Record, Work, kinds, records
from models.work_warning import WorkWarning
from reads.records.reference_names import add_named_columns

Condition = ColumnElement[bool] | None
"""The condition of a filter."""


def list_ids(
    db: Connection,
    tenant_id: int,
    kind: str,
    *,
    state: str | None = None,
    meant: Condition = None,
    limit: int | None = None,
) -> list[int]:
    """Return the ids of a tenant's rows of one resource type, in order; of one state if given."""
    model = kinds()[kind]
    query = (
        select(model.id)
        .where(model.tenant_id == tenant_id, model.deleted_at.is_(None))
        .order_by(model.id)
        .limit(limit)
    )
    if state is not None:
        query = query.where(model.state == state)
    if meant is not None:
        query = query.where(meant)
    return list(db.scalars(query))


def count_rows(db: Connection, kind: str, meant: ColumnElement[bool]) -> int:
    """Return how many rows of a resource type a condition is true for."""
    return db.scalar(select(func.count()).select_from(kinds()[kind]).where(meant)) or 0


def ids_by_reference(
    db: Connection, tenant_id: int, kind: str, references: Sequence[str]
) -> dict[str, int]:
    """Return the ids of rows by their reference, which is another system's name for them."""
    model = kinds()[kind]
    rows = db.execute(
        select(model.reference, model.id).where(
            model.tenant_id == tenant_id,
            model.reference.in_(references),
            model.deleted_at.is_(None),
        )
    )
    return {str(reference): row_id for reference, row_id in rows}


def count_by_state(db: Connection, tenant_id: int, kind: str) -> dict[str, int]:
    """Return how many of a tenant's rows of one resource type are in each state."""
    model = kinds()[kind]
    rows = db.execute(
        select(model.state, func.count())
        .where(model.tenant_id == tenant_id, model.deleted_at.is_(None))
        .group_by(model.state)
    )
    return dict(rows.all())


def find_record(
    db: Connection, tenant_id: int, resource_type: str, row_id: int, *, names: bool = False
) -> dict[str, Any]:
    """Return all columns of one record; for work also `warnings`, for a parent its children.

    With *names* other records are given by name; `site_id` becomes `site`.

    Raises:
        NotFound: The tenant has no such record, or it was deleted.
    """
    model = records()[resource_type]
    query = _live(model, tenant_id).where(_table(model).c.id == row_id)
    row = db.execute(_with_names(model, query) if names else query).one_or_none()
    if row is None:
        raise NotFound(what=resource_type, got=row_id)
    record = dict(row._mapping)
    if issubclass(model, Work):
        record["warnings"] = _warnings(db, tenant_id, resource_type, row_id)
    for child in children_of(model):
        parent_id = _table(child).c[str(child.parent)]
        query = _live(child, tenant_id).where(parent_id == row_id)
        children = db.execute(_with_names(child, query) if names else query)
        record[f"{child.resource_type}s"] = [dict(row._mapping) for row in children]
    return record


def list_records(
    db: Connection,
    tenant_id: int,
    resource_type: str,
    *,
    state: str | None = None,
    meant: Condition = None,
    after: int = 0,
    limit: int = 50,
    names: bool = False,
) -> list[dict[str, Any]]:
    """Return a tenant's records in the order of ids, from the one after the id *after* on.

    *state* takes rows in that state, for work only; *meant* rows for which it is true. *names* is
    as in `find_record`.
    """
    model = records()[resource_type]
    table = _table(model)
    query = _live(model, tenant_id).where(table.c.id > after).limit(limit)
    if state is not None:
        query = query.where(table.c.state == state)
    if meant is not None:
        query = query.where(meant)
    return [dict(row._mapping) for row in db.execute(_with_names(model, query) if names else query)]


def children_of(model: type[Record]) -> list[type[Record]]:
    """Return the models whose records are children of a record of this model."""
    return [child for child in records().values() if _parent_table(child) == model.__tablename__]


def _with_names(model: type[Record], query: Select[Any]) -> Select[Any]:
    """Return a query of rows with names instead of the ids of other records."""
    # First the page, then names for it alone: without statistics the planner joins everything.
    page = query.subquery("page")
    columns = [column.name for column in page.c]
    from_page = select().select_from(page).order_by(page.c.id)
    return add_named_columns(from_page, page, _table(model), columns)


def _live(model: type[Record], tenant_id: int) -> Select[Any]:
    table = _table(model)
    columns = [column for column in table.c if column.name not in ("tenant_id", "deleted_at")]
    query = (
        select(*columns)
        .where(table.c.tenant_id == tenant_id, table.c.deleted_at.is_(None))
        .order_by(table.c.id)
    )
    parent_table = _parent_table(model)
    if parent_table is None:
        return query
    # A child is deleted with its parent.
    parent = model.metadata.tables[parent_table]
    is_there = (parent.c.id == table.c[str(model.parent)]) & parent.c.deleted_at.is_(None)
    return query.where(select(parent.c.id).where(is_there).exists())


def _warnings(db: Connection, tenant_id: int, kind: str, row_id: int) -> list[dict[str, Any]]:
    rows = db.execute(
        select(WorkWarning.code, WorkWarning.message, WorkWarning.noted_at)
        .where(
            WorkWarning.tenant_id == tenant_id,
            WorkWarning.kind == kind,
            WorkWarning.entity_id == row_id,
        )
        .order_by(WorkWarning.id)
    )
    return [dict(row._mapping) for row in rows]


def _parent_table(model: type[Record]) -> str | None:
    """Return the table of a record's parent, if records of this model have one."""
    if model.parent is None:
        return None
    keys = _table(model).c[model.parent].foreign_keys
    return next(key.target_fullname.partition(".")[0] for key in keys)


def _table(model: type[Record]) -> Table:
    return cast("Table", model.__table__)
