"""Erasure in archives: replace each file that mentions the person by one that doesn't."""

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
from engine.retention.archive_lines import SAME_EVERYWHERE, Compared, insert_lines
from engine.retention.archive_rows import lock_month, note_archive
from models.archive import READ_ARCHIVES
from models.archive_file import ArchiveScope, Written, batches, read_verified, write_archive
from models.seal import TABLES

# While a tenant's records are erased, no month of theirs may leave its table or come back. The
# tables are locked first, as archiving does; what was committed before is seen.
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

_IS_ARCHIVE = text("SELECT EXISTS (SELECT FROM audit_archive WHERE path = :path)")

_LINES = """
SELECT CAST(row_to_json(r) AS text) FROM {table} r
 ORDER BY seal_no, seal_place, occurred_at, event_id
"""

Erase = Callable[[str, str], Iterator[Emptied]]
"""Erases words in records of one table that are stored in another; yields what is left."""


@contextmanager
def kept_if_committed(platform: Platform) -> Iterator[list[tuple[ArchiveScope, Written]]]:
    """Give a list for the files that an erasure writes; remove these files if it fails.

    It goes around the erasure's transaction, because whether that was committed may be unknown.
    """
    written_files: list[tuple[ArchiveScope, Written]] = []
    try:
        yield written_files
    except BaseException:
        with suppress(DBAPIError, OSError):
            for scope, written in written_files:
                _remove_if_unused(platform, scope, written)
        raise


def _remove_if_unused(platform: Platform, scope: ArchiveScope, written: Written) -> None:
    with platform.database.begin() as db:
        # An erasure that holds the month may still commit, although its client doesn't know.
        if not lock_month(db, scope.record, scope.month):
            return
        if not db.scalar(_IS_ARCHIVE, {"path": written.path}):
            (platform.archives / written.path).unlink(missing_ok=True)


def lock_archives(db: Connection, tenant_id: int) -> Sequence[Row[Any]]:
    """Keep a tenant's records from moving between tables and archives; return the archives.

    The caller locks the head of the chain, which holds back what is still in the outbox.

    Raises:
        Unavailable: Records are being archived or restored.
    """
    try:
        db.execute(_LOCK_TABLES)
        for row in db.execute(_MONTHS, {"tenant_id": tenant_id}).all():
            if not lock_month(db, row.record, row.month):
                raise Unavailable(
                    message=f"{row.month:%Y-%m} is being archived or restored. Try again."
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
    parameters: Mapping[str, Any],
    *,
    erase: Erase,
    written_files: list[tuple[ArchiveScope, Written]],
) -> Iterator[Emptied]:
    """Erase the words of archived records; yield what is left of each.

    Records that were restored are erased in their file as well: it is searched and written again.

    Args:
        platform: With the archive folder.
        db: The erasure's transaction; the new files count when it is committed.
        archives: As `lock_archives` returned them.
        words: What identifies the person, in the forms that may be in a line.
        parameters: The `person_id` and the time `now`.
        erase: Erases records of a table that are stored in a temporary one.
        written_files: Gets each new file; see `kept_if_committed`.

    Raises:
        Unavailable: An archive isn't there, or the folder is full.
        RuleRefused: An archive isn't as it was written.
    """
    db.execute(SAME_EVERYWHERE)
    db.execute(READ_ARCHIVES)
    pattern = re.compile("|".join(re.escape(word) for word in words), re.IGNORECASE)
    actor = f'"actor_id":{parameters["person_id"]},'
    for archive in archives:
        path = platform.archives / archive.path

        def may_mention(line: bytes) -> bool:
            line_text = line.decode("utf-8", "replace")
            return pattern.search(line_text) is not None or actor in line_text

        if not any(may_mention(line) for line in read_verified(path, archive.sha256)):
            continue
        erased: list[Emptied] = []
        lines = _without(db, archive, read_verified(path, archive.sha256), erase, erased)
        scope = ArchiveScope(archive.tenant_id, archive.record, archive.month)
        written = write_archive(platform.archives, scope, lines, archive.records)
        written_files.append((scope, written))
        if written.sha256 == archive.sha256:
            continue
        compared = _read_back(platform, db, archive, written)
        note_archive(
            db,
            scope,
            written,
            compared,
            former=[archive],
            restored_until=archive.restored_until,
            now=parameters["now"],
        )
        yield from erased


def _read_back(platform: Platform, db: Connection, archive: Row[Any], written: Written) -> Compared:
    """Check that a file holds what the former one did, unless that one differed already.

    Raises:
        RuleRefused: It doesn't, and the former file stays.
    """
    compared = _compared(db, archive, platform.archives / written.path, written.sha256)
    differing = compared.differing
    if differing:
        # Records that were altered earlier don't keep a person from being erased.
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
    for batch in batches(read_verified(path, digest)):
        compared.add(db, archive.record, archive.tenant_id, batch)
    return compared


def _without(
    db: Connection, archive: Row[Any], lines: Iterable[bytes], erase: Erase, erased: list[Emptied]
) -> Iterator[bytes]:
    """Yield the lines without the words, in the order of the seals."""
    copy_table = f"erasing_{archive.id}"
    db.execute(text(f"CREATE TEMP TABLE {copy_table} (LIKE {archive.record}) ON COMMIT DROP"))
    for batch in batches(lines):
        insert_lines(db, archive.record, batch, into=copy_table)
        erased.extend(erase(archive.record, copy_table))
        for line in db.scalars(text(_LINES.format(table=copy_table))):
            yield f"{line}\n".encode()
        db.execute(text(f"TRUNCATE {copy_table}"))
