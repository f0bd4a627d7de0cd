"""Erasure in archives: a file that tells of the person gives way to one that doesn't."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from psycopg import errors
from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import DBAPIError

from domain.audit.erasure import Emptied
from domain.errors import RuleRefused, Unavailable
from engine.ports.platform import Platform
from engine.retention.archive_lines import SAME_EVERYWHERE, Compared, put_back
from engine.retention.archive_rows import lock_month, note_archive
from models.archive import READ_ARCHIVES
from models.archive_file import ArchiveScope, Written, batches, read_whole, write_archive
from models.seal import TABLES

# No month of a tenant's goes out of its table, or comes back, while it is erased in. The tables
# come first, as they do for whoever archives; what he has committed by then is seen.
_LOCK_TABLES = text(f"LOCK TABLE {', '.join(TABLES)} IN ROW EXCLUSIVE MODE")

_MONTHS = text("""
SELECT DISTINCT record, month FROM audit_archive
 WHERE tenant_id = :tenant_id AND dropped_at IS NULL AND replaced_at IS NULL ORDER BY 2, 1
""")

_ARCHIVES = text("""
SELECT id, tenant_id, record, month, path, sha256, records, unsealed, first_seal, last_seal,
       held_because, restored_until
  FROM audit_archive
 WHERE tenant_id = :tenant_id AND dropped_at IS NULL AND replaced_at IS NULL
 ORDER BY id FOR UPDATE
""")

_IS_NAMED = text("SELECT EXISTS (SELECT FROM audit_archive WHERE path = :path)")

_LINES = """
SELECT CAST(row_to_json(r) AS text) FROM {table} r
 ORDER BY seal_no, seal_place, occurred_at, event_id
"""

Erase = Callable[[str, str], Iterator[Emptied]]
"""Erases the words of records: those of one table, which stand in another; yields what is left."""


@contextmanager
def kept_if_committed(platform: Platform) -> Iterator[list[tuple[ArchiveScope, Written]]]:
    """Give a list for the files that an erasure writes; if it fails, they are removed.

    To be put around the erasure's transaction: whether that was committed may be unknown.
    """
    made: list[tuple[ArchiveScope, Written]] = []
    try:
        yield made
    except BaseException:
        with suppress(DBAPIError, OSError):
            for place, written in made:
                _remove_unnamed(platform, place, written)
        raise


def _remove_unnamed(platform: Platform, place: ArchiveScope, written: Written) -> None:
    with platform.database.begin() as db:
        # An erasure that holds the month may yet be committed, unheard.
        if not lock_month(db, place.record, place.month):
            return
        if not db.scalar(_IS_NAMED, {"path": written.path}):
            (platform.archives / written.path).unlink(missing_ok=True)


def hold_still(db: Connection, tenant_id: int) -> Sequence[Row[Any]]:
    """Let no record of a tenant come into a table or an archive; return the archives.

    What comes out of the outbox is the caller's to hold: the head of the chain.

    Raises:
        Unavailable: Records are being archived or restored.
    """
    try:
        db.execute(_LOCK_TABLES)
        for each in db.execute(_MONTHS, {"tenant_id": tenant_id}).all():
            if not lock_month(db, each.record, each.month):
                raise Unavailable(
                    message=f"{each.month:%Y-%m} is being archived or restored. Try again."
                )
        return db.execute(_ARCHIVES, {"tenant_id": tenant_id}).all()
    except DBAPIError as error:
        if not isinstance(error.orig, errors.LockNotAvailable | errors.DeadlockDetected):
            raise
        raise Unavailable(message="Records are being archived. Try again.") from error


def erase_archived(
    platform: Platform,
    db: Connection,
    archives: Iterable[Row[Any]],
    words: Iterable[str],
    wanted: Mapping[str, Any],
    *,
    erase: Erase,
    made: list[tuple[ArchiveScope, Written]],
) -> Iterator[Emptied]:
    """Erase the words of archived records; yield what was left of each.

    What was restored is erased in its file as well: it is searched, and archived again.

    Args:
        platform: With the archive folder.
        db: The erasure's transaction; the new files count when it is committed.
        archives: As `hold_still` returned them.
        words: What tells of the person, as it may stand in a line.
        wanted: The `person_id` and the time `now`.
        erase: Erases records of a table in a temporary one.
        made: Told of each new file; see `kept_if_committed`.

    Raises:
        Unavailable: An archive isn't there, or the folder is full.
        RuleRefused: An archive isn't as it was written.
    """
    db.execute(SAME_EVERYWHERE)
    db.execute(READ_ARCHIVES)
    told = re.compile("|".join(re.escape(each) for each in words), re.IGNORECASE)
    actor = f'"actor_id":{wanted["person_id"]},'
    for archive in archives:
        path = platform.archives / archive.path

        def may_tell(line: bytes) -> bool:
            known = line.decode("utf-8", "replace")
            return told.search(known) is not None or actor in known

        if not any(may_tell(each) for each in read_whole(path, archive.sha256)):
            continue
        erased: list[Emptied] = []
        lines = _without(db, archive, read_whole(path, archive.sha256), erase, erased)
        place = ArchiveScope(archive.tenant_id, archive.record, archive.month)
        written = write_archive(platform.archives, place, lines, archive.records)
        made.append((place, written))
        if written.sha256 == archive.sha256:
            continue
        compared = _read_back(platform, db, archive, written)
        note_archive(
            db,
            place,
            written,
            compared,
            former=[archive],
            restored_until=archive.restored_until,
            now=wanted["now"],
        )
        yield from erased


def _read_back(platform: Platform, db: Connection, archive: Row[Any], written: Written) -> Compared:
    """Make sure that a file holds what the former one did, as far as that was as it was sealed.

    Raises:
        RuleRefused: It doesn't, and the former one stays.
    """
    compared = _compared(db, archive, platform.archives / written.path, written.sha256)
    differing = compared.differing
    if differing:
        # What somebody else did to the former one doesn't keep a person from being erased.
        path = platform.archives / archive.path
        differing -= _compared(db, archive, path, archive.sha256).differing
    is_all = (compared.records, compared.unsealed) == (archive.records, archive.unsealed)
    if differing > 0 or not is_all:
        raise RuleRefused(
            message=f"The archive {archive.path} can't be erased in: {compared.records:,} of its "
            f"{archive.records:,} records were read back, {differing:,} not as they were sealed."
        )
    return compared


def _compared(db: Connection, archive: Row[Any], path: Path, digest: bytes) -> Compared:
    compared = Compared()
    for batch in batches(read_whole(path, digest)):
        compared.add(db, archive.record, archive.tenant_id, batch)
    return compared


def _without(
    db: Connection, archive: Row[Any], lines: Iterable[bytes], erase: Erase, erased: list[Emptied]
) -> Iterator[bytes]:
    """Yield the lines without the words; the file stays in the order of the seals."""
    own = f"erasing_{archive.id}"
    db.execute(text(f"CREATE TEMP TABLE {own} (LIKE {archive.record}) ON COMMIT DROP"))
    for batch in batches(lines):
        put_back(db, archive.record, batch, into=own)
        erased.extend(erase(archive.record, own))
        for line in db.scalars(text(_LINES.format(table=own))):
            yield f"{line}\n".encode()
        db.execute(text(f"TRUNCATE {own}"))
