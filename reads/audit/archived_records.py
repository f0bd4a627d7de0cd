"""Archived records: read archives for verification, seal by seal, beside the tables."""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg import errors
from sqlalchemy import Connection, Row, func, select, text
from sqlalchemy.exc import DBAPIError

from domain.audit.retention import Retention
from domain.audit.verification import Verified
from domain.errors import Unavailable
from models.archive import AuditArchive, select_sealed_lines
from models.archive_file import Unreadable, as_array, batches, digest_of_file, read_lines
from models.seal import TABLES, emptied_of, erasure_of, identity_of

_SELECT_LINES = {
    table: text(
        select_sealed_lines(table, *identity_of(table), *emptied_of(table)[1:], *erasure_of(table))
    )
    for table in TABLES
}

# Errors that only a line not written by PostgreSQL can cause.
_NO_RECORD = (errors.DataError, errors.ProgramLimitExceeded, errors.StatementTooComplex)

_ALL = (
    select(AuditArchive.__table__)
    .where(AuditArchive.replaced_at.is_(None))
    .order_by(AuditArchive.first_seal, AuditArchive.id)
)


@dataclass(frozen=True, slots=True)
class ArchiveStore:
    """The archive folder, and how long archives are kept.

    Attributes:
        folder: The archive folder.
        retention: Dropped archives may be missing only if they are older than this.
        now: The present; PostgreSQL's by default.
    """

    folder: Path
    retention: Retention = field(default_factory=Retention)
    now: datetime | None = None

    def kept_from(self, db: Connection) -> datetime:
        """Return the moment since which no archive was dropped as too old."""
        now = self.now or db.execute(select(func.clock_timestamp())).scalar_one()
        return self.retention.surely_kept_from(now)


class ArchivedRecords:
    """A tenant's archives, read once from the first seal to the last."""

    def __init__(
        self,
        db: Connection,
        tenant_id: int,
        store: ArchiveStore | None,
        verified: Verified,
        first: int,
    ) -> None:
        """Find the archives of a tenant; no file is read yet.

        Args:
            db: The verification's transaction.
            tenant_id: Whose archives.
            store: Where they are; None if no folder is given.
            verified: Gets what is wrong with the files.
            first: The first seal that is verified.
        """
        self._first = first
        rows = db.execute(_ALL.where(AuditArchive.tenant_id == tenant_id)).all()
        gone = [row for row in rows if row.dropped_at is not None]
        kept = [row for row in rows if row.dropped_at is None]
        in_range = [row for row in kept if row.last_seal is None or row.last_seal >= first]
        skipped = [row for row in kept if row not in in_range and row.restored_until is None]
        self.dropped = sum(row.records - row.unsealed for row in gone)
        self._unsealed = sum(row.unsealed for row in (*gone, *skipped))
        self._gone = _Spans((row.first_seal, row.last_seal) for row in gone if row.first_seal)
        self._lost = _Spans([])
        self._kept_from: datetime | None = None
        if store is not None and gone:
            self._kept_from = store.kept_from(db)
        folder = store.folder if store is not None and store.folder.is_dir() else None
        if in_range and folder is None:
            verified.add("archives_unreachable", _unreachable(store, len(in_range)))
        self._streams = [_Stream(db, row, folder, verified, self._lost.add) for row in in_range]

    def until(self, last: int) -> dict[int, list[Row[Any]]]:
        """Return the records up to a seal that weren't returned before, by seal."""
        records: dict[int, list[Row[Any]]] = {}
        for stream in self._streams:
            if stream.begins_by(last):
                for record in stream.until(last):
                    if record.seal_no >= self._first:
                        records.setdefault(record.seal_no, []).append(record)
        return records

    def is_lost(self, seal_no: int) -> bool:
        """Say whether a seal may have records in an archive that can't be read."""
        return self._lost.cover(seal_no)

    def is_dropped(self, seal: Row[Any]) -> bool:
        """Say whether records of a seal may be missing because they were too old to be kept.

        The time of sealing is part of the chain: nobody can make a seal older than it is.
        """
        is_old = self._kept_from is not None and seal.sealed_at < self._kept_from
        return is_old and self._gone.cover(seal.seal_no)

    def emptied(self) -> Iterator[Row[Any]]:
        """Yield the records that lost words, once all archives are read."""
        for stream in self._streams:
            yield from stream.emptied

    def erasures(self) -> dict[UUID, Any]:
        """Return what each archived erasure says it emptied, once all archives are read."""
        by_stream = [stream.erasures for stream in self._streams]
        return {erasure_id: claim for one in by_stream for erasure_id, claim in one.items()}

    def may_lack(self, moment: datetime) -> bool:
        """Say whether records from after a moment may be missing for a good reason."""
        return not self._lost.is_empty or (self._kept_from is not None and moment < self._kept_from)

    @property
    def is_cut(self) -> bool:
        """Say whether some archives can't be read any more."""
        return bool(self.dropped) or not self._lost.is_empty

    def end(self) -> tuple[int, int]:
        """Read the rest; return how many records have no seal, and how many a later seal."""
        beyond = 0
        for stream in self._streams:
            beyond += sum(1 for _ in stream.until(None))
        return self._unsealed + sum(stream.unsealed for stream in self._streams), beyond


