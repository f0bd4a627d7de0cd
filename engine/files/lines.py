"""Lines: read the records of a file, CSV or one JSON object a line, as a stream of batches."""

import csv
import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from typing import Any, NoReturn, Protocol, Self

FORMATS = ("csv", "ndjson")
BROKEN = "broken_line"

_BLOCK = 1 << 18
_LONGEST_LINE = 1 << 20
"""Bytes of a line that are kept at most; the rest is dropped, and the record is broken."""

_LONGEST_RECORD = 1 << 18
"""Characters of a record at most. A line that was cut has more, in any script."""

_BATCH_CHARACTERS = 1 << 22
"""Characters after which a batch ends, so that memory stays bounded."""

_EXPECTED_CSV = (
    "double quotes around a cell with a comma, a quote or a line break, quotes in it doubled"
)
# The beginning of an error message of the csv module, and what it means.
_MEANINGS = (
    ("unexpected end", "a quote that is never closed"),
    ("'", "text behind a closing quote"),
    ("field larger", "a cell of more than 131,072 characters"),
    ("endless", "lines without an end of the record"),
)
_EXPECTED_OBJECT = 'one JSON object a line, such as {"title": "Leak"}'
_DEEPEST = 50
"""Levels of nested brackets in an object at most: serializing it again is recursive."""


class Source(Protocol):
    """A file that is open for reading bytes."""

    def read1(self, size: int = ..., /) -> bytes:
        """Return some bytes as soon as there are any, none at the end."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A record that can't be read: what it has, and what was expected."""

    got: str
    expected: str


Record = Sequence[str] | Mapping[str, Any] | Broken


@dataclass(slots=True)
class Batch:
    """Consecutive records of a file; the same file always has the same batches.

    Attributes:
        number: The number of the batch, from 0.
        lines: The line of the file where each record begins, from 1.
        texts: The text of each record in the file.
        records: The cells or the object of each record, or why it can't be read.
        read_bytes: How many bytes of the file have been read.
    """

    number: int
    lines: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    read_bytes: int = 0


class Lines:
    """An iterator over the lines of a file; lines of a broken record can be put back.

    Bytes that aren't UTF-8 stay in the text as lone surrogates, as `surrogateescape` makes them.
    """

    def __init__(self, source: Source) -> None:
        """Keep the *source*; nothing is read yet."""
        self._source = source
        self._rest = b""
        self._waiting: deque[str] = deque()
        self._taken: list[str] = []
        self._taken_characters = 0
        self._encoding = "utf-8-sig"
        self._ended = False
        self._number = 0
        self.read_bytes = 0

    def __iter__(self) -> Self:
        """Return itself."""
        return self

    def __next__(self) -> str:
        """Return the next line with its end.

        Raises:
            csv.Error: The lines since the last `take` are longer than a record may be.
        """
        if self._taken_characters > _LONGEST_LINE:
            raise csv.Error("endless")
        while not self._waiting:
            if self._ended:
                raise StopIteration
            self._read_block()
        line = self._waiting.popleft()
        self._taken.append(line)
        self._taken_characters += len(line)
        return line

    def take(self) -> tuple[int, str]:
        """Return the lines since the last call: the number of the first one, and their text."""
        first, text = self._number + 1, "".join(self._taken)
        self._number += len(self._taken)
        self._taken.clear()
        self._taken_characters = 0
        return first, text

    def put_back(self) -> None:
        """Put the lines since the last `take` back, to be read again, all but the first."""
        self._waiting.extendleft(reversed(self._taken[1:]))
        del self._taken[1:]

    def _read_block(self) -> None:
        block = self._source.read1(_BLOCK)
        self.read_bytes += len(block)
        self._ended = not block
        unread = self._rest + block
        complete = len(unread) if self._ended else _end_of_lines(unread)
        self._rest = unread[complete:]
        if len(self._rest) > _LONGEST_LINE:
            # The last byte may be the first half of the line's end.
            self._rest = self._rest[:_LONGEST_LINE] + self._rest[-1:]
        if complete:
            text = unread[:complete].decode(self._encoding, "surrogateescape")
            self._encoding = "utf-8"
            self._waiting.extend(StringIO(text, newline=""))


def read_records(lines: Lines, form: str, delimiter: str) -> Iterator[tuple[int, str, Record]]:
    """Yield each record: the number of its first line, its text, and its cells or its object.

    Empty lines are skipped. A quote that is never closed breaks its own line only.
    """
    records = _read_csv(lines, delimiter) if form == "csv" else _read_objects(lines)
    for record in records:
        line, text = lines.take()
        if len(text) > _LONGEST_RECORD:
            yield line, text, Broken(f"{len(text):,} characters", f"at most {_LONGEST_RECORD:,}")
        elif text.strip("\r\n"):
            yield line, text, record


def read_batches(
    records: Iterable[tuple[int, str, Record]], lines: Lines, size: int
) -> Iterator[Batch]:
    """Yield records in batches of at most *size*; the same records give the same batches."""
    batch, characters = Batch(0), 0
    for line, text, record in records:
        batch.lines.append(line)
        batch.texts.append(text)
        batch.records.append(record)
        characters += len(text)
        if len(batch.lines) == size or characters > _BATCH_CHARACTERS:
            batch.read_bytes = lines.read_bytes
            yield batch
            batch, characters = Batch(batch.number + 1), 0
    if batch.lines:
        batch.read_bytes = lines.read_bytes
        yield batch


def _read_csv(lines: Lines, delimiter: str) -> Iterator[Record]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            lines.put_back()
            yield Broken(_meaning_of(error), _EXPECTED_CSV)


def _read_objects(lines: Lines) -> Iterator[Record]:
    for line in lines:
        try:
            value = _DECODER.decode(line)
        except json.JSONDecodeError as error:
            yield Broken(f"{error.msg} at character {error.pos + 1}", _EXPECTED_OBJECT)
        except ValueError as error:
            yield Broken(str(error), _EXPECTED_OBJECT)
        except RecursionError:
            yield _TOO_DEEP
        else:
            if not isinstance(value, dict):
                yield Broken(line[:100], _EXPECTED_OBJECT)
            else:
                yield _TOO_DEEP if is_deep(line, value) else value


def is_deep(text: str, value: Any) -> bool:
    """Return whether a JSON *text* is nested too deep; *value* is what it was parsed to."""
    if text.count("[") + text.count("{") <= _DEEPEST:
        return False
    level = [value]
    for _ in range(_DEEPEST):
        level = [member for container in level for member in _members(container)]
    return any(isinstance(member, dict | list) for member in level)


def _members(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _meaning_of(error: csv.Error) -> str:
    return next(
        (meaning for beginning, meaning in _MEANINGS if str(error).startswith(beginning)),
        str(error),
    )


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_TOO_DEEP = Broken(f"more than {_DEEPEST} brackets in each other", _EXPECTED_OBJECT)
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _end_of_lines(block: bytes) -> int:
    # A carriage return at the end may be the first half of a line's end.
    return max(block.rfind(b"\n"), block.rfind(b"\r", 0, len(block) - 1)) + 1
