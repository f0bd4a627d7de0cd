"""Rows of work on their way out: page by page in the order of ids, and as the text of a file."""

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
# No import takes what the platform itself writes.
_NOT_TAKEN = frozenset({"id", "uuid", "version"}) | {
    f"{done}_{what}" for done in ("created", "updated") for what in ("at", "by")
}
_BROUGHT = frozenset({"state", "state_since"})
"""What interfaces don't write otherwise, and an import brings along."""

_BY_ID = "_id"
_PLAIN = frozenset({str, int, float, bool, type(None)})
"""What goes into a cell as it is; most values do."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """Which rows and columns of a kind go out.

    Attributes:
        kind: The kind of work.
        fields: The columns in order.
        state: Only rows of this state.
        names: Whether other records are told by their name, where they have one, not their id;
            `site_id` becomes `site`.
        meant: Only rows that this is true of.
    """

    kind: str
    fields: Sequence[str]
    state: str | None = None
    names: bool = False
    meant: ColumnElement[bool] | None = None

    @property
    def headings(self) -> list[str]:
        """Return what the columns are called."""
        return [heading(each) for each in self.fields] if self.names else list(self.fields)


def known_fields(kind: str, asked: Sequence[str] | None = None) -> list[str]:
    """Return the columns that are asked for; by default those that an import takes.

    Raises:
        InvalidInput: A column is not known, or asked for twice; or none is.
    """
    known = [each.name for each in _table(kind).c if each.name not in _HIDDEN]
    if asked is None:
        not_taken = _NOT_TAKEN | (kinds()[kind].set_by_platform - _BROUGHT)
        taken = [each for each in known if each not in not_taken]
        return sorted(taken, key=lambda each: each != "reference")
    fields: list[str] = []
    for name in asked:
        field = next((each for each in (name, name + _BY_ID) if each in known), None)
        if field is None or field in fields:
            raise InvalidInput(field="fields", got=name, expected=f"each once: {', '.join(known)}")
        fields.append(field)
    if not fields:
        raise InvalidInput(field="fields", got=None, expected=f"some of {', '.join(known)}")
    return fields


def read_page(
    db: Connection, tenant_id: int, wanted: ExportRequest, *, after: int, most: int
) -> tuple[list[dict[str, Any]], int]:
    """Return at most so many rows behind the id *after*, and the id of the last of them."""
    rows = db.execute(_query(tenant_id, wanted, after=after, most=most)).all()
    headings = wanted.headings
    found = [dict(zip(headings, each[1:], strict=True)) for each in rows]
    return found, rows[-1][0] if rows else after


def write_csv(headings: Sequence[str], pages: Iterable[Sequence[Row]]) -> Iterator[str]:
    """Yield CSV as RFC 4180 has it, a page at a time: values as they are, empty for nothing."""
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


def _query(tenant_id: int, wanted: ExportRequest, *, after: int, most: int) -> Select[Any]:
    table = _table(wanted.kind)
    asked = [table.c.tenant_id == tenant_id, table.c.deleted_at.is_(None), table.c.id > after]
    if wanted.state is not None:
        asked.append(table.c.state == wanted.state)
    if wanted.meant is not None:
        asked.append(wanted.meant)
    # The page first and names only for it: without statistics the planner joins everything.
    page = (
        select(table.c.id.label("_id"), *(table.c[name] for name in wanted.fields))
        .where(*asked)
        .order_by(table.c.id)
        .limit(most)
        .subquery("page")
    )
    query = select(page.c[_BY_ID]).select_from(page).order_by(page.c[_BY_ID])
    if not wanted.names:
        return query.add_columns(*(page.c[name] for name in wanted.fields))
    return add_named_columns(query, page, table, wanted.fields)


def _csv(rows: Iterable[Sequence[Any]]) -> str:
    # A carriage return is quoted only if the end of a line holds one: hence both.
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