def _unreachable(store: ArchiveStore | None, archives: int) -> str:
    folder = "No archive folder was named" if store is None else f"{store.folder} isn't there"
    return (
        f"{folder}, and so none of {archives:,} archives can be read. Mount it, or set "
        "LOCKSIDE_ARCHIVE_FOLDER to where it is."
    )


class _Stream:
    """One archive, read from its first line to its last."""

    def __init__(
        self,
        db: Connection,
        archive: Row[Any],
        folder: Path | None,
        verified: Verified,
        add_lost: Callable[[int, int], None],
    ) -> None:
        self._db = db
        self._archive = archive
        self._folder = folder
        self._verified = verified
        self._add_lost = add_lost
        self._rows: deque[Row[Any]] = deque()
        self._batches: Iterator[list[bytes]] | None = None
        self._at = archive.first_seal or 0
        self._is_reported = False
        self.unsealed = 0
        self.emptied: list[Row[Any]] = []
        self.erasures: dict[UUID, Any] = {}

    def begins_by(self, last: int) -> bool:
        first = self._archive.first_seal
        return first is not None and first <= last

    def until(self, last: int | None) -> Iterator[Row[Any]]:
        """Yield the records up to a seal, or all that are left."""
        if self._batches is None:
            self._batches = self._open_batches()
        while self._rows or self._read_batch():
            if last is not None and self._rows[0].seal_no > last:
                return
            self._at = max(self._at, self._rows[0].seal_no)
            yield self._rows.popleft()

    def _open_batches(self) -> Iterator[list[bytes]]:
        """Verify the checksum and open the file; restored records are read from their table."""
        nothing: Iterator[list[bytes]] = iter(())
        is_read = self._archive.restored_until is None
        if self._folder is None:
            return self._mark_lost()
        path = self._folder / self._archive.path
        try:
            digest = digest_of_file(path)
        except Unavailable as error:
            self._report("archive_missing", str(error))
            return self._mark_lost()
        if digest is None:
            self._report(
                "archive_missing",
                f"The archive {self._archive.path} is gone, with {self._archive.records:,} "
                "records. Bring it back from a backup.",
            )
            return self._mark_lost()
        if digest != self._archive.sha256:
            self._report(
                "archive_changed",
                f"The archive {self._archive.path} isn't as it was written: its checksum differs.",
            )
        return batches(read_lines(path)) if is_read else nothing

    def _mark_lost(self) -> Iterator[list[bytes]]:
        if self._archive.restored_until is None:
            self.unsealed = self._archive.unsealed
            if self._archive.first_seal is not None:
                self._add_lost(self._at, self._archive.last_seal)
        return iter(())

    def _read_batch(self) -> bool:
        """Read the next batch; say whether there was one."""
        while not self._rows:
            try:
                lines = next(self._batches, None) if self._batches else None
            except (Unreadable, Unavailable) as error:
                self._report(
                    "archive_changed",
                    f"The archive {self._archive.path} can't be read to its end: {error}.",
                )
                self._batches = self._mark_lost()
                return False
            if lines is None:
                return False
            rows = self._read_records(lines)
            self.unsealed += sum(1 for row in rows if row.seal_no is None)
            self.emptied.extend(row for row in rows if row.erased_by is not None)
            self.erasures |= {
                row.correlation_id: row.erasure for row in rows if row.erasure is not None
            }
            self._rows.extend(row for row in rows if row.seal_no is not None)
        return True

    def _read_records(self, lines: list[bytes]) -> list[Row[Any]]:
        """Return the records of lines; lines that are no record are reported and left out."""
        try:
            with self._db.begin_nested():
                query, names = _SELECT_LINES[self._archive.record], {"lines": as_array(lines)}
                return list(self._db.execute(query, names).all())
        except DBAPIError as error:
            if not isinstance(error.orig, _NO_RECORD):
                raise
        if len(lines) == 1:
            self._report(
                "archive_changed",
                f"The archive {self._archive.path} has a line that is no record.",
            )
            return []
        half = len(lines) // 2
        return self._read_records(lines[:half]) + self._read_records(lines[half:])

    def _report(self, code: str, message: str) -> None:
        if not self._is_reported:
            self._verified.add(code, message, seal_no=self._at or None)
        self._is_reported = True


class _Spans:
    """Spans of seals, and whether a seal is in any of them."""

    def __init__(self, spans: Iterator[tuple[int, int]] | list[tuple[int, int]]) -> None:
        self._spans: list[tuple[int, int]] = []
        for first, last in sorted(spans):
            self.add(first, last)

    def add(self, first: int, last: int) -> None:
        """Add a span; spans that overlap are joined."""
        apart = [span for span in self._spans if span[1] < first or last < span[0]]
        overlapping = [span for span in self._spans if span not in apart]
        both = [(first, last), *overlapping]
        joined = (min(first for first, _ in both), max(last for _, last in both))
        self._spans = sorted([*apart, joined])

    @property
    def is_empty(self) -> bool:
        """Say whether there are no spans."""
        return not self._spans

    def cover(self, number: int) -> bool:
        """Say whether a number is in one of the spans."""
        position = bisect_right(self._spans, (number, float("inf")))
        return position > 0 and self._spans[position - 1][1] >= number
