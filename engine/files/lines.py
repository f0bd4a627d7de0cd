"""The records of a file, CSV or one JSON object a line, as a stream of batches."""

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
"""Bytes of a line that are kept; the rest of it is dropped, and the record is broken."""

_LONGEST_RECORD = 1 << 18
"""Characters. A line that was cut has more, whatever its letters are."""

_BATCH_CHARACTERS = 1 << 22
"""A batch ends with the record that fills it so far, so that memory stays flat."""

_EXPECTED_CSV = (
    "double quotes around a cell with a comma, a quote or a line break, quotes in it doubled"
)
# What csv says, and what that means.
_TOLD = (
    ("unexpected end", "a quote that is never closed"),
    ("'", "text behind a closing quote"),
    ("field larger", "a cell of more than 131,072 characters"),
    ("endless", "lines without an end of the record"),
)
_EXPECTED_OBJECT = 'one JSON object a line, such as {"title": "Leak"}'
_DEEPEST = 50
"""How deep the brackets of an object go; whoever writes it down again needs a stack."""


class Source(Protocol):
    """A file that is open for reading bytes."""

    def read1(self, size: int = ..., /) -> bytes:
        """Return some bytes as soon as there are any, none at the end."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A record that can't be read: what came, and what was expected."""

    got: str
    expected: str


Record = Sequence[str] | Mapping[str, Any] | Broken


@dataclass(slots=True)
class Batch:
    """Some records that follow each other; the same file always has the same batches.

    Attributes:
        number: Of the batch, from 0.
        lines: The line of the file where each record begins, from 1.
        texts: Each record as it stands in the file.
        records: Its cells, or its object, or why it can't be read.
        read_bytes: So much of the file has been read.
    """

    number: int
    lines: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    read_bytes: int = 0


class Lines:
    """The lines of a file, handed out one by one; those of a broken record can be put back.

    Bytes that aren't UTF-8 stay in the text as lone surrogates, as `surrogateescape` makes them.
    """

    def __init__(self, source: Source) -> None:
        """Read nothing yet."""
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
        """Return the lines that are left."""
        return self

    def __next__(self) -> str:
        """Return the next line with its end.

        Raises:
            csv.Error: Since the last `take` more came than a record may be long, line by line.
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
        """Return the number of the first line since the last call, and those lines as a text."""
        first, text = self._number + 1, "".join(self._taken)
        self._number += len(self._taken)
        self._taken.clear()
        self._taken_characters = 0
        return first, text

    def put_back(self) -> None:
        """Hand the lines since the last `take` out again later, all but the first."""
        self._waiting.extendleft(reversed(self._taken[1:]))
        del self._taken[1:]

    def _read_block(self) -> None:
        block = self._source.read1(_BLOCK)
        self.read_bytes += len(block)
        self._ended = not block
        known = self._rest + block
        whole = len(known) if self._ended else _end_of_lines(known)
        self._rest = known[whole:]
        if len(self._rest) > _LONGEST_LINE:
            # The last byte may be the first half of the line's end.
            self._rest = self._rest[:_LONGEST_LINE] + self._rest[-1:]
        if whole:
            text = known[:whole].decode(self._encoding, "surrogateescape")
            self._encoding = "utf-8"
            self._waiting.extend(StringIO(text, newline=""))


def read_records(lines: Lines, form: str, delimiter: str) -> Iterator[tuple[int, str, Record]]:
    """Yield the number of its first line, its text and what it holds, of each record.

    Empty lines are passed over. A quote that is never closed breaks its own line only.
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
    """Yield records in batches of *size* at most; how they are cut depends on them alone."""
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
            yield Broken(_told(error), _EXPECTED_CSV)


def _read_objects(lines: Lines) -> Iterator[Record]:
    for line in lines:
        try:
            found = _DECODER.decode(line)
        except json.JSONDecodeError as error:
            yield Broken(f"{error.msg} at character {error.pos + 1}", _EXPECTED_OBJECT)
        except ValueError as error:
            yield Broken(str(error), _EXPECTED_OBJECT)
        except RecursionError:
            yield _TOO_DEEP
        else:
            if not isinstance(found, dict):
                yield Broken(line[:100], _EXPECTED_OBJECT)
            else:
                yield _TOO_DEEP if is_deep(line, found) else found


def is_deep(text: str, found: Any) -> bool:
    """Say whether a JSON *text* has more brackets in each other than may be; *found* is in it."""
    if text.count("[") + text.count("{") <= _DEEPEST:
        return False
    level = [found]
    for _ in range(_DEEPEST):
        level = [part for each in level for part in _parts(each)]
    return any(isinstance(each, dict | list) for each in level)


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _told(error: csv.Error) -> str:
    return next((told for begun, told in _TOLD if str(error).startswith(begun)), str(error))


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_TOO_DEEP = Broken(f"more than {_DEEPEST} brackets in each other", _EXPECTED_OBJECT)
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _end_of_lines(known: bytes) -> int:
    # A carriage return at the end may be the first half of a line's end.
    return max(known.rfind(b"\n"), known.rfind(b"\r", 0, len(known) - 1)) + 1
