"""Records in archives, as verification reads them: beside those in the tables, seal by seal."""

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

_TOLD = {
    each: text(
        select_sealed_lines(each, *identity_of(each), *emptied_of(each)[1:], *erasure_of(each))
    )
    for each in TABLES
}

# What only a line that PostgreSQL never wrote can cause.
_NO_RECORD = (errors.DataError, errors.ProgramLimitExceeded, errors.StatementTooComplex)

_ALL = (
    select(AuditArchive.__table__)
    .where(AuditArchive.replaced_at.is_(None))
    .order_by(AuditArchive.first_seal, AuditArchive.id)
)


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where archives are, and how long they are kept.

    Attributes:
        folder: The archive folder.
        retention: What was dropped may be missing only if it is older than that.
        now: The present; PostgreSQL's by default.
    """

    folder: Path
    retention: Retention = field(default_factory=Retention)
    now: datetime | None = None

    def kept_from(self, db: Connection) -> datetime:
        """Return the moment from which on nothing was dropped as too old to be kept."""
        now = self.now or db.execute(select(func.clock_timestamp())).scalar_one()
        return self.retention.surely_kept_from(now)


class ArchivedRecords:
    """A tenant's archives, read once from the first seal to the last."""

    def __init__(
        self, db: Connection, tenant_id: int, shelf: Shelf | None, seen: Verified, first: int
    ) -> None:
        """Look up which archives there are; no file is read yet.

        Args:
            db: The verification's transaction.
            tenant_id: Whose archives.
            shelf: Where they are; None if nobody said.
            seen: Is told what is wrong with the files.
            first: The first seal that is verified.
        """
        self._first = first
        rows = db.execute(_ALL.where(AuditArchive.tenant_id == tenant_id)).all()
        gone = [each for each in rows if each.dropped_at is not None]
        kept = [each for each in rows if each.dropped_at is None]
        met = [each for each in kept if each.last_seal is None or each.last_seal >= first]
        aside = [each for each in kept if each not in met and each.restored_until is None]
        self.dropped = sum(each.records - each.unsealed for each in gone)
        self._unsealed = sum(each.unsealed for each in (*gone, *aside))
        self._gone = _Spans((each.first_seal, each.last_seal) for each in gone if each.first_seal)
        self._lost = _Spans([])
        self._kept_from: datetime | None = None
        if shelf is not None and gone:
            self._kept_from = shelf.kept_from(db)
        folder = shelf.folder if shelf is not None and shelf.folder.is_dir() else None
        if met and folder is None:
            seen.tell("archives_unreachable", _unreachable(shelf, len(met)))
        self._streams = [_Stream(db, each, folder, seen, self._lost.add) for each in met]

    def until(self, last: int) -> dict[int, list[Row[Any]]]:
        """Return the records up to a seal that weren't returned before, by seal."""
        found: dict[int, list[Row[Any]]] = {}
        for stream in self._streams:
            if stream.begins_by(last):
                for each in stream.until(last):
                    if each.seal_no >= self._first:
                        found.setdefault(each.seal_no, []).append(each)
        return found

    def is_lost(self, seal_no: int) -> bool:
        """Say whether a seal may have records in an archive that can't be read."""
        return self._lost.cover(seal_no)

    def is_dropped(self, seal: Row[Any]) -> bool:
        """Say whether records of a seal may be missing because they were too old to be kept.

        When it was sealed is part of the chain: nobody can make a seal older than it is.
        """
        is_old = self._kept_from is not None and seal.sealed_at < self._kept_from
        return is_old and self._gone.cover(seal.seal_no)

    def emptied(self) -> Iterator[Row[Any]]:
        """Yield the records that lost words, once all archives are read."""
        for stream in self._streams:
            yield from stream.emptied

    def erasures(self) -> dict[UUID, Any]:
        """Return what each erasure that is archived says it emptied, once all archives are read."""
        told = [each.erasures for each in self._streams]
        return {erasure_id: each for one in told for erasure_id, each in one.items()}

    def may_lack(self, moment: datetime) -> bool:
        """Say whether what was recorded of a record after this moment may be gone by right."""
        return not self._lost.is_empty or (self._kept_from is not None and moment < self._kept_from)

    @property
    def is_cut(self) -> bool:
        """Say whether there were archives that can't be read any more."""
        return bool(self.dropped) or not self._lost.is_empty

    def end(self) -> tuple[int, int]:
        """Read what is left; return how many records have no seal, and how many a later one."""
        beyond = 0
        for stream in self._streams:
            beyond += sum(1 for _ in stream.until(None))
        return self._unsealed + sum(each.unsealed for each in self._streams), beyond


