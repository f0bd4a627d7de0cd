"""Archives: list the archives of a tenant, and search their records without restoring them."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, select, text

from domain.audit.retention import month_of
from domain.errors import NotFound
from models.archive import READ_ARCHIVES, AuditArchive
from models.archive_file import read_verified
from models.people import Person

_ARCHIVE = AuditArchive.__table__.c
_SHOWN = (
    *("record", "month", "records", "bytes", "first_seal", "last_seal", "archived_at"),
    *("restored_until", "held_because", "dropped_at", "path"),
)
_INTERNAL = ("salt", "commitment")

# Reading the files takes longer than a transaction may usually be idle.
_ALLOW_IDLE = text("SELECT set_config('idle_in_transaction_session_timeout', '3600s', true)")


@dataclass(frozen=True, slots=True)
class ArchiveSearch:
    """The records to search for in archives; None matches anything.

    Attributes:
        kind: The resource type, such as `work_order`.
        entity_id: The row.
        actor_ids: The people who acted.
        correlation_id: The operation.
        since: The earliest time.
        until: The time before which records occurred.
    """

    kind: str | None = None
    entity_id: int | None = None
    actor_ids: tuple[int, ...] = ()
    correlation_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None

    def words(self) -> tuple[bytes, ...]:
        """Return bytes that are in every matching line: searching them is faster than parsing."""
        words = []
        if self.kind is not None:
            words.append(b'"kind":' + json.dumps(self.kind, ensure_ascii=False).encode())
        if self.entity_id is not None:
            words.append(b"%d" % self.entity_id)
        if self.correlation_id is not None:
            words.append(str(self.correlation_id).encode())
        return tuple(words)

    def matches(self, record: dict[str, Any]) -> bool:
        """Say whether a record matches."""
        ids = (record.get("entity_id"), *(record.get("entity_ids") or ()))
        occurred_at = datetime.fromisoformat(record["occurred_at"])
        return (
            self.kind in (None, record["kind"])
            and (self.entity_id is None or self.entity_id in ids)
            and (not self.actor_ids or record["actor_id"] in self.actor_ids)
            and (
                self.correlation_id is None or str(self.correlation_id) == record["correlation_id"]
            )
            and (self.since is None or self.since <= occurred_at)
            and (self.until is None or occurred_at < self.until)
        )


def list_archives(
    db: Connection, tenant_id: int, *, month: date | None = None, record: str | None = None
) -> list[dict[str, Any]]:
    """Return a tenant's archives, oldest months first, including those that were dropped."""
    chosen = [_ARCHIVE.tenant_id == tenant_id, _ARCHIVE.replaced_at.is_(None)]
    if month is not None:
        chosen.append(_ARCHIVE.month == month)
    if record is not None:
        chosen.append(_ARCHIVE.record == record)
    columns = [_ARCHIVE[name] for name in (*_SHOWN, "sha256")]
    query = select(*columns).where(*chosen).order_by(_ARCHIVE.month, _ARCHIVE.record, _ARCHIVE.id)
    return [
        {**row._mapping, "month": f"{row.month:%Y-%m}", "sha256": row.sha256.hex()}
        for row in db.execute(query)
    ]


def people_named(db: Connection, tenant_id: int, name: str) -> tuple[int, ...]:
    """Return the ids of the people of a name, including those who were deleted.

    Raises:
        NotFound: There never was such a person.
    """
    ids = db.scalars(select(Person.id).filter_by(tenant_id=tenant_id, name=name)).all()
    if not ids:
        raise NotFound(what="person", got=name)
    return tuple(ids)


def search_archives(
    db: Connection, tenant_id: int, folder: Path, search: ArchiveSearch
) -> Iterator[dict[str, Any]]:
    """Yield the archived records that match, each with the table that it is from as `record`.

    Archives are read line by line, oldest months first; those outside the span are skipped.

    Raises:
        Unavailable: A file is missing or can't be read.
        RuleRefused: A file isn't as it was written.
    """
    db.execute(_ALLOW_IDLE)
    db.execute(READ_ARCHIVES)
    words = search.words()
    for archive in _matching_archives(db, tenant_id, search):
        for line in read_verified(folder / archive.path, archive.sha256):
            if all(word in line for word in words) and search.matches(record := json.loads(line)):
                shown = {name: value for name, value in record.items() if name not in _INTERNAL}
                yield {"record": archive.record, **shown}


def _matching_archives(db: Connection, tenant_id: int, search: ArchiveSearch) -> Sequence[Row[Any]]:
    chosen: list[ColumnElement[bool]] = [
        _ARCHIVE.tenant_id == tenant_id,
        _ARCHIVE.replaced_at.is_(None),
        _ARCHIVE.dropped_at.is_(None),
    ]
    if search.since is not None:
        chosen.append(_ARCHIVE.month >= month_of(search.since))
    if search.until is not None:
        chosen.append(_ARCHIVE.month <= month_of(search.until))
    columns = [_ARCHIVE[name] for name in ("record", "path", "sha256")]
    query = select(*columns).where(*chosen)
    ordered = query.order_by(_ARCHIVE.month, _ARCHIVE.record, _ARCHIVE.id)
    archives: Sequence[Row[Any]] = db.execute(ordered).all()
    return archives
