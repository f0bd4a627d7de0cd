"""Export: read rows page by page in the order of ids, and write them as CSV or NDJSON."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from io import StringIO
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select, Table, select

from domain.errors import InvalidInput
from models.base import kinds
from reads.records.reference_names import add_named_columns, heading

FORMS = ("csv", "ndjson")
_HIDDEN = frozenset({"tenant_id", "deleted_at"})
# The platform writes these itself, so no import takes them.
_NOT_IMPORTED = frozenset({"id", "uuid", "version"}) | {
    f"{done}_{what}" for done in ("created", "updated") for what in ("at", "by")
}
_IMPORT_ONLY = frozenset({"state", "state_since"})
"""Columns that only an import may set."""

_BY_ID = "_id"
_PLAIN = frozenset({str, int, float, bool, type(None)})
"""Types that go into a cell as they are; most values do."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """The rows and columns that are exported.

    Attributes:
        kind: The resource type of the rows.
        fields: The columns in order.
        state: Only rows in this state.
        names: Whether other records are given by name, if they have one, instead of id;
            `site_id` becomes `site`.
        meant: Only rows for which this condition is true.
    """

    kind: str
    fields: Sequence[str]
    state: str | None = None
    names: bool = False
    meant: ColumnElement[bool] | None = None

    @property
    def headings(self) -> list[str]:
        """Return the headings of the columns."""
        return [heading(field) for field in self.fields] if self.names else list(self.fields)


def known_fields(kind: str, requested: Sequence[str] | None = None) -> list[str]:
    """Return the columns that are requested; by default those that an import takes.

    Raises:
        InvalidInput: A column isn't known or is requested twice, or none is requested.
    """
    columns = [column.name for column in _table(kind).c if column.name not in _HIDDEN]
    if requested is None:
        not_imported = _NOT_IMPORTED | (kinds()[kind].set_by_platform - _IMPORT_ONLY)
        imported = [column for column in columns if column not in not_imported]
        return sorted(imported, key=lambda column: column != "reference")
    fields: list[str] = []
    for name in requested:
        field = next((column for column in (name, name + _BY_ID) if column in columns), None)
        if field is None or field in fields:
            raise InvalidInput(
                field="fields", got=name, expected=f"each once: {', '.join(columns)}"
            )
        fields.append(field)
    if not fields:
        raise InvalidInput(field="fields", got=None, expected=f"some of {', '.join(columns)}")
    return fields


def read_page(
    db: Connection, tenant_id: int, request: ExportRequest, *, after: int, most: int
) -> tuple[list[dict[str, Any]], int]:
    """Return at most *most* rows with ids above *after*, and the id of the last of them."""
    rows = db.execute(_query(tenant_id, request, after=after, most=most)).all()
    headings = request.headings
    records = [dict(zip(headings, row[1:], strict=True)) for row in rows]
    return records, rows[-1][0] if rows else after


def write_csv(headings: Sequence[str], pages: Iterable[Sequence[Row]]) -> Iterator[str]:
    """Yield CSV by RFC 4180, a page at a time: values as they are, an empty cell for none."""
    yield _csv([headings])
    for page in pages:
        yield _csv([_cell(row[name]) for name in headings] for row in page)


def write_ndjson(pages: Iterable[Sequence[Row]]) -> Iterator[str]:
    """Yield one JSON object a line, a page at a time."""
    for page in pages:
        yield "".join(
            json.dumps({name: _plain(value) for name, value in row.items()}, ensure_ascii=False)
            + "\n"
            for row in page
        )


def _query(tenant_id: int, request: ExportRequest, *, after: int, most: int) -> Select[Any]:
    table = _table(request.kind)
    conditions = [table.c.tenant_id == tenant_id, table.c.deleted_at.is_(None), table.c.id > after]
    if request.state is not None:
        conditions.append(table.c.state == request.state)
    if request.meant is not None:
        conditions.append(request.meant)
    # First the page, then names for it alone: without statistics the planner joins everything.
    page = (
        select(table.c.id.label("_id"), *(table.c[name] for name in request.fields))
        .where(*conditions)
        .order_by(table.c.id)
        .limit(most)
        .subquery("page")
    )
    query = select(page.c[_BY_ID]).select_from(page).order_by(page.c[_BY_ID])
    if not request.names:
        return query.add_columns(*(page.c[name] for name in request.fields))
    return add_named_columns(query, page, table, request.fields)


def _csv(rows: Iterable[Sequence[Any]]) -> str:
    # The csv module quotes a carriage return only if the line ending has one: hence both.
    text = StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return ",".join(value) if isinstance(value, list) else _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def _table(kind: str) -> Table:
    return cast("Table", kinds()[kind].__table__)
