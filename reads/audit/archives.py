"""What archives there are, and what is in them, without restoring it."""

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
_TOLD = (
    *("record", "month", "records", "bytes", "first_seal", "last_seal", "archived_at"),
    *("restored_until", "held_because", "dropped_at", "path"),
)
_INNER = ("salt", "commitment")

# Files are read for longer than a transaction may be idle else.
_TAKE_TIME = text("SELECT set_config('idle_in_transaction_session_timeout', '3600s', true)")


@dataclass(frozen=True, slots=True)
class ArchiveSearch:
    """What to look for in archives; None for anything.

    Attributes:
        kind: Of which kind of record, such as `work_order`.
        entity_id: Of which one.
        actor_ids: Whoever of these acted.
        correlation_id: In which operation.
        since: Not before.
        until: Before.
    """

    kind: str | None = None
    entity_id: int | None = None
    actor_ids: tuple[int, ...] = ()
    correlation_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None

    def words(self) -> tuple[bytes, ...]:
        """Return what stands in every line that matches; to look for it is faster than to read."""
        found = []
        if self.kind is not None:
            found.append(b'"kind":' + json.dumps(self.kind, ensure_ascii=False).encode())
        if self.entity_id is not None:
            found.append(b"%d" % self.entity_id)
        if self.correlation_id is not None:
            found.append(str(self.correlation_id).encode())
        return tuple(found)

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
    """Return a tenant's archives, oldest months first; what was dropped is told as well."""
    chosen = [_ARCHIVE.tenant_id == tenant_id, _ARCHIVE.replaced_at.is_(None)]
    if month is not None:
        chosen.append(_ARCHIVE.month == month)
    if record is not None:
        chosen.append(_ARCHIVE.record == record)
    columns = [_ARCHIVE[each] for each in (*_TOLD, "sha256")]
    query = select(*columns).where(*chosen).order_by(_ARCHIVE.month, _ARCHIVE.record, _ARCHIVE.id)
    return [
        {**each._mapping, "month": f"{each.month:%Y-%m}", "sha256": each.sha256.hex()}
        for each in db.execute(query)
    ]


def people_named(db: Connection, tenant_id: int, name: str) -> tuple[int, ...]:
    """Return the people of a name, those who left included.

    Raises:
        NotFound: There was never one.
    """
    found = db.scalars(select(Person.id).filter_by(tenant_id=tenant_id, name=name)).all()
    if not found:
        raise NotFound(what="person", got=name)
    return tuple(found)


def search_archives(
    db: Connection, tenant_id: int, folder: Path, wanted: ArchiveSearch
) -> Iterator[dict[str, Any]]:
    """Yield the archived records that match, with the table that each is from as `record`.

    Archives are read line by line, oldest months first; those outside the span aren't.

    Raises:
        Unavailable: A file isn't there or can't be read.
        RuleRefused: One isn't as it was written.
    """
    db.execute(_TAKE_TIME)
    db.execute(READ_ARCHIVES)
    words = wanted.words()
    for archive in _searched(db, tenant_id, wanted):
        for line in read_verified(folder / archive.path, archive.sha256):
            if all(each in line for each in words) and wanted.matches(record := json.loads(line)):
                told = {name: each for name, each in record.items() if name not in _INNER}
                yield {"record": archive.record, **told}


def _searched(db: Connection, tenant_id: int, wanted: ArchiveSearch) -> Sequence[Row[Any]]:
    chosen: list[ColumnElement[bool]] = [
        _ARCHIVE.tenant_id == tenant_id,
        _ARCHIVE.replaced_at.is_(None),
        _ARCHIVE.dropped_at.is_(None),
    ]
    if wanted.since is not None:
        chosen.append(_ARCHIVE.month >= month_of(wanted.since))
    if wanted.until is not None:
        chosen.append(_ARCHIVE.month <= month_of(wanted.until))
    columns = [_ARCHIVE[each] for each in ("record", "path", "sha256")]
    query = select(*columns).where(*chosen)
    ordered = query.order_by(_ARCHIVE.month, _ARCHIVE.record, _ARCHIVE.id)
    found: Sequence[Row[Any]] = db.execute(ordered).all()
    return found
