"""Records that are cold go into archives and out of their tables, a month at a time.

A month of one table is one transaction: its files are on the disk, read back and held against
the seals before it commits, so a crash leaves the records where they were, and files that the
next attempt takes away.
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
from engine.retention.archive_lines import SAME_EVERYWHERE, Compared, copied
from engine.retention.archive_rows import (
    expect_folder,
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
    read_whole,
    write_archive,
)
from models.seal import TABLES

_log = logging.getLogger(__name__)

_TRIES = 5

_COUNT = """
SELECT tenant_id, count(*) AS records FROM {table}
 WHERE occurred_at >= :since AND occurred_at < :until GROUP BY tenant_id ORDER BY tenant_id
"""

_IS_HOT = "SELECT 1 FROM {table} WHERE event_id = :event_id AND occurred_at = :occurred_at"

_KNOWN = text("SELECT path FROM audit_archive WHERE record = :record AND month = :month")

_LOCK = "LOCK TABLE {part} IN SHARE ROW EXCLUSIVE MODE"
_DROP = "DROP TABLE {part}"
_DELETE = "DELETE FROM {part} WHERE occurred_at >= :since AND occurred_at < :until"


class _Stays(Exception):
    """A month stays as it is, and why."""


class _Differs(_Stays):
    """It stays until somebody looks into it; so long nothing of it is dropped either."""


@dataclass(slots=True)
class Archived:
    """What came of archiving.

    Attributes:
        records: So many left their tables.
        files: Into so many archives.
        bytes: Of this size together.
        stays: Months that stay where they are, each with its reason.
    """

    records: int = 0
    files: int = 0
    bytes: int = 0
    stays: list[str] = field(default_factory=list)


def archive_records(platform: Platform, *, even_restored_of: int | None = None) -> Archived:
    """Archive every month whose records are all older than the hot days; safe to repeat.

    Args:
        platform: With the folder, and the spans.
        even_restored_of: Also what this tenant restored for longer than until now.

    Raises:
        Unavailable: The folder is full, or isn't there; what wasn't archived is where it was.
    """
    done = Archived()
    expect_folder(platform)
    for table in TABLES:
        with platform.database.connect() as db:
            cold = months_of(db, table, platform.retention.cold_before(platform.clock(db)))
        for month in cold:
            try:
                _archive_month(platform, table, month, done, even_restored_of=even_restored_of)
            except _Stays as why:
                if isinstance(why, _Differs):
                    _log.warning(
                        "month not archived",
                        extra={"table": table, "month": str(month), "why": str(why)},
                    )
                done.stays.append(f"{table} {month:%Y-%m}: {why}")
    remove_gone(platform)
    return done


def _archive_month(
    platform: Platform, table: str, month: date, done: Archived, *, even_restored_of: int | None
) -> None:
    """Archive what all tenants have of a month, and take it out of its table.

    Raises:
        Unavailable: The folder is full or can't be used.
        _Stays: It isn't to be archived now.
    """
    with platform.database.begin() as db:
        if not lock_month(db, table, month):
            raise _Stays("somebody else is at it")
        db.execute(SAME_EVERYWHERE)
        part = partition_of(db, table, month)
        with _unless_busy():
            # Nobody writes to it until its records are in their archive and gone from here.
            db.execute(text(_LOCK.format(part=part)))
        now = platform.clock(db)
        restored = restored_in(db, table, month)
        others = [each for each in restored if each.tenant_id != even_restored_of]
        if any(each.restored_until > now for each in others):
            raise _Stays("its records were restored")
        known = _clean(db, platform.archives, table, month)
        made: list[Written] = []
        try:
            for place, records, former in _shares(db, table, month, restored):
                written, compared = _store(platform, db, place, records, made)
                _expect(written, compared, records)
                note_archive(db, place, written, compared, former=former, now=now)
            _take_away(db, part, month, sum(each.records for each in made))
            platform.step("archive_noted")
        except Exception:
            # Before the commit: these are nobody's yet.
            _remove(platform.archives, [each.path for each in made], known)
            raise
    platform.step("records_archived")
    done.records += sum(each.records for each in made)
    done.files += len(made)
    done.bytes += sum(each.bytes for each in made)


def _shares(
    db: Connection, table: str, month: date, restored: Sequence[Row[Any]]
) -> Iterator[tuple[ArchiveScope, int, list[Row[Any]]]]:
    """Yield for each tenant how many records it has, and the archives that these came out of."""
    counted = {
        each.tenant_id: each.records
        for each in db.execute(text(_COUNT.format(table=table)), _span(month))
    }
    for tenant_id in sorted({*counted, *(each.tenant_id for each in restored)}):
        former = [each for each in restored if each.tenant_id == tenant_id]
        records = counted.get(tenant_id, 0)
        lost = sum(each.records for each in former) - records
        if lost > 0:
            raise _Differs(f"{lost:,} of the records that were restored are gone: verify them")
        yield ArchiveScope(tenant_id, table, month), records, former


def _store(
    platform: Platform, db: Connection, place: ArchiveScope, records: int, made: list[Written]
) -> tuple[Written, Compared]:
    """Write a tenant's archive of a month, and read it back."""
    wanted = {"tenant_id": place.tenant_id, **_span(place.month)}
    with closing(copied(db, place.record, wanted)) as lines:
        written = write_archive(platform.archives, place, lines, records)
    made.append(written)
    platform.step("archive_written")
    compared = Compared()
    for batch in batches(read_whole(platform.archives / written.path, written.sha256)):
        compared.add(db, place.record, place.tenant_id, batch)
    platform.step("archive_checked")
    return written, compared


