"""Archive files: write and read compressed lines, one a record; a file is whole or isn't there."""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import IO
from uuid import uuid4

from zstandard import ZstdCompressor, ZstdDecompressor, ZstdError

from domain.errors import RuleRefused, Unavailable

_BLOCK = 2**20
_LONGEST_LINE = 2**28
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Unreadable(Exception):
    """A file in an archive's place is not an archive."""


@dataclass(frozen=True, slots=True)
class ArchiveScope:
    """The tenant, table and month whose records an archive holds."""

    tenant_id: int
    record: str
    month: date

    @property
    def begins(self) -> str:
        """Return the beginning of the names of such files."""
        return f"{self.record}-{self.month:%Y-%m}-"


@dataclass(frozen=True, slots=True)
class Written:
    """An archive that was written; its name is made from its content."""

    path: str
    sha256: bytes
    bytes: int
    records: int


def write_archive(
    folder: Path, scope: ArchiveScope, blocks: Iterable[bytes], records: int
) -> Written:
    """Write lines into a file in *folder*; return when it is safe on the disk.

    Args:
        folder: The archive folder; created if it doesn't exist.
        scope: Whose records the lines are.
        blocks: Whole lines, in order.
        records: How many are expected, to estimate the room that they take.

    Raises:
        Unavailable: The folder is full or can't be used; nothing of the file is left.
    """
    home = folder / str(scope.tenant_id)
    unfinished = home / f".{scope.begins}{uuid4().hex}.tmp"
    totals = _FileTotals()
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with unfinished.open("xb") as file:
                unfinished.chmod(0o600)
                _compress(file, blocks, totals)
                file.flush()
                os.fsync(file.fileno())
            name = f"{scope.begins}{totals.digest.hexdigest()[:16]}.ndjson.zst"
            unfinished.rename(home / name)
        except BaseException:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise
        for directory in (home, folder):
            _sync(directory)
    except OSError as error:
        raise _write_error(error, home, totals, records) from error
    return Written(
        path=f"{scope.tenant_id}/{name}",
        sha256=totals.digest.digest(),
        bytes=totals.bytes,
        records=totals.records,
    )


def leftovers(folder: Path, record: str, month: date) -> tuple[list[Path], list[Path]]:
    """Return the files of a table's month: the unfinished ones, and the finished ones."""
    begins = ArchiveScope(0, record, month).begins
    return sorted(folder.glob(f"*/.{begins}*.tmp")), sorted(folder.glob(f"*/{begins}*.ndjson.zst"))


def digest_of_file(path: Path) -> bytes | None:
    """Return the SHA-256 of a file; None if it doesn't exist.

    Raises:
        Unavailable: It can't be read.
    """
    digest = sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(error, path.parent) from error
    return digest.digest()


def read_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of an archive, without their ends.

    Raises:
        Unreadable: It is no archive, or it is cut short.
        Unavailable: It can't be read.
    """
    rest = b""
    try:
        with path.open("rb") as file, ZstdDecompressor().stream_reader(file) as reader:
            while block := reader.read(_BLOCK):
                *lines, rest = (rest + block).split(b"\n")
                yield from lines
                if len(rest) > _LONGEST_LINE:
                    raise Unreadable("a line has no end")
    except ZstdError as error:
        raise Unreadable(str(error)) from error
    except OSError as error:
        raise _unusable(error, path.parent) from error
    if rest:
        raise Unreadable("it ends within a line")


def read_verified(path: Path, digest: bytes) -> Iterator[bytes]:
    """Yield the lines of an archive after its checksum was verified; else as `read_lines`.

    Raises:
        Unavailable: The file doesn't exist.
        RuleRefused: The file isn't as it was written.
    """
    actual = digest_of_file(path)
    if actual is None:
        raise Unavailable(
            message=f"The archive {path} isn't there. Mount the archive folder, or set "
            "LOCKSIDE_ARCHIVE_FOLDER to where it is.",
            path=str(path),
        )
    if actual != digest:
        raise RuleRefused(
            message=f"The archive {path} isn't as it was written: its checksum differs. Bring it "
            "back from a backup.",
            path=str(path),
        )
    return _readable(path)


def _readable(path: Path) -> Iterator[bytes]:
    try:
        yield from read_lines(path)
    except Unreadable as error:
        raise RuleRefused(message=f"The archive {path} can't be read: {error}.") from error


def batches(lines: Iterable[bytes], most_bytes: int = _BLOCK) -> Iterator[list[bytes]]:
    """Yield lines in batches of about a megabyte."""
    batch: list[bytes] = []
    size = 0
    for line in lines:
        batch.append(line)
        size += len(line)
        if size >= most_bytes:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def as_array(lines: Iterable[bytes]) -> str:
    """Return lines as one JSON array, the form in which statements take them."""
    return f"[{b','.join(lines).decode('utf-8', 'replace')}]"


class _FileTotals:
    """The records, bytes and checksum of a file that is being written."""

    def __init__(self) -> None:
        self.records = 0
        self.bytes = 0
        self.digest = sha256()


def _compress(file: IO[bytes], blocks: Iterable[bytes], totals: _FileTotals) -> None:
    chunker = ZstdCompressor(write_checksum=True).chunker(chunk_size=_BLOCK)

    def chunks() -> Iterator[bytes]:
        for block in blocks:
            totals.records += block.count(b"\n")
            yield from chunker.compress(block)
        yield from chunker.finish()  # type: ignore[no-untyped-call]  # zstandard's stub

    for chunk in chunks():
        file.write(chunk)
        totals.bytes += len(chunk)
        totals.digest.update(chunk)


def _write_error(error: OSError, home: Path, totals: _FileTotals, records: int) -> Unavailable:
    if error.errno not in _FULL:
        return _unusable(error, home)
    # The compressed size so far tells how much the rest will need.
    share = max(totals.bytes, _BLOCK) / max(totals.records, 1)
    missing = max(_BLOCK, int(share * max(records, totals.records)) - totals.bytes)
    return Unavailable(
        message=f"The archive folder {home} is full: about {missing / 2**20:,.0f} MiB more are "
        "needed. Make room; the records stay where they are until then.",
        folder=str(home),
        missing_bytes=missing,
    )


def _unusable(error: OSError, folder: Path) -> Unavailable:
    return Unavailable(
        message=f"The archive folder {folder} can't be used: {error.strerror}. Set "
        "LOCKSIDE_ARCHIVE_FOLDER to one that can.",
        folder=str(folder),
    )


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
