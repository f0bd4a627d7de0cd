"""Records and rows of work: which are there, and what one of them holds."""

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Select, Table, func, select

from domain.errors import NotFound
from models.base import Record, Work, kinds, records
from models.work_warning import WorkWarning
from reads.records.reference_names import add_named_columns

Meant = ColumnElement[bool] | None
"""The condition that a filter stands for."""


def list_ids(
    db: Connection,
    tenant_id: int,
    kind: str,
    *,
    state: str | None = None,
    meant: Meant = None,
    limit: int | None = None,
) -> list[int]:
    """Return the ids of a tenant's rows of one kind, in order, of one state if it is given."""
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
    """Return how many rows of a kind a condition is true of."""
    return db.scalar(select(func.count()).select_from(kinds()[kind]).where(meant)) or 0


def ids_by_reference(
    db: Connection, tenant_id: int, kind: str, references: Sequence[str]
) -> dict[str, int]:
    """Return the ids of rows by the reference that another system knows them by."""
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
    """Return how many of a tenant's rows of one kind are in each state."""
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
    """Return all columns of one record; of work with `warnings`, of a whole with its parts.

    With *names* other records are told by their name; `site_id` becomes `site`.

    Raises:
        NotFound: The tenant has no such record, or it was deleted.
    """
    model = records()[resource_type]
    query = _live(model, tenant_id).where(_table(model).c.id == row_id)
    row = db.execute(_named(model, query) if names else query).one_or_none()
    if row is None:
        raise NotFound(what=resource_type, got=row_id)
    found = dict(row._mapping)
    if issubclass(model, Work):
        found["warnings"] = _warnings(db, tenant_id, resource_type, row_id)
    for part in parts_of(model):
        named = _table(part).c[str(part.parent)]
        query = _live(part, tenant_id).where(named == row_id)
        parts = db.execute(_named(part, query) if names else query)
        found[f"{part.resource_type}s"] = [dict(each._mapping) for each in parts]
    return found


def list_records(
    db: Connection,
    tenant_id: int,
    resource_type: str,
    *,
    state: str | None = None,
    meant: Meant = None,
    after: int = 0,
    limit: int = 50,
    names: bool = False,
) -> list[dict[str, Any]]:
    """Return a tenant's records in the order of their ids, beginning behind the id *after*.

    *state* takes those of one state, for work only; *meant* those that it is true of. *names* as
    in `find_record`.
    """
    model = records()[resource_type]
    table = _table(model)
    query = _live(model, tenant_id).where(table.c.id > after).limit(limit)
    if state is not None:
        query = query.where(table.c.state == state)
    if meant is not None:
        query = query.where(meant)
    return [dict(each._mapping) for each in db.execute(_named(model, query) if names else query)]


def parts_of(model: type[Record]) -> list[type[Record]]:
    """Return the models of what a record has parts of."""
    return [each for each in records().values() if _whole(each) == model.__tablename__]


def _named(model: type[Record], query: Select[Any]) -> Select[Any]:
    """Return a query of whole rows with names in the place of other records' ids."""
    # The page first and names only for it: without statistics the planner joins everything.
    page = query.subquery("page")
    shown = [each.name for each in page.c]
    named = select().select_from(page).order_by(page.c.id)
    return add_named_columns(named, page, _table(model), shown)


def _live(model: type[Record], tenant_id: int) -> Select[Any]:
    table = _table(model)
    shown = [each for each in table.c if each.name not in ("tenant_id", "deleted_at")]
    query = (
        select(*shown)
        .where(table.c.tenant_id == tenant_id, table.c.deleted_at.is_(None))
        .order_by(table.c.id)
    )
    whole = _whole(model)
    if whole is None:
        return query
    # A part goes with its whole.
    parent = model.metadata.tables[whole]
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
    return [dict(each._mapping) for each in rows]


def _whole(model: type[Record]) -> str | None:
    """Return the table of what a record is a part of, if it is a part."""
    if model.parent is None:
        return None
    keys = _table(model).c[model.parent].foreign_keys
    return next(each.target_fullname.partition(".")[0] for each in keys)


def _table(model: type[Record]) -> Table:
    return cast("Table", model.__table__)