def _expect(written: Written, compared: Compared, records: int) -> None:
    """Make sure that an archive holds what it has to, as it was sealed."""
    if written.records != records or compared.records != records:
        raise _Differs(f"{compared.records:,} of {records:,} records were read back")
    if compared.differing:
        raise _Differs(f"{compared.differing:,} records aren't as they were sealed: verify them")


def _take_away(db: Connection, part: str, month: date, records: int) -> None:
    """Take a month's records out of their table; its partition goes as a whole."""
    if not is_partition(part):
        deleted = db.execute(text(_DELETE.format(part=part)), _span(month)).rowcount
        if deleted != records:
            raise _Differs(f"{deleted:,} records are there, {records:,} were archived")
        return
    # Readers of the table wait behind whoever waits to drop a part of it: better to give way.
    db.execute(text("SET LOCAL lock_timeout = '2s'"))
    for tried in range(1, _TRIES + 1):
        try:
            with db.begin_nested():
                db.execute(text(_DROP.format(part=part)))
            return
        except DBAPIError as error:
            if not _is_busy(error):
                raise
            if tried == _TRIES:
                raise _Stays("somebody reads its table for long") from error


def _clean(db: Connection, folder: Path, table: str, month: date) -> set[str]:
    """Remove what a killed archiver left of a month; return the files that are an archive's."""
    known = {each for each in db.scalars(_KNOWN, {"record": table, "month": month}) if each}
    unfinished, finished = leftovers(folder, table, month)
    nobodys = [each for each in finished if f"{each.parent.name}/{each.name}" not in known]
    # Another installation's, or one's of a time to which the database was set back, stays.
    ours = [each for each in nobodys if _is_hot(db, table, each)]
    for each in (*unfinished, *ours):
        each.unlink(missing_ok=True)
    return known


def _is_hot(db: Connection, table: str, path: Path) -> bool:
    """Say whether the first record of an archive is in its table."""
    try:
        first = [json.loads(each) for each in islice(read_lines(path), 1)]
        wanted = {name: first[0][name] for name in ("event_id", "occurred_at")}
    except (Unreadable, ValueError, LookupError):
        return False
    return db.execute(text(_IS_HOT.format(table=table)), wanted).first() is not None


def _remove(folder: Path, paths: Sequence[str], known: set[str]) -> None:
    for each in paths:
        if each not in known:
            with suppress(OSError):
                (folder / each).unlink(missing_ok=True)


@contextmanager
def _unless_busy() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if not _is_busy(error):
            raise
        raise _Stays("somebody writes to it") from error


def _is_busy(error: DBAPIError) -> bool:
    return isinstance(error.orig, errors.LockNotAvailable | errors.DeadlockDetected)


def _span(month: date) -> dict[str, datetime]:
    since, until = span_of(month)
    return {"since": since, "until": until}
