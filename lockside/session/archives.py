"""Archives: list, make, search, restore, hold and release the archives of old records."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from domain.errors import InvalidInput
from domain.permissions import Actor
from engine.access.permissions import authorize
from engine.input.checks import known_operation_id
from engine.ports.platform import Platform
from engine.retention.archive import Archived, archive_records
from engine.retention.restore import ArchiveTotals, hold_archives, release_archives, restore
from models.seal import TABLES
from reads.audit.archives import ArchiveSearch, list_archives, people_named, search_archives

_MONTH = re.compile(r"\d{4}-\d\d")
_MOST_DAYS = 366


class Archives:
    """A tenant's archives, for one actor; `site.archives`.

    A month is written as `2026-05` or is any date in it, by UTC. `record` is the table that the
    records are from, such as `audit_log`; by default all four tables.
    """

    def __init__(self, platform: Platform, actor: Actor) -> None:
        """Keep the actor; nothing is read yet."""
        self._platform = platform
        self._actor = actor

    def list(
        self, *, month: str | date | None = None, record: str | None = None
    ) -> list[dict[str, Any]]:
        """Return the archives, oldest months first; dropped ones are listed as well.

        Raises:
            InvalidInput: There is no such month or table.
            PermissionDenied: The actor may not see the records.
        """
        first_day = None if month is None else _month(month)
        _records(record)
        self._authorize("view")
        with self._platform.database.connect() as db:
            return list_archives(db, self._actor.tenant_id, month=first_day, record=record)

    def archive_now(self, *, even_restored: bool = False) -> Archived:
        """Archive the records of all tenants that are older than `hot_days`, as the hourly task.

        With *even_restored* also months that the actor's tenant has restored and that are still
        to stay; a month that another tenant has restored stays where it is.

        Raises:
            PermissionDenied: The actor may not.
            Unavailable: The folder is full or missing; records not yet archived stay in their
                tables.
        """
        self._authorize("archive")
        of = self._actor.tenant_id if even_restored else None
        return archive_records(self._platform, even_restored_of=of)

    def search(
        self,
        *,
        kind: str | None = None,
        row_id: int | None = None,
        by: str | None = None,
        operation_id: str | UUID | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Yield the archived records that match all arguments, oldest months first.

        Args:
            kind: Only of this resource type, such as `work_order`.
            row_id: Only of this row.
            by: Only what this person did.
            operation_id: Only of this operation.
            since: Only from this time on.
            until: Only before this time.

        Raises:
            InvalidInput: A value is not what was expected.
            NotFound: There is no such person.
            PermissionDenied: The actor may not see the records.
            Unavailable: A file is missing or can't be read.
            RuleRefused: A file was changed after it was written.
        """
        search = ArchiveSearch(
            kind=kind,
            entity_id=row_id,
            correlation_id=None
            if operation_id is None
            else known_operation_id("operation_id", operation_id),
            since=_moment("since", since),
            until=_moment("until", until),
        )
        self._authorize("view")
        if by is not None:
            with self._platform.database.connect() as db:
                search = replace(search, actor_ids=people_named(db, self._actor.tenant_id, by))
        return self._search(search)

    def restore(
        self, month: str | date, *, record: str | None = None, days: int | None = None
    ) -> ArchiveTotals:
        """Put a month's records back into their tables for some days, 7 by default.

        Raises:
            InvalidInput: There is no such month or table, or the days aren't a number above 0.
            NotFound: There is no archive of that month.
            PermissionDenied: The actor may not.
            RuleRefused: All of them were dropped, or one was changed after it was written.
            Unavailable: A file is missing or can't be read.
            LockBusy: The month is being archived, or a long transaction reads its table.
        """
        first_day, records = _month(month), _records(record)
        if days is not None and not 0 < days <= _MOST_DAYS:
            raise InvalidInput(field="days", got=days, expected=f"1 to {_MOST_DAYS}")
        self._authorize("archive")
        return restore(self._platform, self._actor, first_day, records=records, days=days)

    def hold(self, month: str | date, *, because: str, record: str | None = None) -> int:
        """Put a hold on a month's archives, so that they aren't dropped; return how many are new.

        Raises:
            InvalidInput: There is no such month or table, or *because* is empty.
            NotFound: There is no archive of that month.
            PermissionDenied: The actor may not.
            RuleRefused: All of them were dropped.
        """
        first_day, records = _month(month), _records(record)
        self._authorize("archive")
        return hold_archives(
            self._platform, self._actor, first_day, because=because, records=records
        )

    def release(self, month: str | date, *, record: str | None = None) -> int:
        """Release a month's archives, so that they are dropped when too old; returns as `hold`."""
        first_day, records = _month(month), _records(record)
        self._authorize("archive")
        return release_archives(self._platform, self._actor, first_day, records=records)

    def _search(self, search: ArchiveSearch) -> Iterator[dict[str, Any]]:
        with self._platform.database.connect() as db:
            yield from search_archives(db, self._actor.tenant_id, self._platform.archives, search)

    def _authorize(self, action: str) -> None:
        authorize(self._platform, self._actor, "audit", action)


def _month(value: str | date) -> date:
    try:
        if isinstance(value, date):
            return date(value.year, value.month, 1)
        if _MONTH.fullmatch(value):
            return date.fromisoformat(f"{value}-01")
    except ValueError:
        pass
    raise InvalidInput(field="month", got=value, expected="a month such as 2026-05")


def _records(record: str | None) -> tuple[str, ...]:
    if record is not None and record not in TABLES:
        raise InvalidInput(field="record", got=record, expected=f"one of {', '.join(TABLES)}")
    return TABLES if record is None else (record,)


def _moment(name: str, value: datetime | None) -> datetime | None:
    if value is not None and value.tzinfo is None:
        raise InvalidInput(field=name, got=value, expected="a time with its zone")
    return value if value is None else value.astimezone(UTC)
