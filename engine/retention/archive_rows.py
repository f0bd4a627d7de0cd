"""Archive rows: list archives, lock months, and find the partitions of the record tables."""

import re
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, text

from domain.audit.retention import span_of
from domain.errors import Unavailable
from engine.ports.platform import Platform
from engine.retention.archive_lines import Compared
from models.archive import REMOVE_ARCHIVES
from models.archive_file import ArchiveScope, Written
from models.seal import TABLES

_MONTH_SUFFIX = re.compile(r"_(\d{4})_(\d\d)$")
_MONTH_LOCK = 512_679_021

_LOCK = text("SELECT pg_try_advisory_xact_lock(:months, :month)")

_PARTS = text("""
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent = CAST(:table AS regclass)
""")

_DEFAULT_MONTHS = """
SELECT DISTINCT CAST(date_trunc('month', occurred_at AT TIME ZONE 'UTC') AS date)
  FROM {table}_default WHERE occurred_at < :before
"""

_HAS_PARTITION = text("SELECT to_regclass(:part) IS NOT NULL")

_RESTORED = text("""
SELECT id, tenant_id, sha256, records, held_because, restored_until FROM audit_archive
 WHERE record = :record AND month = :month AND restored_until IS NOT NULL
 ORDER BY id FOR UPDATE
""")

_ADD = text("""
INSERT INTO audit_archive (tenant_id, record, month, path, sha256, bytes, records, unsealed,
                           first_seal, last_seal, archived_at, held_because, restored_until)
VALUES (:tenant_id, :record, :month, :path, :sha256, :bytes, :records, :unsealed,
        :first_seal, :last_seal, :now, :held_because, :restored_until)
""")

_KEEP = text("UPDATE audit_archive SET restored_until = NULL WHERE id = :id")

_REPLACED = text("""
UPDATE audit_archive SET restored_until = NULL, replaced_at = :now WHERE id = ANY(:ids)
""")

_NEWEST = text("""
SELECT path FROM audit_archive WHERE path IS NOT NULL AND dropped_at IS NULL AND replaced_at IS NULL
 ORDER BY id DESC LIMIT 100
""")

_GONE = text("""
SELECT id, path FROM audit_archive
 WHERE path IS NOT NULL AND (dropped_at IS NOT NULL OR replaced_at IS NOT NULL)
 ORDER BY id FOR UPDATE
""")

_FORGET_FILES = text("UPDATE audit_archive SET path = NULL WHERE id = ANY(:ids)")


def lock_month(db: Connection, table: str, month: date) -> bool:
    """Lock a table's month until the transaction ends; False if somebody else has it."""
    number = TABLES.index(table) * 1_000_000 + month.year * 12 + month.month
    return bool(db.scalar(_LOCK, {"months": _MONTH_LOCK, "month": number}))


def months_of(db: Connection, table: str, before: date) -> list[date]:
    """Return the months before *before* of which a table may have records, oldest first."""
    matches = (_MONTH_SUFFIX.search(name) for name in db.scalars(_PARTS, {"table": table}))
    months = {date(int(match[1]), int(match[2]), 1) for match in matches if match}
    default_months = text(_DEFAULT_MONTHS.format(table=table))
    months |= set(db.scalars(default_months, {"before": span_of(before)[0]}))
    return sorted(month for month in months if month < before)


def partition_of(db: Connection, table: str, month: date) -> str:
    """Return the name of the partition that has a month's records, or that of the default one."""
    part = f"{table}_{month:%Y_%m}"
    return part if db.scalar(_HAS_PARTITION, {"part": part}) else f"{table}_default"


def is_partition(part: str) -> bool:
    """Say whether a partition is for one month alone."""
    return _MONTH_SUFFIX.search(part) is not None


def restored_in(db: Connection, table: str, month: date) -> Sequence[Row[Any]]:
    """Return the archives of a month whose records were restored to their table."""
    return db.execute(_RESTORED, {"record": table, "month": month}).all()


def note_archive(
    db: Connection,
    scope: ArchiveScope,
    written: Written,
    compared: Compared,
    *,
    former: Sequence[Row[Any]],
    restored_until: datetime | None = None,
    now: datetime,
) -> None:
    """Store the row of an archive, which replaces the *former* ones.

    If one of these is the same file, its row stays instead. Until *restored_until* the records
    are in their table as well.
    """
    same = [archive.id for archive in former if archive.sha256 == written.sha256][:1]
    if same:
        db.execute(_KEEP, {"id": same[0]})
    else:
        held = "; ".join(archive.held_because for archive in former if archive.held_because)
        db.execute(
            _ADD,
            {
                "tenant_id": scope.tenant_id,
                "record": scope.record,
                "month": scope.month,
                "path": written.path,
                "sha256": written.sha256,
                "bytes": written.bytes,
                "records": written.records,
                "unsealed": compared.unsealed,
                "first_seal": compared.first_seal,
                "last_seal": compared.last_seal,
                "now": now,
                "held_because": held or None,
                "restored_until": restored_until,
            },
        )
    others = [archive.id for archive in former if archive.id not in same]
    db.execute(_REPLACED, {"ids": others, "now": now})


def check_folder(platform: Platform) -> None:
    """Check that the archive folder is mounted: one of the newest archives is in it.

    Raises:
        Unavailable: None of the newest archives is in it.
    """
    with platform.database.connect() as db:
        paths = db.scalars(_NEWEST).all()
    if paths and not any((platform.archives / path).exists() for path in paths):
        raise Unavailable(
            message=f"None of the newest archives is in {platform.archives}. Mount the archive "
            "folder, or set LOCKSIDE_ARCHIVE_FOLDER to where it is."
        )


def remove_gone(platform: Platform) -> int:
    """Remove the files of archives that were dropped or replaced, unless somebody reads archives.

    A missing file is forgotten only where its tenant's folder exists: otherwise the archive folder
    isn't mounted, and the file would come back with it and stay for ever.

    Returns:
        How many were removed. What a reader or a crash leaves is removed the next time.
    """
    with platform.database.begin() as db:
        if not db.scalar(REMOVE_ARCHIVES):
            return 0
        gone = [
            archive
            for archive in db.execute(_GONE).all()
            if _is_removed(platform.archives / archive.path)
        ]
        platform.step("archives_removed")
        db.execute(_FORGET_FILES, {"ids": [archive.id for archive in gone]})
    return len(gone)


def _is_removed(path: Path) -> bool:
    """Remove a file; say whether it is certainly gone."""
    path.unlink(missing_ok=True)
    return path.parent.is_dir()