def _unreachable(shelf: Shelf | None, archives: int) -> str:
    folder = "No archive folder was named" if shelf is None else f"{shelf.folder} isn't there"
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
        seen: Verified,
        lose: Callable[[int, int], None],
    ) -> None:
        self._db = db
        self._archive = archive
        self._folder = folder
        self._seen = seen
        self._lose = lose
        self._rows: deque[Row[Any]] = deque()
        self._batches: Iterator[list[bytes]] | None = None
        self._at = archive.first_seal or 0
        self._is_named = False
        self.unsealed = 0
        self.emptied: list[Row[Any]] = []
        self.erasures: dict[UUID, Any] = {}

    def begins_by(self, last: int) -> bool:
        first = self._archive.first_seal
        return first is not None and first <= last

    def until(self, last: int | None) -> Iterator[Row[Any]]:
        """Yield the records up to a seal, or all that are left."""
        if self._batches is None:
            self._batches = self._open()
        while self._rows or self._fill():
            if last is not None and self._rows[0].seal_no > last:
                return
            self._at = max(self._at, self._rows[0].seal_no)
            yield self._rows.popleft()

    def _open(self) -> Iterator[list[bytes]]:
        """Hold the file against its checksum; what was restored is in its table, and not read."""
        nothing: Iterator[list[bytes]] = iter(())
        is_read = self._archive.restored_until is None
        if self._folder is None:
            return self._miss()
        path = self._folder / self._archive.path
        try:
            digest = digest_of_file(path)
        except Unavailable as error:
            self._tell("archive_missing", str(error))
            return self._miss()
        if digest is None:
            self._tell(
                "archive_missing",
                f"The archive {self._archive.path} is gone, with {self._archive.records:,} "
                "records. Bring it back from a backup.",
            )
            return self._miss()
        if digest != self._archive.sha256:
            self._tell(
                "archive_changed",
                f"The archive {self._archive.path} isn't as it was written: its checksum differs.",
            )
        return batches(read_lines(path)) if is_read else nothing

    def _miss(self) -> Iterator[list[bytes]]:
        if self._archive.restored_until is None:
            self.unsealed = self._archive.unsealed
            if self._archive.first_seal is not None:
                self._lose(self._at, self._archive.last_seal)
        return iter(())

    def _fill(self) -> bool:
        """Read on; return whether there is anything more."""
        while not self._rows:
            try:
                lines = next(self._batches, None) if self._batches else None
            except (Unreadable, Unavailable) as error:
                self._tell(
                    "archive_changed",
                    f"The archive {self._archive.path} can't be read to its end: {error}.",
                )
                self._batches = self._miss()
                return False
            if lines is None:
                return False
            found = self._told(lines)
            self.unsealed += sum(1 for each in found if each.seal_no is None)
            self.emptied.extend(each for each in found if each.erased_by is not None)
            self.erasures |= {
                each.correlation_id: each.erasure for each in found if each.erasure is not None
            }
            self._rows.extend(each for each in found if each.seal_no is not None)
        return True

    def _told(self, lines: list[bytes]) -> list[Row[Any]]:
        """Return what lines say; those that aren't a record's are told and left out."""
        try:
            with self._db.begin_nested():
                found = self._db.execute(_TOLD[self._archive.record], {"lines": as_array(lines)})
                return list(found.all())
        except DBAPIError as error:
            if not isinstance(error.orig, _NO_RECORD):
                raise
        if len(lines) == 1:
            self._tell(
                "archive_changed",
                f"The archive {self._archive.path} has a line that is no record.",
            )
            return []
        half = len(lines) // 2
        return self._told(lines[:half]) + self._told(lines[half:])

    def _tell(self, code: str, message: str) -> None:
        if not self._is_named:
            self._seen.tell(code, message, seal_no=self._at or None)
        self._is_named = True


class _Spans:
    """Spans of seals, and whether one is in any of them."""

    def __init__(self, spans: Iterator[tuple[int, int]] | list[tuple[int, int]]) -> None:
        self._spans: list[tuple[int, int]] = []
        for first, last in sorted(spans):
            self.add(first, last)

    def add(self, first: int, last: int) -> None:
        """Add a span; one that meets others becomes one with them."""
        apart = [each for each in self._spans if each[1] < first or last < each[0]]
        met = [each for each in self._spans if each not in apart]
        whole = (min([first, *(a for a, _ in met)]), max([last, *(b for _, b in met)]))
        self._spans = sorted([*apart, whole])

    @property
    def is_empty(self) -> bool:
        """Say whether there is none."""
        return not self._spans

    def cover(self, number: int) -> bool:
        """Say whether a number is in one of the spans."""
        at = bisect_right(self._spans, (number, float("inf")))
        return at > 0 and self._spans[at - 1][1] >= number
