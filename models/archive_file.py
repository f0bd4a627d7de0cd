"""Archives as files: one line a record, compressed, there whole or not at all."""

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
    """What is in an archive's place is no archive."""


@dataclass(frozen=True, slots=True)
class ArchiveScope:
    """Whose records an archive holds, of which table and month."""

    tenant_id: int
    record: str
    month: date

    @property
    def begins(self) -> str:
        """Return how the names of such files begin."""
        return f"{self.record}-{self.month:%Y-%m}-"


@dataclass(frozen=True, slots=True)
class Written:
    """An archive as it was written; its name tells its content."""

    path: str
    sha256: bytes
    bytes: int
    records: int


def write_archive(
    folder: Path, place: ArchiveScope, blocks: Iterable[bytes], records: int
) -> Written:
    """Write lines into a file in *folder*, and return when it is safe on the disk.

    Args:
        folder: The archive folder; made if it isn't there.
        place: What the lines are.
        blocks: Whole lines, in order.
        records: So many are expected, to say how much room they would take.

    Raises:
        Unavailable: The folder is full or can't be used; nothing of the file is left.
    """
    home = folder / str(place.tenant_id)
    unfinished = home / f".{place.begins}{uuid4().hex}.tmp"
    counted = _Counted()
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with unfinished.open("xb") as file:
                unfinished.chmod(0o600)
                _compress(file, blocks, counted)
                file.flush()
                os.fsync(file.fileno())
            name = f"{place.begins}{counted.digest.hexdigest()[:16]}.ndjson.zst"
            unfinished.rename(home / name)
        except BaseException:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise
        for each in (home, folder):
            _sync(each)
    except OSError as error:
        raise _refusal(error, home, counted, records) from error
    return Written(
        path=f"{place.tenant_id}/{name}",
        sha256=counted.digest.digest(),
        bytes=counted.bytes,
        records=counted.records,
    )


def leftovers(folder: Path, record: str, month: date) -> tuple[list[Path], list[Path]]:
    """Return the files of a table's month: those that were never finished, and the others."""
    begins = ArchiveScope(0, record, month).begins
    return sorted(folder.glob(f"*/.{begins}*.tmp")), sorted(folder.glob(f"*/{begins}*.ndjson.zst"))


def digest_of_file(path: Path) -> bytes | None:
    """Return the SHA-256 of a file; None if it isn't there.

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
        Unreadable: It is no archive, or it ends before its end.
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


def read_whole(path: Path, digest: bytes) -> Iterator[bytes]:
    """Yield the lines of an archive that is as it was written; else as `read_lines`.

    Raises:
        Unavailable: It isn't there.
        RuleRefused: It is another one than was written.
    """
    found = digest_of_file(path)
    if found is None:
        raise Unavailable(
            message=f"The archive {path} isn't there. Mount the archive folder, or set "
            "LOCKSIDE_ARCHIVE_FOLDER to where it is.",
            path=str(path),
        )
    if found != digest:
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
    """Yield lines, so many at a time that they are about a megabyte."""
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
    """Return lines as one JSON array, which is how a statement takes them."""
    return f"[{b','.join(lines).decode('utf-8', 'replace')}]"


class _Counted:
    """Counts what goes into a file, and its checksum."""

    def __init__(self) -> None:
        self.records = 0
        self.bytes = 0
        self.digest = sha256()


def _compress(file: IO[bytes], blocks: Iterable[bytes], counted: _Counted) -> None:
    chunker = ZstdCompressor(write_checksum=True).chunker(chunk_size=_BLOCK)

    def chunks() -> Iterator[bytes]:
        for block in blocks:
            counted.records += block.count(b"\n")
            yield from chunker.compress(block)
        yield from chunker.finish()  # type: ignore[no-untyped-call]  # zstandard's stub

    for chunk in chunks():
        file.write(chunk)
        counted.bytes += len(chunk)
        counted.digest.update(chunk)


def _refusal(error: OSError, home: Path, counted: _Counted, records: int) -> Unavailable:
    if error.errno not in _FULL:
        return _unusable(error, home)
    # What is compressed already tells what the rest will take.
    share = max(counted.bytes, _BLOCK) / max(counted.records, 1)
    missing = max(_BLOCK, int(share * max(records, counted.records)) - counted.bytes)
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
