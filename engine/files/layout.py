"""Layouts: read the cells of a batch by field, from records of CSV or of JSON objects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from domain.errors import InvalidInput
from engine.files.column_mapping import ColumnMapping
from engine.files.columns import Fault
from engine.files.lines import BROKEN, Batch, Broken, Record

_IN_UTF8 = "a line of column names, in UTF-8: save the file as UTF-8"
_MARKS_OF_UTF16 = ("\udcff\udcfe", "\udcfe\udcff")
"""The first bytes of a file in UTF-16, as text decoded as UTF-8."""


@dataclass(frozen=True, slots=True)
class BatchColumns:
    """The values of a batch by field.

    Attributes:
        positions: The positions in the batch of the records that could be read.
        columns: Their values by field, as many as there are positions.
        faults: What is wrong with the other records, by their positions in the batch.
    """

    positions: Sequence[int]
    columns: dict[str, Sequence[Any]]
    faults: list[Fault] = field(default_factory=list)


class Layout(Protocol):
    """Which cell of a record fills which field."""

    @property
    def header(self) -> Sequence[str]:
        """Return the names of the columns in order; none if each record has its own keys."""

    @property
    def meaning(self) -> str:
        """Return the layout as text; with another text the same file has another meaning."""

    def read(self, batch: Batch) -> BatchColumns:
        """Return the cells of a batch by field."""


class CsvLayout:
    """A layout in which records are cells in the order of the header."""

    def __init__(self, column_mapping: ColumnMapping, header: Record) -> None:
        """Read the header.

        Raises:
            InvalidInput: It isn't a header, or a column of it is unknown.
        """
        if not isinstance(header, Sequence):
            got = header.got if isinstance(header, Broken) else header
            raise InvalidInput(field="header", got=got, expected=_IN_UTF8)
        _require_utf8("".join(header))
        self.header = list(header)
        self._width = len(header)
        self._filled = column_mapping.read_header(header)

    @property
    def meaning(self) -> str:
        """Return which column fills which field."""
        return f"{self._width} {sorted(self._filled.items())}"

    def read(self, batch: Batch) -> BatchColumns:
        """Return the cells of a batch by field."""
        faults = []
        positions = []
        for position, record in enumerate(batch.records):
            if isinstance(record, Broken):
                faults.append(_fault_of_broken(position, record))
            elif len(record) == self._width:
                positions.append(position)
            else:
                got, expected = f"{len(record)} columns", f"{self._width} as in the header"
                faults.append(Fault(position, None, got, "wrong_columns", expected))
        cells: Any = [batch.records[position] for position in positions]
        columns = list(zip(*cells, strict=True)) or [()] * self._width
        by_field: dict[str, Sequence[Any]] = {
            name: columns[place] for place, name in self._filled.items()
        }
        return BatchColumns(positions, by_field, faults)


class ObjectLayout:
    """A layout in which records are objects; a missing key is an empty cell."""

    header: Sequence[str] = ()

    def __init__(self, column_mapping: ColumnMapping, first: Record, text: str) -> None:
        """Check the keys of the first object; *text* is the first record as it is in the file.

        Raises:
            InvalidInput: A key is unknown, or the record is no object.
        """
        if isinstance(first, Broken):
            _require_utf8(text)
            raise InvalidInput(field="file", got=first.got, expected=first.expected)
        _require_utf8("".join(first))
        self._column_mapping = column_mapping
        self._keys: dict[str, str] = {}
        filled = column_mapping.read_header(list(first), is_complete=False)
        self._keys = {field: list(first)[place] for place, field in filled.items()}

    @property
    def meaning(self) -> str:
        """Return which key fills which field, except keys that have the name of their field."""
        return f"{sorted(self._column_mapping.mapping.items())}"

    def read(self, batch: Batch) -> BatchColumns:
        """Return the values of a batch by field."""
        objects = {
            n: record for n, record in enumerate(batch.records) if isinstance(record, Mapping)
        }
        batch_columns = BatchColumns(
            list(objects), dict.fromkeys(self._column_mapping.required, ())
        )
        for position, record in enumerate(batch.records):
            if isinstance(record, Broken):
                batch_columns.faults.append(_fault_of_broken(position, record))
        for key in dict.fromkeys(key for record in objects.values() for key in record):
            if self._column_mapping.is_ignored(key):
                continue
            name = self._column_mapping.field_of(key)
            if name is None or self._keys.setdefault(name, key) != key:
                expected = (
                    self._column_mapping.fields if name is None else f"{self._keys[name]} only"
                )
                batch_columns.faults.extend(
                    Fault(position, key, record[key], "unknown_field", expected)
                    for position, record in objects.items()
                    if key in record
                )
            else:
                batch_columns.columns[name] = [record.get(key) for record in objects.values()]
        empty = [None] * len(objects)
        for name, values in batch_columns.columns.items():
            batch_columns.columns[name] = values or empty
        return batch_columns


def _fault_of_broken(position: int, record: Broken) -> Fault:
    return Fault(position, None, record.got, BROKEN, record.expected)


def _require_utf8(names: str) -> None:
    got = ""
    if names.startswith(_MARKS_OF_UTF16):
        got = "text in UTF-16"
    elif "\x00" in names:
        got = "NUL, which no text holds"
    elif not _is_utf8(names):
        got = "bytes that are not UTF-8"
    if got:
        raise InvalidInput(field="header", got=got, expected=_IN_UTF8)


def _is_utf8(line: str) -> bool:
    try:
        line.encode()
    except UnicodeEncodeError:
        return False
    return True
