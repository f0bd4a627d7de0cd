"""Filters of the audit trail: check what a caller looks for before any record is read."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from domain.errors import InvalidInput
from engine.input.checks import ROWS, check, is_id, known_operation_id
from engine.input.record_types import known_resource_type

if TYPE_CHECKING:
    from reads.audit.trail import PageEnd, TrailSearch


def parse_filters(kind: str | None, row_id: int | None, filters: dict[str, Any]) -> "TrailSearch":
    """Return what is looked for in the trail.

    Raises:
        InvalidInput: A filter is unknown, or its value is not what was expected.
    """
    from reads.audit.trail import TrailSearch, known_event, known_record

    names = ("by", "operation", "since", "until", "record", "event", "failed", "denied")
    unknown = filters.keys() - {*names, "oldest_first"}
    if unknown:
        name = min(unknown)
        raise InvalidInput(field=name, got=filters[name], expected=f"one of {', '.join(names)}")
    if row_id is not None and kind is None:
        raise InvalidInput(field="kind", got=None, expected="the resource type of the row")
    for name in ("since", "until"):
        _check_zone(name, filters.get(name))
    begin, end = filters.get("since"), filters.get("until")
    if begin is not None and end is not None and end <= begin:
        raise InvalidInput(field="until", got=end.isoformat(), expected="a time after since")
    record, event = filters.get("record"), filters.get("event")
    operation = filters.get("operation")
    if filters.get("denied"):
        record = "permission_denial"
    return TrailSearch(
        kind=None if kind is None else known_resource_type(kind).resource_type,
        entity_id=None if row_id is None else known_id(row_id),
        correlation_id=None if operation is None else known_operation_id("operation", operation),
        since=filters.get("since"),
        until=filters.get("until"),
        record=None if record is None else known_record(record),
        event_type=None if event is None else known_event(event),
        failed=filters.get("failed"),
        oldest_first=bool(filters.get("oldest_first")),
    )


def pop_limit(filters: dict[str, Any]) -> int | None:
    """Take the limit out of the filters; None if there is none.

    Raises:
        InvalidInput: It is out of its range.
    """
    limit: int | None = filters.pop("limit", None)
    if limit is not None:
        check("limit", limit, ROWS)
    return limit


def pop_after(filters: dict[str, Any]) -> "PageEnd | None":
    """Take the cursor out of the filters: the end of the page before; None if there is none.

    Raises:
        InvalidInput: It is no cursor.
    """
    from reads.audit.trail import PageEnd

    cursor = filters.pop("after", None)
    return None if cursor is None else PageEnd.read(cursor)


def known_id(row_id: int) -> int:
    """Return an id that a row can have.

    Raises:
        InvalidInput: No row can have it.
    """
    if not is_id(row_id):
        raise InvalidInput(field="id", got=row_id, expected="a whole number from 1 on")
    return row_id


def known_span(
    since: datetime | None, until: datetime | None, now: datetime, usual: timedelta
) -> tuple[datetime, datetime]:
    """Return the begin and the end of a span, by default the *usual* one until now.

    Raises:
        InvalidInput: A time has no zone, or the end is not after the begin.
    """
    _check_zone("since", since)
    _check_zone("until", until)
    end = until or now
    begin = since or end - usual
    if begin >= end:
        expected = f"a time before {end.isoformat()}"
        raise InvalidInput(field="since", got=begin.isoformat(), expected=expected)
    return begin, end


def _check_zone(name: str, time: datetime | None) -> None:
    if time is not None and time.tzinfo is None:
        raise InvalidInput(field=name, got=time.isoformat(), expected="a time with its zone")
