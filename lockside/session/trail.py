"""Audit trail: read the records, the past of rows, their times in states, and anomalies."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from domain.errors import InvalidInput
from domain.permissions import Actor
from engine.access.permissions import authorize
from engine.input.record_types import known_kind, known_resource_type, parent_of
from engine.ports.platform import Platform
from lockside.session.import_export import form_of, report_progress
from lockside.session.trail_filters import known_id, known_span, parse_filters, pop_after, pop_limit

if TYPE_CHECKING:
    from reads.audit.trail import PageEnd, TrailSearch

SYSTEM = ""
"""The person's name that stands for the system itself."""

_DAY, _MONTH = timedelta(days=1), timedelta(days=30)


class AuditTrail:
    """The part of a session that reads the audit records."""

    platform: Platform
    actor: Actor

    def trail(
        self, kind: str | None = None, row_id: int | None = None, **filters: Any
    ) -> Iterator[dict[str, Any]]:
        """Yield the records of all four tables, newest first, read page by page.

        Changes of the last seconds may not be written to the records yet.

        Args:
            kind: Only of rows of this resource type.
            row_id: Only of this row; then the permission to view it is enough, otherwise
                `audit.view` is needed.
            filters: `by` a person, by name or id (an empty name is the system itself); of an
                `operation`; `since` a time and `until` before one; of one table of `record` or
                of one `event`; only what `failed`, or with False only what succeeded; only
                `denied`; `oldest_first`; at most `limit`; from after the cursor `after`, which
                `cursor_of` returns for the last record of the page before.

        Raises:
            InvalidInput: A value is not what was expected.
            NotFound: There has never been such a person.
            PermissionDenied: The actor may not; the denial is recorded.
        """
        limit, after = pop_limit(filters), pop_after(filters)
        sought = self._authorized_filters(kind, row_id, filters)
        pages = self._trail_pages(sought, after, limit)
        return (record for page in pages for record in page)

    def trail_text(
        self,
        form: str = "csv",
        kind: str | None = None,
        row_id: int | None = None,
        *,
        on_progress: Callable[[int], object] = lambda _: None,
        **filters: Any,
    ) -> Iterator[str]:
        """Yield a file of records in pieces, as `csv` or `ndjson`; arguments are those of `trail`.

        *on_progress* is called with how many records have been written.
        """
        from reads.audit.trail import TRAIL_FIELDS
        from reads.records.export import write_csv, write_ndjson

        form = form_of("", form)
        limit, after = pop_limit(filters), pop_after(filters)
        sought = self._authorized_filters(kind, row_id, filters)
        pages = report_progress(self._trail_pages(sought, after, limit), on_progress)
        return write_csv(TRAIL_FIELDS, pages) if form == "csv" else write_ndjson(pages)

    @staticmethod
    def cursor_of(record: dict[str, Any]) -> str:
        """Return the cursor with which the trail continues after a record."""
        from reads.audit.trail import PageEnd

        return str(PageEnd.of(record))

    def as_of(self, kind: str, row_id: int, at: datetime) -> dict[str, Any]:
        """Return a record as it was at a time, with its children.

        Returns:
            `kind`, `id`, `at`, whether it `exists` then and `since` when, its `version`; by
            column the `values` that are known, and why others are `unknown`.

        Raises:
            InvalidInput: The resource type is unknown; the time has no zone or is in the future.
            NotFound: There has never been such a record.
            PermissionDenied: The actor may not see such records.
        """
        from reads.audit.past import find_as_of

        resource_type = self._authorize_type(kind)
        with self._snapshot(at) as (db, _):
            return find_as_of(db, self.actor.tenant_id, resource_type, known_id(row_id), at)

    def states_as_of(self, kind: str, at: datetime) -> dict[str, Any]:
        """Return how many rows of a kind were in each of its `states` at a time.

        `unknown` counts the rows whose state no record gives; errors are those of `as_of`.
        """
        from reads.audit.past import count_states_at

        resource_type = known_kind(kind).resource_type
        authorize(self.platform, self.actor, resource_type, "view")
        with self._snapshot(at) as (db, _):
            return count_states_at(db, self.actor.tenant_id, resource_type, at)

    def time_in_states(
        self,
        kind: str,
        row_id: int | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> dict[str, Any]:
        """Return how long a row was in each state, or the usual times of all rows of a kind.

        Returns:
            `states`. Of a row each has `seconds`, `visits` and `is_present`; `unknown_s` is the
            time for which no record gives the state. Of a kind each has the number of `stays`
            that ended in the span (by default 30 days), `mean_s`, `median_s` and `p90_s`.

        Raises:
            InvalidInput: The kind is not known; a time has no zone, or the span is empty.
            NotFound: There has never been such a row.
            PermissionDenied: The actor may not see such rows.
        """
        from reads.audit.past import find_stays, measure_stays

        resource_type = known_kind(kind).resource_type
        authorize(self.platform, self.actor, resource_type, "view")
        with self._snapshot() as (db, now):
            tenant_id = self.actor.tenant_id
            if row_id is not None:
                return find_stays(db, tenant_id, resource_type, known_id(row_id), now)
            begin, end = known_span(since, until, now, _MONTH)
            return measure_stays(db, tenant_id, resource_type, begin, end)

    def anomalies(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> list[dict[str, Any]]:
        """Return hours with far more events than usual, newest first; by default the last day's.

        Returns:
            Dicts with `what` was counted (`failures` of a `kind`, `denials`, `activity` of an
            `actor`), `since` and `until` when, the `usual` count, how many `came` in the worst
            hour and in `total`, the `score`, and which hours it was `compared_with`.

        Raises:
            InvalidInput: A time has no zone, or the span is empty.
            PermissionDenied: The actor may not; the denial is recorded.
        """
        from reads.audit.anomalies import find_anomalies

        authorize(self.platform, self.actor, "audit", "view")
        with self._snapshot() as (db, now):
            return find_anomalies(db, self.actor.tenant_id, *known_span(since, until, now, _DAY))

    def _authorized_filters(
        self, kind: str | None, row_id: int | None, filters: dict[str, Any]
    ) -> "TrailSearch":
        """Return the parsed filters of a trail, if the actor may see what they match."""
        from models.rollup import NOBODY
        from reads.people import find_person_ever

        sought = parse_filters(kind, row_id, filters)
        if sought.entity_id is None:
            authorize(self.platform, self.actor, "audit", "view")
        else:
            self._authorize_type(str(sought.kind))
        by = filters.get("by")
        if by is None:
            return sought
        with self.platform.database.connect() as db:
            actor = NOBODY if by == SYSTEM else find_person_ever(db, self.actor.tenant_id, by)
        return replace(sought, actor_id=actor)

    def _authorize_type(self, kind: str) -> str:
        """Return the name of a resource type, if the actor may view its records."""
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
            # The reader may be slow: a transaction for each page, not one for all.
            with self.platform.database.connect() as db:
                page = read_trail(db, self.actor.tenant_id, sought, after=after, most=most)
            yield page
            if len(page) < most:
                return
            left -= len(page)
            after = PageEnd.of(page[-1])

    @contextmanager
    def _snapshot(self, at: datetime | None = None) -> Iterator[tuple[Connection, datetime]]:
        """Yield a transaction with one snapshot of rows and records, and its time."""
        with self.platform.database.connect() as connected:
            db = connected.execution_options(isolation_level="REPEATABLE READ")
            now = self.platform.clock(db)
            if at is not None and (at.tzinfo is None or at > now):
                expected = "a time in the past, with its zone"
                raise InvalidInput(field="at", got=at.isoformat(), expected=expected)
            yield db, now
