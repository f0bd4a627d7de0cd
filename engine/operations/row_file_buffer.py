"""A slow file, read to its end before a transaction begins that would have to wait for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from tempfile import SpooledTemporaryFile
from typing import IO

from engine.files.lines import Source
from engine.files.source import Load

_BLOCK = 1 << 18
_IN_MEMORY = 1 << 24
"""Bytes; a longer file goes to one on disk that has no name."""


@contextmanager
def buffered(row_file: Load | None, most: int) -> Iterator[Load | None]:
    """Give a file that is here already, if there is one.

    What comes behind *most* lines is left where it is: it is too much, and is read no further.
    """
    if row_file is None:
        yield None
        return
    with SpooledTemporaryFile(max_size=_IN_MEMORY) as here:
        ended = _fill(here, row_file.source, most)
        here.seek(0)
        yield replace(row_file, source=here if ended else _Chained(here, row_file.source))


def _fill(here: IO[bytes], source: Source, most: int) -> bool:
    """Take over a file; say whether that was all of it."""
    lines = 0
    while lines <= most:
        block = source.read1(_BLOCK)
        if not block:
            return True
        here.write(block)
        lines += block.count(b"\n")
    return False


class _Chained:
    """One file behind another."""

    def __init__(self, first: Source, second: Source) -> None:
        self._first = first
        self._second = second

    def read1(self, size: int = -1, /) -> bytes:
        """Return some bytes as soon as there are any, none at the end."""
        return self._first.read1(size) or self._second.read1(size)
