"""Reference names: show other records by name instead of id."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Column, Select, Subquery, Table, Text, cast, func

_BY_ID = "_id"


def heading(column: str) -> str:
    """Return the heading of a column that holds names: `site_id` becomes `site`."""
    return column.removesuffix(_BY_ID)


def add_named_columns(
    query: Select[Any], page: Subquery, table: Table, names: Iterable[str]
) -> Select[Any]:
    """Add to *query*, over the rows of *page*, columns of *table* under their headings.

    Other records are given by name, or by reference, if they have one.
    """
    for name in names:
        target = _referenced_table(table.c[name])
        if target is None:
            query = query.add_columns(page.c[name])
            continue
        other = target.alias(f"of_{name}")
        name_column = other.c.name if "name" in other.c else other.c.reference
        shown = func.coalesce(name_column, cast(page.c[name], Text))
        query = query.outerjoin(other, other.c.id == page.c[name]).add_columns(
            shown.label(heading(name))
        )
    return query


def _referenced_table(column: Column[Any]) -> Table | None:
    """Return the table to whose rows a column refers by id, if it does."""
    return next((key.column.table for key in column.foreign_keys if key.column.name == "id"), None)
