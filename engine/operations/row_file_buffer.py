"""Row file buffer: read a slow file to its end before the transaction that stores it begins."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from tempfile import SpooledTemporaryFile
from typing import IO

from engine.files.lines import Source
from engine.files.source import Load

_BLOCK = 1 << 18
_IN_MEMORY = 1 << 24
"""Bytes; a longer file goes to an unnamed file on disk."""


@contextmanager
def buffer_row_file(row_file: Load | None, most: int) -> Iterator[Load | None]:
    """Give a file whose content is already here, or None if there is none.

    What comes after *most* lines is left unread: the file is too long and will be refused.
    """
    if row_file is None:
        yield None
        return
    with SpooledTemporaryFile(max_size=_IN_MEMORY) as buffer:
        ended = _copy_lines(buffer, row_file.source, most)
        buffer.seek(0)
        yield replace(row_file, source=buffer if ended else _Chained(buffer, row_file.source))


def _copy_lines(buffer: IO[bytes], source: Source, most: int) -> bool:
    """Copy a file up to *most* lines; say whether that was all of it."""
    lines = 0
    while lines <= most:
        block = source.read1(_BLOCK)
        if not block:
            return True
        buffer.write(block)
        lines += block.count(b"\n")
    return False


class _Chained:
    """Two files read as one, the second after the first."""

    def __init__(self, first: Source, second: Source) -> None:
        self._first = first
        self._second = second

    def read1(self, size: int = -1, /) -> bytes:
        """Return some bytes as soon as there are any; no bytes at the end."""
        return self._first.read1(size) or self._second.read1(size)
