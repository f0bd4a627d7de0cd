"""The trail over all four records, searched and read page by page."""

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
"""What is told of each record, in this order."""

_CURSOR = "the cursor that the page before ended with"


@dataclass(frozen=True, slots=True)
class Sought:
    """Which records are looked for; what isn't given doesn't matter.

    Attributes:
        kind: Of rows of this resource type.
        entity_id: Of this row.
        actor_id: Of what this person did; 0 is the system itself.
        correlation_id: Of this operation.
        since: From this time on.
        until: Before this time.
        record: Of this sort, such as `permission_denial`.
        event_type: Of this event, such as `UPDATED`.
        failed: Only of what was refused or went wrong, or only of what was done.
        oldest_first: The other order.
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
    """Where a page ended: the time and the id of its last record."""

    occurred_at: datetime
    event_id: UUID

    def __str__(self) -> str:
        """Return the place as a word that `read` understands."""
        return f"{self.occurred_at.isoformat()}_{self.event_id}"

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the place of a cursor.

        Raises:
            InvalidInput: That is none.
        """
        time, _, event_id = text.partition("_")
        try:
            found = cls(datetime.fromisoformat(time), UUID(event_id))
        except ValueError as error:
            raise InvalidInput(field="after", got=text, expected=_CURSOR) from error
        if found.occurred_at.tzinfo is None:
            raise InvalidInput(field="after", got=text, expected=_CURSOR)
        return found

    @classmethod
    def of(cls, record: dict[str, Any]) -> Self:
        """Return the place of a record."""
        return cls(record["occurred_at"], record["event_id"])


def known_record(name: str) -> str:
    """Return a sort of record as it is stored; a dash is taken for an underscore.

    Raises:
        InvalidInput: There is none of that name.
    """
    return _known("record", name, name.lower().replace("-", "_"), RECORDS)


def known_event(name: str) -> str:
    """Return an event as it is stored, in any case.

    Raises:
        InvalidInput: There is none of that name.
    """
    return _known("event", name, name.upper().replace("-", "_"), TRAIL_EVENTS)


def read_trail(
    db: Connection, tenant_id: int, sought: Sought, *, after: PageEnd | None = None, most: int
) -> list[dict[str, Any]]:
    """Return at most so many of a tenant's records, from behind a place on.

    Newest first, unless it is asked otherwise. Each with `TRAIL_FIELDS`, with actor and approver
    by name.
    """
    # The page first and names only for it: without statistics the planner joins everything.
    page = page_of(tenant_id, sought, after, most).subquery("page")
    approver = aliased(Person)
    names: dict[str, Any] = {"actor": Person.name, "approver": approver.name}
    shown: list[Any] = [names.get(each, page.c.get(each)) for each in TRAIL_FIELDS]
    named = (
        select(*shown)
        .select_from(page)
        .outerjoin(Person, Person.id == page.c.actor_id)
        .outerjoin(approver, approver.id == page.c.approved_by)
        .order_by(*(_directed(page.c[name], sought) for name in ("occurred_at", "event_id")))
    )
    return [dict(zip(TRAIL_FIELDS, each, strict=True)) for each in db.execute(named)]


def page_of(tenant_id: int, sought: Sought, after: PageEnd | None, most: int) -> Select[Any]:
    """Return the query of a page, without the names of people."""
    return (
        select(TRAIL)
        .where(*_conditions(tenant_id, sought, after))
        .order_by(*_order(sought))
        .limit(most)
    )


def _order(sought: Sought) -> list[ColumnElement[Any]]:
    return [_directed(TRAIL.c[name], sought) for name in ("occurred_at", "event_id")]


def _directed(column: ColumnElement[Any], sought: Sought) -> ColumnElement[Any]:
    return column.asc() if sought.oldest_first else column.desc()


def _conditions(
    tenant_id: int, sought: Sought, after: PageEnd | None
) -> Iterator[ColumnElement[bool]]:
    yield TRAIL.c.tenant_id == tenant_id
    for name in ("kind", "entity_id", "correlation_id", "record", "event_type"):
        if getattr(sought, name) is not None:
            yield TRAIL.c[name] == getattr(sought, name)
    if sought.actor_id is not None:
        is_system = sought.actor_id == NOBODY
        yield TRAIL.c.actor_id.is_(None) if is_system else TRAIL.c.actor_id == sought.actor_id
    if sought.failed is not None:
        yield ~TRAIL.c.success if sought.failed else TRAIL.c.success
    yield from _within(sought, after)


def _within(sought: Sought, after: PageEnd | None) -> Iterator[ColumnElement[bool]]:
    if sought.since is not None:
        yield TRAIL.c.occurred_at >= sought.since
    if sought.until is not None:
        yield TRAIL.c.occurred_at < sought.until
    if after is not None:
        here = tuple_(TRAIL.c.occurred_at, TRAIL.c.event_id)
        there = (after.occurred_at, after.event_id)
        yield here > there if sought.oldest_first else here < there


def _known(field: str, given: str, name: str, known: tuple[str, ...]) -> str:
    if name not in known:
        raise InvalidInput(field=field, got=given, expected=f"one of {', '.join(known)}")
    return name
