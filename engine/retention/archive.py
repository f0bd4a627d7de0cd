"""Archiving: move records that are cold out of their tables and into archives, month by month.

A month of one table is one transaction: its files are written, read back and compared with the
seals before it commits. So a crash leaves the records where they were, and files that the next
attempt removes.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from psycopg import errors
from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import DBAPIError

from domain.audit.retention import span_of
from engine.ports.platform import Platform
from engine.retention.archive_lines import SAME_EVERYWHERE, Compared, copy_lines
from engine.retention.archive_rows import (
    check_folder,
    is_partition,
    lock_month,
    months_of,
    note_archive,
    partition_of,
    remove_gone,
    restored_in,
)
from models.archive_file import (
    ArchiveScope,
    Unreadable,
    Written,
    batches,
    leftovers,
    read_lines,
    read_verified,
    write_archive,
)
from models.seal import TABLES

_log = logging.getLogger(__name__)

_DROP_TRIES = 5

_COUNT = """
SELECT tenant_id, count(*) AS records FROM {table}
 WHERE occurred_at >= :since AND occurred_at < :until GROUP BY tenant_id ORDER BY tenant_id
"""

_IS_HOT = "SELECT 1 FROM {table} WHERE event_id = :event_id AND occurred_at = :occurred_at"

_KNOWN_PATHS = text("SELECT path FROM audit_archive WHERE record = :record AND month = :month")

_LOCK = "LOCK TABLE {part} IN SHARE ROW EXCLUSIVE MODE"
_DROP = "DROP TABLE {part}"
_DELETE = "DELETE FROM {part} WHERE occurred_at >= :since AND occurred_at < :until"


class _MonthStays(Exception):
    """A month is not archived; its message says why."""


class _MonthDiffers(_MonthStays):
    """A month is not archived until somebody looks into it; none of it is dropped either."""


@dataclass(slots=True)
class Archived:
    """The result of archiving.

    Attributes:
        records: How many records left their tables.
        files: How many archives they went into.
        bytes: The size of these archives together.
        stays: Months that were not archived, each with its reason.
    """

    records: int = 0
    files: int = 0
    bytes: int = 0
    stays: list[str] = field(default_factory=list)


def archive_records(platform: Platform, *, even_restored_of: int | None = None) -> Archived:
    """Archive every month whose records are all older than the hot days; safe to repeat.

    Args:
        platform: With the archive folder and the retention.
        even_restored_of: Archive also what this tenant restored for a time that isn't over.

    Raises:
        Unavailable: The folder is full, or isn't there; what wasn't archived is where it was.
    """
    done = Archived()
    check_folder(platform)
    for table in TABLES:
        with platform.database.connect() as db:
            cold = months_of(db, table, platform.retention.cold_before(platform.clock(db)))
        for month in cold:
            try:
                _archive_month(platform, table, month, done, even_restored_of=even_restored_of)
            except _MonthStays as stay:
                if isinstance(stay, _MonthDiffers):
                    _log.warning(
                        "month not archived",
                        extra={"table": table, "month": str(month), "why": str(stay)},
                    )
                done.stays.append(f"{table} {month:%Y-%m}: {stay}")
    remove_gone(platform)
    return done


def _archive_month(
    platform: Platform, table: str, month: date, done: Archived, *, even_restored_of: int | None
) -> None:
    """Archive a month's records of all tenants, and remove them from their table.

    Raises:
        Unavailable: The folder is full or can't be used.
        _MonthStays: It can't be archived now.
    """
    with platform.database.begin() as db:
        if not lock_month(db, table, month):
            raise _MonthStays("somebody else is at it")
        db.execute(SAME_EVERYWHERE)
        part = partition_of(db, table, month)
        with _stay_if_locked():
            # Nobody may write to it until its records are in their archive and gone from here.
            db.execute(text(_LOCK.format(part=part)))
        now = platform.clock(db)
        restored = restored_in(db, table, month)
        others = [archive for archive in restored if archive.tenant_id != even_restored_of]
        if any(archive.restored_until > now for archive in others):
            raise _MonthStays("its records were restored")
        known_paths = _remove_leftovers(db, platform.archives, table, month)
        written_files: list[Written] = []
        try:
            for scope, records, former in _scopes(db, table, month, restored):
                written, compared = _write(platform, db, scope, records, written_files)
                _check_written(written, compared, records)
                note_archive(db, scope, written, compared, former=former, now=now)
            _remove_records(db, part, month, sum(file.records for file in written_files))
            platform.step("archive_noted")
        except Exception:
            # Before the commit: no row of an archive names these files.
            _remove(platform.archives, [file.path for file in written_files], known_paths)
            raise
    platform.step("records_archived")
    done.records += sum(file.records for file in written_files)
    done.files += len(written_files)
    done.bytes += sum(file.bytes for file in written_files)


def _scopes(
    db: Connection, table: str, month: date, restored: Sequence[Row[Any]]
) -> Iterator[tuple[ArchiveScope, int, list[Row[Any]]]]:
    """Yield each tenant's scope, how many records it has, and the archives they came from."""
    counted = {
        row.tenant_id: row.records
        for row in db.execute(text(_COUNT.format(table=table)), _span(month))
    }
    for tenant_id in sorted({*counted, *(row.tenant_id for row in restored)}):
        former = [archive for archive in restored if archive.tenant_id == tenant_id]
        records = counted.get(tenant_id, 0)
        lost = sum(archive.records for archive in former) - records
        if lost > 0:
            raise _MonthDiffers(f"{lost:,} of the records that were restored are gone: verify them")
        yield ArchiveScope(tenant_id, table, month), records, former


