"""The audit as it is read: the trail, the past of rows, their times in states, what is unusual."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Connection

from domain.errors import InvalidInput
from domain.permissions import Actor
from engine.access.permissions import authorize
from engine.input.checks import ROWS, check, is_id
from engine.input.record_types import known_kind, known_resource_type, parent_of
from engine.ports.platform import Platform

if TYPE_CHECKING:
    from reads.audit.trail import PageEnd, TrailSearch

SYSTEM = ""
"""In the place of a person's name: the system itself."""

_DAY, _MONTH = timedelta(days=1), timedelta(days=30)


class AuditTrail:
    """What a site tells of what happened."""

    platform: Platform
    actor: Actor

    def trail(
        self, kind: str | None = None, row_id: int | None = None, **wanted: Any
    ) -> Iterator[dict[str, Any]]:
        """Yield records of all four sorts, newest first; page by page, in flat memory.

        What happened in the last seconds may yet have to be written.

        Args:
            kind: Only of rows of this resource type.
            row_id: Only of this row; then the permission to view it is enough, else it takes
                `audit.view`.
            wanted: `by` a person, by name or id (an empty name is the system itself), of an
                `operation`, `since` a time and `until` before one, of one sort of `record` or
                of one `event`, only what `failed` (or with False only what was done), only
                `denied`; `oldest_first`; at most `limit`; from behind the cursor `after` on,
                which `cursor_of` tells of the last record that was seen.

        Raises:
            InvalidInput: A value is not what was expected.
            NotFound: There never was such a person.
            PermissionDenied: The actor may not; the denial is recorded.
        """
        from reads.audit.trail import PageEnd

        limit = _known_limit(wanted)
        after = wanted.pop("after", None)
        sought = self._sought(kind, row_id, wanted)
        pages = self._trail_pages(sought, None if after is None else PageEnd.read(after), limit)
        return (each for page in pages for each in page)

    def trail_text(
        self,
        form: str = "csv",
        kind: str | None = None,
        row_id: int | None = None,
        *,
        on_progress: Callable[[int], object] = lambda _: None,
        **wanted: Any,
    ) -> Iterator[str]:
        """Yield a file of records in pieces, `csv` or `ndjson`; arguments are those of `trail`.

        *on_progress* is told how many records are out.
        """
        from lockside.session.import_export import form_of
        from reads.audit.trail import TRAIL_FIELDS
        from reads.records.export import write_csv, write_ndjson

        form = form_of("", form)
        limit = _known_limit(wanted)
        sought = self._sought(kind, row_id, wanted)
        pages = _counted(self._trail_pages(sought, None, limit), on_progress)
        return write_csv(TRAIL_FIELDS, pages) if form == "csv" else write_ndjson(pages)

    @staticmethod
    def cursor_of(record: dict[str, Any]) -> str:
        """Return the cursor that leads on behind a record of the trail."""
        from reads.audit.trail import PageEnd

        return str(PageEnd.of(record))

    def as_of(self, kind: str, row_id: int, at: datetime) -> dict[str, Any]:
        """Return what a record was at a time, with its parts.

        Returns:
            `kind`, `id`, `at`, whether it `exists` then and `since` when, its `version`; by
            column the `values` that are known, and of others why they are `unknown`.

        Raises:
            InvalidInput: The resource type is not known; the time has no zone, or is yet to come.
            NotFound: There never was such a record.
            PermissionDenied: The actor may not see such records.
        """
        from reads.audit.past import find_as_of

        resource_type = self._viewed(kind)
        with self._snapshot(at) as (db, _):
            return find_as_of(db, self.actor.tenant_id, resource_type, _known_id(row_id), at)

    def states_as_of(self, kind: str, at: datetime) -> dict[str, Any]:
        """Return how many rows of a kind were in each of its `states` at a time.

        `unknown` counts those of which no record tells it; errors are those of `as_of`.
        """
        from reads.audit.past import count_states_at

        known = known_kind(kind).resource_type
        authorize(self.platform, self.actor, known, "view")
        with self._snapshot(at) as (db, _):
            return count_states_at(db, self.actor.tenant_id, known, at)

    def time_in_states(
        self,
        kind: str,
        row_id: int | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> dict[str, Any]:
        """Return how long a row was in each state, or what is usual for the rows of a kind.

        Returns:
            `states`: of a row each with `seconds`, `visits` and `is_present`, and in `unknown_s`
            the seconds of its life of which no record tells; of a kind each with `stays` that
            ended in the span (by default the last 30 days), `mean_s`, `median_s` and `p90_s`.

        Raises:
            InvalidInput: The kind is not known; a time has no zone, or no sense.
            NotFound: There never was such a row.
            PermissionDenied: The actor may not see such rows.
        """
        from reads.audit.past import find_stays, measure_stays

        known = known_kind(kind).resource_type
        authorize(self.platform, self.actor, known, "view")
        with self._snapshot() as (db, now):
            tenant_id = self.actor.tenant_id
            if row_id is not None:
                return find_stays(db, tenant_id, known, _known_id(row_id), now)
            begin, end = _span(since, until, now, _MONTH)
            return measure_stays(db, tenant_id, known, begin, end)

    def anomalies(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> list[dict[str, Any]]:
        """Return hours with far more than usual, newest first; by default of the last day.

        Returns:
            Dicts with `what` came (`failures` of a `kind`, `denials`, `activity` of an
            `actor`), `since` and `until` when, what was `usual` in such an hour, what `came` in
            the worst and in `total`, its `score`, and what it was `compared_with`.

        Raises:
            InvalidInput: A time has no zone, or no sense.
            PermissionDenied: The actor may not; the denial is recorded.
        """
        from reads.audit.anomalies import find_anomalies

        authorize(self.platform, self.actor, "audit", "view")
        with self._snapshot() as (db, now):
            return find_anomalies(db, self.actor.tenant_id, *_span(since, until, now, _DAY))

    def _sought(
        self, kind: str | None, row_id: int | None, wanted: dict[str, Any]
    ) -> "TrailSearch":
        """Return what is looked for, if the actor may."""
        from models.rollup import NOBODY
        from reads.people import find_person_ever

        sought = _read(kind, row_id, wanted)
        if sought.entity_id is None:
            authorize(self.platform, self.actor, "audit", "view")
        else:
            self._viewed(str(sought.kind))
        by = wanted.get("by")
        if by is None:
            return sought
        with self.platform.database.connect() as db:
            actor = NOBODY if by == SYSTEM else find_person_ever(db, self.actor.tenant_id, by)
        return replace(sought, actor_id=actor)

    def _viewed(self, kind: str) -> str:
        """Return a resource type as it is known, if the actor may see such records."""
        model = known_resource_type(kind)
        authorize(self.platform, self.actor, (parent_of(model) or model).resource_type, "view")
        return model.resource_type

    def _trail_pages(
        self, sought: "TrailSearch", after: "PageEnd | None", limit: int | None
    ) -> Iterator[list[dict[str, Any]]]:
        from reads.audit.trail import PageEnd, read_trail

        left = float("inf") if limit is None else limit
        while left > 0:
            most = int(min(left, self.platform.pace.export_rows))
            # Whoever reads may take their time: a transaction for each page, not one for all.
            with self.platform.database.connect() as db:
                page = read_trail(db, self.actor.tenant_id, sought, after=after, most=most)
            yield page
            if len(page) < most:
                return
            left -= len(page)
            after = PageEnd.of(page[-1])

    @contextmanager
    def _snapshot(self, at: datetime | None = None) -> Iterator[tuple[Connection, datetime]]:
        """Give a transaction in which rows and records agree, and the time."""
        with self.platform.database.connect() as connected:
            db = connected.execution_options(isolation_level="REPEATABLE READ")
            now = self.platform.clock(db)
            if at is not None and (at.tzinfo is None or at > now):
                expected = "a time in the past, with its zone"
                raise InvalidInput(field="at", got=at.isoformat(), expected=expected)
            yield db, now


def _read(kind: str | None, row_id: int | None, wanted: dict[str, Any]) -> "TrailSearch":
    from reads.audit.trail import TrailSearch, known_event, known_record

    known = ("by", "operation", "since", "until", "record", "event", "failed", "denied")
    unknown = wanted.keys() - {*known, "oldest_first"}
    if unknown:
        name = min(unknown)
        raise InvalidInput(field=name, got=wanted[name], expected=f"one of {', '.join(known)}")
    if row_id is not None and kind is None:
        raise InvalidInput(field="kind", got=None, expected="the noun of the row beside its id")
    for name in ("since", "until"):
        _check_zone(name, wanted.get(name))
    begin, end = wanted.get("since"), wanted.get("until")
    if begin is not None and end is not None and end <= begin:
        raise InvalidInput(field="until", got=end.isoformat(), expected="a time after since")
    record, event = wanted.get("record"), wanted.get("event")
    if wanted.get("denied"):
        record = "permission_denial"
    return TrailSearch(
        kind=None if kind is None else known_resource_type(kind).resource_type,
        entity_id=None if row_id is None else _known_id(row_id),
        correlation_id=_operation(wanted.get("operation")),
        since=wanted.get("since"),
        until=wanted.get("until"),
        record=None if record is None else known_record(record),
        event_type=None if event is None else known_event(event),
        failed=wanted.get("failed"),
        oldest_first=bool(wanted.get("oldest_first")),
    )


def _known_limit(wanted: dict[str, Any]) -> int | None:
    limit: int | None = wanted.pop("limit", None)
    if limit is not None:
        check("limit", limit, ROWS)
    return limit


def _operation(named: str | UUID | None) -> UUID | None:
    try:
        return None if named is None else UUID(str(named))
    except ValueError as error:
        expected = "a UUID such as submit printed"
        raise InvalidInput(field="operation", got=named, expected=expected) from error


def _known_id(row_id: int) -> int:
    if not is_id(row_id):
        raise InvalidInput(field="id", got=row_id, expected="a whole number from 1 on")
    return row_id


def _span(
    since: datetime | None, until: datetime | None, now: datetime, usual: timedelta
) -> tuple[datetime, datetime]:
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


def _counted(
    pages: Iterator[Sequence[dict[str, Any]]], tell: Callable[[int], object]
) -> Iterator[Sequence[dict[str, Any]]]:
    out = 0
    for page in pages:
        out += len(page)
        yield page
        tell(out)
