"""Reading columns: find readings in the records of a file, one a column or all in one object."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import isfinite
from typing import Any

from domain.errors import InvalidInput
from engine.files.columns import Fault, Incoming, parse_incoming
from engine.files.lines import Record as Line
from engine.files.lines import is_deep
from engine.input.column_types import is_empty, longest_of
from engine.input.fields import fields_of
from engine.input.record_types import table_of
from models.base import Readings, Record

ALL_READINGS = "readings"
"""The column, or the key, that holds all readings of a row as one object."""

_EXPECTED = """an object such as {"pressure": 4.2}"""
_EXPECTED_NAME = "reading:NAME, or readings for all as one object; else another name, or ignore it"
READING_COLUMNS = ("name", "value")
"""The columns of a reading that a file fills."""

FoundReading = tuple[int, str, Any]
"""A reading in a file: the position of its record, its name, and its value."""


@dataclass(frozen=True, slots=True)
class ReadingCells:
    """Finds readings in the cells of records: `reading:pressure`, or all as one object.

    Attributes:
        readings: The readings of the kind of work; if it has none, no cell is a reading.
        passed_over: Columns that mean something else.
    """

    readings: Readings | None
    passed_over: Collection[str] = ()

    def check_header(self, header: Sequence[str]) -> None:
        """Check that each column that looks like a reading is one, so that no reading is lost.

        Raises:
            InvalidInput: A column looks like a reading and can't be understood.
        """
        for column in header:
            if self._is_unclear(column):
                raise InvalidInput(field="column", got=column[:200], expected=_EXPECTED_NAME)

    def read(
        self, header: Sequence[str], records: Sequence[Line]
    ) -> tuple[list[dict[str, str]], list[Fault]]:
        """Return the readings of each record, by name, and every fault in them."""
        own: list[dict[str, str]] = [{} for _ in records]
        faults: list[Fault] = []
        if self.readings is None:
            return own, faults
        faults += self._unclear_keys(records)
        child = self.readings.part
        cells = list(self._find_readings(header, records, faults))
        columns = {"name": [cell[1] for cell in cells], "value": [cell[2] for cell in cells]}
        parsed = parse_incoming(_incoming_readings(child), columns)
        unfit = {fault.position for fault in parsed.faults}
        for fault in parsed.faults:
            position, name, _ = cells[fault.position]
            faults.append(replace(fault, position=position, field=column_of_reading(child, name)))
        for place, (position, name, value) in enumerate(cells):
            if place in unfit:
                continue
            if name in own[position]:
                expected = "each reading of a row once"
                faults.append(
                    Fault(position, column_of_reading(child, name), value, "check_failed", expected)
                )
            own[position][name] = parsed.columns["value"][place]
        return own, faults

    def _find_readings(
        self, header: Sequence[str], records: Sequence[Line], faults: list[Fault]
    ) -> Iterator[FoundReading]:
        keys = {key for record in records if isinstance(record, Mapping) for key in record}
        reading_columns = {column for column in (*header, *keys) if self._is_reading(column)}
        places = [n for n, column in enumerate(header) if column in reading_columns]
        for position, record in enumerate(records):
            cells: Iterable[tuple[str, Any]] = ()
            if isinstance(record, Mapping):
                cells = (cell for cell in record.items() if cell[0] in reading_columns)
            elif isinstance(record, Sequence) and len(record) == len(header):
                cells = ((header[place], record[place]) for place in places)
            for column, cell in cells:
                readings = _readings_in_cell(column, cell)
                if readings is None:
                    faults.append(Fault(position, ALL_READINGS, cell, "not_an_object", _EXPECTED))
                for name, value in (readings or {}).items():
                    if not is_empty(value):
                        yield position, name, _as_text(value)

    def _unclear_keys(self, records: Sequence[Line]) -> Iterator[Fault]:
        for position, record in enumerate(records):
            cells: Mapping[str, Any] = record if isinstance(record, Mapping) else {}
            for key in filter(self._is_unclear, cells):
                yield Fault(position, key, cells[key], "unknown_field", _EXPECTED_NAME)

    def _is_reading(self, column: str) -> bool:
        if self.readings is None or self._is_passed_over(column):
            return False
        head, colon, _ = column.partition(":")
        return head.strip().lower() == (self.readings.part.resource_type if colon else ALL_READINGS)

    def _is_unclear(self, column: str) -> bool:
        if self.readings is None or self._is_passed_over(column) or self._is_reading(column):
            return False
        return column.strip().lower().startswith(self.readings.part.resource_type)

    def _is_passed_over(self, column: str) -> bool:
        return column in self.passed_over or column.strip() in self.passed_over


def column_of_reading(child: type[Record], name: str) -> str:
    """Return the column of a file that holds a reading, e.g. `reading:pressure`."""
    return f"{child.resource_type}:{name}"


@cache
def _incoming_readings(child: type[Record]) -> dict[str, Incoming]:
    return {
        name: Incoming(
            fields_of(child)[name], "not_text", longest=longest_of(table_of(child).c[name])
        )
        for name in READING_COLUMNS
    }


def _as_text(value: Any) -> Any:
    """Return a number as text, as a reading holds it; any other value stays as it is."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number and (isinstance(value, int) or isfinite(value)) else value


def _readings_in_cell(column: str, cell: Any) -> Mapping[str, Any] | None:
    """Return the readings in a cell, by name; None if it should be an object and isn't."""
    _, colon, name = column.partition(":")
    if colon:
        return {name.strip(): cell}
    return {} if is_empty(cell) else _object_in_cell(cell)


def _object_in_cell(cell: Any) -> Mapping[str, Any] | None:
    """Return the object in a cell, which is JSON in CSV; None if it isn't one."""
    if isinstance(cell, str):
        try:
            value = json.loads(cell)
        except (ValueError, RecursionError):
            return None
        cell = None if is_deep(cell, value) else value
    return cell if isinstance(cell, Mapping) else None
