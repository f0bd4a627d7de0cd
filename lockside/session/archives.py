"""Archives of old records: listed, made, searched, restored, held and released."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from domain.errors import InvalidInput
from domain.permissions import Actor
from engine.access.permissions import authorize
from engine.ports.platform import Platform
from engine.retention.archive import Archived, archive_records
from engine.retention.restore import ArchiveTotals, hold_archives, release_archives, restore
from models.seal import TABLES
from reads.audit.archives import ArchiveSearch, list_archives, people_named, search_archives

_MONTH = re.compile(r"\d{4}-\d\d")
_MOST_DAYS = 366


class Archives:
    """What an actor may ask of a tenant's archives; `site.archives`.

    A month is given as `2026-05` or as any date in it, by UTC; `record` is the table that records
    are from, such as `audit_log`, and stands for all four if it is left out.
    """

    def __init__(self, platform: Platform, actor: Actor) -> None:
        """Name them; nothing is asked yet."""
        self._platform = platform
        self._actor = actor

    def list(
        self, *, month: str | date | None = None, record: str | None = None
    ) -> list[dict[str, Any]]:
        """Return the archives, oldest months first; what was dropped is told as well.

        Raises:
            InvalidInput: There is no such month or table.
            PermissionDenied: The actor may not see the records.
        """
        known = None if month is None else _month(month)
        _records(record)
        self._demand("view")
        with self._platform.database.connect() as db:
            return list_archives(db, self._actor.tenant_id, month=known, record=record)

    def archive_now(self, *, even_restored: bool = False) -> Archived:
        """Archive what is older than the hot days, of all tenants, as the hourly tick does.

        With *even_restored* also what the actor's tenant restored for longer; where another one
        did so, the month stays as it is.

        Raises:
            PermissionDenied: The actor may not.
            Unavailable: The folder is full, or isn't there; what wasn't archived is where it was.
        """
        self._demand("archive")
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
        """Return the archived records that match all of this, one by one, oldest months first.

        Args:
            kind: Of records of this kind, such as `work_order`.
            row_id: Of this one.
            by: What this person did.
            operation_id: In this operation.
            since: From then on.
            until: Before then.

        Raises:
            InvalidInput: A value is not what was expected.
            NotFound: There is no such person.
            PermissionDenied: The actor may not see the records.
            Unavailable: A file isn't there or can't be read.
            RuleRefused: One isn't as it was written.
        """
        wanted = ArchiveSearch(
            kind=kind,
            entity_id=row_id,
            correlation_id=None if operation_id is None else _operation(operation_id),
            since=_moment("since", since),
            until=_moment("until", until),
        )
        self._demand("view")
        if by is not None:
            with self._platform.database.connect() as db:
                wanted = replace(wanted, actor_ids=people_named(db, self._actor.tenant_id, by))
        return self._found(wanted)

    def restore(
        self, month: str | date, *, record: str | None = None, days: int | None = None
    ) -> ArchiveTotals:
        """Put a month's records back into their tables for some days, 7 by default.

        Raises:
            InvalidInput: There is no such month or table, or the days aren't a number above 0.
            NotFound: There is no archive of that month.
            PermissionDenied: The actor may not.
            RuleRefused: All of them were dropped, or one isn't as it was written.
            Unavailable: A file isn't there or can't be read.
            LockBusy: The month is being archived, or somebody reads its table for long.
        """
        known, records = _month(month), _records(record)
        if days is not None and not 0 < days <= _MOST_DAYS:
            raise InvalidInput(field="days", got=days, expected=f"1 to {_MOST_DAYS}")
        self._demand("archive")
        return restore(self._platform, self._actor, known, records=records, days=days)

    def hold(self, month: str | date, *, because: str, record: str | None = None) -> int:
        """Keep a month's archives from being dropped; return how many are newly held so.

        Raises:
            InvalidInput: There is no such month or table, or no reason.
            NotFound: There is no archive of that month.
            PermissionDenied: The actor may not.
            RuleRefused: All of them were dropped.
        """
        known, records = _month(month), _records(record)
        self._demand("archive")
        return hold_archives(self._platform, self._actor, known, because=because, records=records)

    def release(self, month: str | date, *, record: str | None = None) -> int:
        """Let a month's archives be dropped when they are too old; else as `hold`."""
        known, records = _month(month), _records(record)
        self._demand("archive")
        return release_archives(self._platform, self._actor, known, records=records)

    def _found(self, wanted: ArchiveSearch) -> Iterator[dict[str, Any]]:
        with self._platform.database.connect() as db:
            yield from search_archives(db, self._actor.tenant_id, self._platform.archives, wanted)

    def _demand(self, action: str) -> None:
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


def _operation(value: str | UUID) -> UUID:
    try:
        return UUID(str(value))
    except ValueError as error:
        raise InvalidInput(
            field="operation_id", got=value, expected="a UUID such as submit printed"
        ) from error


def _moment(name: str, value: datetime | None) -> datetime | None:
    if value is not None and value.tzinfo is None:
        raise InvalidInput(field=name, got=value, expected="a time with its zone")
    return value if value is None else value.astimezone(UTC)
