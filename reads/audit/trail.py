"""Trail: search all audit records, and read them page by page."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select, select, tuple_
from sqlalchemy.orm import aliased

from domain.errors import InvalidInput
from models.audit import RECORDS
from models.people import Person
from models.rollup import NOBODY
from models.trail import TRAIL, TRAIL_EVENTS

TRAIL_FIELDS = (
    *("event_id", "occurred_at", "record", "event_type", "kind", "entity_id", "version"),
    *("actor", "reason", "success", "from_state", "to_state", "changes", "comments"),
    *("error_code", "error_message", "approver", "correlation_id", "metadata", "actor_id"),
    *("approved_by", "time_in_previous_state_s", "execution_time_ms"),
    *("lock_acquisition_time_ms", "lock_key", "isolation_level", "retry_attempt"),
    *("session_id", "ip_address", "security_flags", "seal_no", "erased_by"),
)
"""The fields of each record, in this order."""

_CURSOR = "the cursor that the page before ended with"


@dataclass(frozen=True, slots=True)
class TrailSearch:
    """The records to search for; None matches anything.

    Attributes:
        kind: The resource type.
        entity_id: The row.
        actor_id: The person who acted; 0 is the system itself.
        correlation_id: The operation.
        since: The earliest time.
        until: The time before which records occurred.
        record: The table, such as `permission_denial`.
        event_type: The event, such as `UPDATED`.
        failed: True for what was refused or went wrong, False for what was done.
        oldest_first: The order; newest first by default.
    """

    kind: str | None = None
    entity_id: int | None = None
    actor_id: int | None = None
    correlation_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    record: str | None = None
    event_type: str | None = None
    failed: bool | None = None
    oldest_first: bool = False


@dataclass(frozen=True, slots=True)
class PageEnd:
    """The end of a page: the time and the id of its last record."""

    occurred_at: datetime
    event_id: UUID

    def __str__(self) -> str:
        """Return the cursor, which `read` understands."""
        return f"{self.occurred_at.isoformat()}_{self.event_id}"

    @classmethod
    def read(cls, text: object) -> Self:
        """Return the page's end that a cursor stands for.

        Raises:
            InvalidInput: The text is no cursor.
        """
        time, _, event_id = str(text).partition("_")
        try:
            page_end = cls(datetime.fromisoformat(time), UUID(event_id))
        except ValueError as error:
            raise InvalidInput(field="after", got=text, expected=_CURSOR) from error
        if page_end.occurred_at.tzinfo is None:
            raise InvalidInput(field="after", got=text, expected=_CURSOR)
        return page_end

    @classmethod
    def of(cls, record: dict[str, Any]) -> Self:
        """Return the page's end at a record."""
        return cls(record["occurred_at"], record["event_id"])


def known_record(name: str) -> str:
    """Return the stored name of a table of records; a dash is taken for an underscore.

    Raises:
        InvalidInput: There is no such table.
    """
    return _checked_word("record", name, name.lower().replace("-", "_"), RECORDS)


def known_event(name: str) -> str:
    """Return the stored name of an event, in any case.

    Raises:
        InvalidInput: There is no such event.
    """
    return _checked_word("event", name, name.upper().replace("-", "_"), TRAIL_EVENTS)


def read_trail(
    db: Connection, tenant_id: int, search: TrailSearch, *, after: PageEnd | None = None, most: int
) -> list[dict[str, Any]]:
    """Return at most *most* of a tenant's records after a page's end, with `TRAIL_FIELDS`.

    Newest first by default; actor and approver are given by name.
    """
    # First the page, then names for it alone: without statistics the planner joins everything.
    page = page_of(tenant_id, search, after, most).subquery("page")
    approver = aliased(Person)
    names: dict[str, Any] = {"actor": Person.name, "approver": approver.name}
    columns: list[Any] = [names.get(field, page.c.get(field)) for field in TRAIL_FIELDS]
    query = (
        select(*columns)
        .select_from(page)
        .outerjoin(Person, Person.id == page.c.actor_id)
        .outerjoin(approver, approver.id == page.c.approved_by)
        .order_by(*(_directed(page.c[name], search) for name in ("occurred_at", "event_id")))
    )
    return [dict(zip(TRAIL_FIELDS, row, strict=True)) for row in db.execute(query)]


def page_of(tenant_id: int, search: TrailSearch, after: PageEnd | None, most: int) -> Select[Any]:
    """Return the query of a page, without the names of people."""
    return (
        select(TRAIL)
        .where(*_conditions(tenant_id, search, after))
        .order_by(*_order(search))
        .limit(most)
    )


def _order(search: TrailSearch) -> list[ColumnElement[Any]]:
    return [_directed(TRAIL.c[name], search) for name in ("occurred_at", "event_id")]


def _directed(column: ColumnElement[Any], search: TrailSearch) -> ColumnElement[Any]:
    return column.asc() if search.oldest_first else column.desc()


def _conditions(
    tenant_id: int, search: TrailSearch, after: PageEnd | None
) -> Iterator[ColumnElement[bool]]:
    yield TRAIL.c.tenant_id == tenant_id
    for name in ("kind", "entity_id", "correlation_id", "record", "event_type"):
        if getattr(search, name) is not None:
            yield TRAIL.c[name] == getattr(search, name)
    if search.actor_id is not None:
        is_system = search.actor_id == NOBODY
        yield TRAIL.c.actor_id.is_(None) if is_system else TRAIL.c.actor_id == search.actor_id
    if search.failed is not None:
        yield ~TRAIL.c.success if search.failed else TRAIL.c.success
    yield from _conditions_of_page(search, after)


def _conditions_of_page(
    search: TrailSearch, after: PageEnd | None
) -> Iterator[ColumnElement[bool]]:
    if search.since is not None:
        yield TRAIL.c.occurred_at >= search.since
    if search.until is not None:
        yield TRAIL.c.occurred_at < search.until
    if after is not None:
        position = tuple_(TRAIL.c.occurred_at, TRAIL.c.event_id)
        end = (after.occurred_at, after.event_id)
        yield position > end if search.oldest_first else position < end


def _checked_word(field: str, got: str, name: str, allowed: tuple[str, ...]) -> str:
    if name not in allowed:
        raise InvalidInput(field=field, got=got, expected=f"one of {', '.join(allowed)}")
    return name
