"""Names in the place of ids: what a column says of another record, as people call that."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Column, Select, Subquery, Table, Text, cast, func

_BY_ID = "_id"


def heading(column: str) -> str:
    """Return what a column is called when it holds names: `site_id` becomes `site`."""
    return column.removesuffix(_BY_ID)


def add_named_columns(
    query: Select[Any], page: Subquery, table: Table, names: Iterable[str]
) -> Select[Any]:
    """Return *query* over the rows of *page* with these columns of *table* by their headings.

    Other records are told by their name, or their reference, where they have one.
    """
    for name in names:
        target = _named_by(table.c[name])
        if target is None:
            query = query.add_columns(page.c[name])
            continue
        other = target.alias(f"of_{name}")
        called = other.c.name if "name" in other.c else other.c.reference
        told = func.coalesce(called, cast(page.c[name], Text))
        query = query.outerjoin(other, other.c.id == page.c[name]).add_columns(
            told.label(heading(name))
        )
    return query


def _named_by(column: Column[Any]) -> Table | None:
    """Return the table whose rows a column names by their ids, if it does."""
    return next((key.column.table for key in column.foreign_keys if key.column.name == "id"), None)
