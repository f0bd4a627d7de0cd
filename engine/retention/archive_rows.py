"""The list of archives, and the parts of the record tables that they come from."""

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

_OF_MONTH = re.compile(r"_(\d{4})_(\d\d)$")
_MONTHS = 512_679_021

_LOCK = text("SELECT pg_try_advisory_xact_lock(:months, :month)")

_PARTS = text("""
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent = CAST(:table AS regclass)
""")

_BESIDE = """
SELECT DISTINCT CAST(date_trunc('month', occurred_at AT TIME ZONE 'UTC') AS date)
  FROM {table}_default WHERE occurred_at < :before
"""

_IS_THERE = text("SELECT to_regclass(:part) IS NOT NULL")

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

_STANDS_AGAIN = text("UPDATE audit_archive SET restored_until = NULL WHERE id = :id")

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

_FORGET = text("UPDATE audit_archive SET path = NULL WHERE id = ANY(:ids)")


def lock_month(db: Connection, table: str, month: date) -> bool:
    """Take a table's month until the transaction ends; False if somebody else has it."""
    number = TABLES.index(table) * 1_000_000 + month.year * 12 + month.month
    return bool(db.scalar(_LOCK, {"months": _MONTHS, "month": number}))


def months_of(db: Connection, table: str, before: date) -> list[date]:
    """Return the months before one of which a table has, or had, records; oldest first."""
    parts = (_OF_MONTH.search(each) for each in db.scalars(_PARTS, {"table": table}))
    months = {date(int(each[1]), int(each[2]), 1) for each in parts if each}
    beside = text(_BESIDE.format(table=table))
    months |= set(db.scalars(beside, {"before": span_of(before)[0]}))
    return sorted(each for each in months if each < before)


def partition_of(db: Connection, table: str, month: date) -> str:
    """Return the part of a table in which a month's records are."""
    part = f"{table}_{month:%Y_%m}"
    return part if db.scalar(_IS_THERE, {"part": part}) else f"{table}_default"


def is_partition(part: str) -> bool:
    """Say whether a part of a table is that of a month alone."""
    return _OF_MONTH.search(part) is not None


def restored_in(db: Connection, table: str, month: date) -> Sequence[Row[Any]]:
    """Return the archives of a month whose records are in their table again."""
    return db.execute(_RESTORED, {"record": table, "month": month}).all()


def note_archive(
    db: Connection,
    place: ArchiveScope,
    written: Written,
    compared: Compared,
    *,
    former: Sequence[Row[Any]],
    restored_until: datetime | None = None,
    now: datetime,
) -> None:
    """Note an archive; it takes the place of the *former* ones.

    Where one of these is the same file, that one stands again. Until *restored_until* its
    records are in their table as well.
    """
    same = [each.id for each in former if each.sha256 == written.sha256][:1]
    if same:
        db.execute(_STANDS_AGAIN, {"id": same[0]})
    else:
        held = "; ".join(each.held_because for each in former if each.held_because)
        db.execute(
            _ADD,
            {
                "tenant_id": place.tenant_id,
                "record": place.record,
                "month": place.month,
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
    others = [each.id for each in former if each.id not in same]
    db.execute(_REPLACED, {"ids": others, "now": now})


def expect_folder(platform: Platform) -> None:
    """Make sure that the folder is the one with the archives, not one where it isn't mounted.

    Raises:
        Unavailable: None of the newest archives is in it.
    """
    with platform.database.connect() as db:
        paths = db.scalars(_NEWEST).all()
    if paths and not any((platform.archives / each).exists() for each in paths):
        raise Unavailable(
            message=f"None of the newest archives is in {platform.archives}. Mount the archive "
            "folder, or set LOCKSIDE_ARCHIVE_FOLDER to where it is."
        )


def remove_gone(platform: Platform) -> int:
    """Remove the files of archives that were dropped or replaced, unless somebody reads.

    A file that isn't there is forgotten only where its tenant's folder is: else the archive folder
    isn't mounted, and the file would come back with it, for ever.

    Returns:
        How many were removed. What stays because of a reader, or a crash, is removed next time.
    """
    with platform.database.begin() as db:
        if not db.scalar(REMOVE_ARCHIVES):
            return 0
        gone = [
            each for each in db.execute(_GONE).all() if _unlinked(platform.archives / each.path)
        ]
        platform.step("archives_removed")
        db.execute(_FORGET, {"ids": [each.id for each in gone]})
    return len(gone)


def _unlinked(path: Path) -> bool:
    """Remove a file; return whether it is surely gone."""
    path.unlink(missing_ok=True)
    return path.parent.is_dir()