def _write(
    platform: Platform,
    db: Connection,
    scope: ArchiveScope,
    records: int,
    written_files: list[Written],
) -> tuple[Written, Compared]:
    """Write a tenant's archive of a month, and read it back."""
    span = {"tenant_id": scope.tenant_id, **_span(scope.month)}
    with closing(copy_lines(db, scope.record, span)) as lines:
        written = write_archive(platform.archives, scope, lines, records)
    written_files.append(written)
    platform.step("archive_written")
    compared = Compared()
    for batch in batches(read_verified(platform.archives / written.path, written.sha256)):
        compared.add(db, scope.record, scope.tenant_id, batch)
    platform.step("archive_checked")
    return written, compared


def _check_written(written: Written, compared: Compared, records: int) -> None:
    """Check that an archive holds all records, as they were sealed."""
    if written.records != records or compared.records != records:
        raise _MonthDiffers(f"{compared.records:,} of {records:,} records were read back")
    if compared.differing:
        raise _MonthDiffers(
            f"{compared.differing:,} records aren't as they were sealed: verify them"
        )


def _remove_records(db: Connection, part: str, month: date, records: int) -> None:
    """Remove a month's records from their table; a partition is dropped as a whole."""
    if not is_partition(part):
        deleted = db.execute(text(_DELETE.format(part=part)), _span(month)).rowcount
        if deleted != records:
            raise _MonthDiffers(f"{deleted:,} records are there, {records:,} were archived")
        return
    # Readers of the table queue behind whoever waits to drop a partition: better to give way.
    db.execute(text("SET LOCAL lock_timeout = '2s'"))
    for tried in range(1, _DROP_TRIES + 1):
        try:
            with db.begin_nested():
                db.execute(text(_DROP.format(part=part)))
            return
        except DBAPIError as error:
            if not _is_locked(error):
                raise
            if tried == _DROP_TRIES:
                raise _MonthStays("somebody reads its table for long") from error


def _remove_leftovers(db: Connection, folder: Path, table: str, month: date) -> set[str]:
    """Remove files that a killed archiver left of a month; return those that archives name."""
    known_paths = {
        path for path in db.scalars(_KNOWN_PATHS, {"record": table, "month": month}) if path
    }
    unfinished, finished = leftovers(folder, table, month)
    unnamed = [path for path in finished if f"{path.parent.name}/{path.name}" not in known_paths]
    # Files of another installation, or from before the database was set back, are kept.
    ours = [path for path in unnamed if _is_hot(db, table, path)]
    for path in (*unfinished, *ours):
        path.unlink(missing_ok=True)
    return known_paths


def _is_hot(db: Connection, table: str, path: Path) -> bool:
    """Say whether the first record of an archive is in its table."""
    try:
        first = [json.loads(line) for line in islice(read_lines(path), 1)]
        names = {name: first[0][name] for name in ("event_id", "occurred_at")}
    except (Unreadable, ValueError, LookupError):
        return False
    return db.execute(text(_IS_HOT.format(table=table)), names).first() is not None


def _remove(folder: Path, paths: Sequence[str], known_paths: set[str]) -> None:
    for path in paths:
        if path not in known_paths:
            with suppress(OSError):
                (folder / path).unlink(missing_ok=True)


@contextmanager
def _stay_if_locked() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if not _is_locked(error):
            raise
        raise _MonthStays("somebody writes to it") from error


def _is_locked(error: DBAPIError) -> bool:
    return isinstance(error.orig, errors.LockNotAvailable | errors.DeadlockDetected)


def _span(month: date) -> dict[str, datetime]:
    since, until = span_of(month)
    return {"since": since, "until": until}
