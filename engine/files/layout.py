"""The cells of a batch by the fields that they fill, whatever form the file has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from domain.errors import InvalidInput
from engine.files.column_mapping import Naming
from engine.files.columns import Fault
from engine.files.lines import BROKEN, Batch, Broken, Record

_IN_UTF8 = "a line of column names, in UTF-8: save the file as UTF-8"
_MARKS_OF_UTF16 = ("\udcff\udcfe", "\udcfe\udcff")
"""How such a file begins, read as UTF-8."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a batch brings.

    Attributes:
        positions: The records in the batch that could be read.
        columns: Their values by field, as many as there are positions.
        faults: What is wrong with the others, by their positions in the batch.
    """

    positions: Sequence[int]
    columns: dict[str, Sequence[Any]]
    faults: list[Fault] = field(default_factory=list)


class Shape(Protocol):
    """Knows what stands where in a record."""

    @property
    def header(self) -> Sequence[str]:
        """Return the names of the columns in order; none where each record names its own."""

    @property
    def told(self) -> str:
        """Return what it knows as text; another text is another meaning of the same file."""

    def read(self, batch: Batch) -> Given:
        """Return the cells of a batch by field."""


class CsvShape:
    """Records are cells in the order of the header."""

    def __init__(self, naming: Naming, header: Record) -> None:
        """Read the header.

        Raises:
            InvalidInput: It is none, or not all of its columns are known.
        """
        if not isinstance(header, Sequence):
            got = header.got if isinstance(header, Broken) else header
            raise InvalidInput(field="header", got=got, expected=_IN_UTF8)
        _demand_utf8("".join(header))
        self.header = list(header)
        self._width = len(header)
        self._filled = naming.read_header(header)

    @property
    def told(self) -> str:
        """Return which column fills which field."""
        return f"{self._width} {sorted(self._filled.items())}"

    def read(self, batch: Batch) -> Given:
        """Return the cells of a batch by field."""
        faults = []
        positions = []
        for position, record in enumerate(batch.records):
            if isinstance(record, Broken):
                faults.append(_broken(position, record))
            elif len(record) == self._width:
                positions.append(position)
            else:
                got, expected = f"{len(record)} columns", f"{self._width} as in the header"
                faults.append(Fault(position, None, got, "wrong_columns", expected))
        cells: Any = [batch.records[each] for each in positions]
        columns = list(zip(*cells, strict=True)) or [()] * self._width
        given: dict[str, Sequence[Any]] = {
            name: columns[place] for place, name in self._filled.items()
        }
        return Given(positions, given, faults)


class ObjectShape:
    """Records are objects; a key that isn't there is an empty cell."""

    header: Sequence[str] = ()

    def __init__(self, naming: Naming, first: Record, text: str) -> None:
        """Check the keys of the first object; *text* is the first record as it stands.

        Raises:
            InvalidInput: One of them is not known, or it is no object.
        """
        if isinstance(first, Broken):
            _demand_utf8(text)
            raise InvalidInput(field="file", got=first.got, expected=first.expected)
        _demand_utf8("".join(first))
        self._naming = naming
        self._keys: dict[str, str] = {}
        filled = naming.read_header(list(first), whole=False)
        self._keys = {field: list(first)[place] for place, field in filled.items()}

    @property
    def told(self) -> str:
        """Return which key fills which field, beside those that are called like it."""
        return f"{sorted(self._naming.mapping.items())}"

    def read(self, batch: Batch) -> Given:
        """Return the values of a batch by field."""
        objects = {n: each for n, each in enumerate(batch.records) if isinstance(each, Mapping)}
        given = Given(list(objects), dict.fromkeys(self._naming.required, ()))
        for position, record in enumerate(batch.records):
            if isinstance(record, Broken):
                given.faults.append(_broken(position, record))
        for key in dict.fromkeys(key for each in objects.values() for key in each):
            if self._naming.is_ignored(key):
                continue
            name = self._naming.field_of(key)
            if name is None or self._keys.setdefault(name, key) != key:
                expected = self._naming.fields if name is None else f"{self._keys[name]} only"
                given.faults.extend(
                    Fault(position, key, each[key], "unknown_field", expected)
                    for position, each in objects.items()
                    if key in each
                )
            else:
                given.columns[name] = [each.get(key) for each in objects.values()]
        nothing = [None] * len(objects)
        for name, values in given.columns.items():
            given.columns[name] = values or nothing
        return given


def _broken(position: int, record: Broken) -> Fault:
    return Fault(position, None, record.got, BROKEN, record.expected)


def _demand_utf8(names: str) -> None:
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
