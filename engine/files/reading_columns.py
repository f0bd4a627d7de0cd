"""Readings among the cells of a file's records: one a column, or all of them as one object."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import isfinite
from typing import Any

from domain.errors import InvalidInput
from engine.files.columns import Fault, Incoming, parse_known
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

Found = tuple[int, str, Any]
"""The position of a record, a reading's name, and what was read."""


@dataclass(frozen=True, slots=True)
class ReadingCells:
    """Finds readings among the cells of records: `reading:pressure`, or all as one object.

    Attributes:
        readings: Those of the kind of work; without any no cell is one.
        passed_over: Columns that mean something else.
    """

    readings: Readings | None
    passed_over: Collection[str] = ()

    def check_header(self, header: Sequence[str]) -> None:
        """Check that what looks like a reading is one: nothing that was read goes lost.

        Raises:
            InvalidInput: A column looks like a reading and isn't understood.
        """
        for column in header:
            if self._is_unclear(column):
                raise InvalidInput(field="column", got=column[:200], expected=_EXPECTED_NAME)

    def read(
        self, header: Sequence[str], records: Sequence[Line]
    ) -> tuple[list[dict[str, str]], list[Fault]]:
        """Return what each record brings, by name, and what is wrong with any of it."""
        own: list[dict[str, str]] = [{} for _ in records]
        faults: list[Fault] = []
        if self.readings is None:
            return own, faults
        faults += self._unclear_keys(records)
        part = self.readings.part
        found = list(self._found(header, records, faults))
        given = {"name": [each[1] for each in found], "value": [each[2] for each in found]}
        parsed = parse_known(_known(part), given)
        unfit = {each.position for each in parsed.faults}
        for fault in parsed.faults:
            position, name, _ = found[fault.position]
            faults.append(replace(fault, position=position, field=column_of_reading(part, name)))
        for place, (position, name, value) in enumerate(found):
            if place in unfit:
                continue
            if name in own[position]:
                told = "each reading of a row once"
                faults.append(
                    Fault(position, column_of_reading(part, name), value, "check_failed", told)
                )
            own[position][name] = parsed.columns["value"][place]
        return own, faults

    def _found(
        self, header: Sequence[str], records: Sequence[Line], faults: list[Fault]
    ) -> Iterator[Found]:
        keys = {key for each in records if isinstance(each, Mapping) for key in each}
        known = {each for each in (*header, *keys) if self._is_one(each)}
        places = [n for n, each in enumerate(header) if each in known]
        for position, record in enumerate(records):
            cells: Iterable[tuple[str, Any]] = ()
            if isinstance(record, Mapping):
                cells = (each for each in record.items() if each[0] in known)
            elif isinstance(record, Sequence) and len(record) == len(header):
                cells = ((header[place], record[place]) for place in places)
            for column, cell in cells:
                given = _given(column, cell)
                if given is None:
                    faults.append(Fault(position, ALL_READINGS, cell, "not_an_object", _EXPECTED))
                for name, value in (given or {}).items():
                    if not is_empty(value):
                        yield position, name, _as_text(value)

    def _unclear_keys(self, records: Sequence[Line]) -> Iterator[Fault]:
        for position, record in enumerate(records):
            cells: Mapping[str, Any] = record if isinstance(record, Mapping) else {}
            for key in filter(self._is_unclear, cells):
                yield Fault(position, key, cells[key], "unknown_field", _EXPECTED_NAME)

    def _is_one(self, column: str) -> bool:
        if self.readings is None or self._is_passed_over(column):
            return False
        head, colon, _ = column.partition(":")
        return head.strip().lower() == (self.readings.part.resource_type if colon else ALL_READINGS)

    def _is_unclear(self, column: str) -> bool:
        if self.readings is None or self._is_passed_over(column) or self._is_one(column):
            return False
        return column.strip().lower().startswith(self.readings.part.resource_type)

    def _is_passed_over(self, column: str) -> bool:
        return column in self.passed_over or column.strip() in self.passed_over


def column_of_reading(part: type[Record], name: str) -> str:
    """Return the column of a file that brings a reading, e.g. `reading:pressure`."""
    return f"{part.resource_type}:{name}"


@cache
def _known(part: type[Record]) -> dict[str, Incoming]:
    return {
        each: Incoming(
            fields_of(part)[each], "not_text", longest=longest_of(table_of(part).c[each])
        )
        for each in READING_COLUMNS
    }


def _as_text(value: Any) -> Any:
    """Return a number as text, as a reading holds it; what is none stays as it is."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number and (isinstance(value, int) or isfinite(value)) else value


def _given(column: str, cell: Any) -> Mapping[str, Any] | None:
    """Return the readings of a cell by name; None if it should be an object and isn't."""
    _, colon, name = column.partition(":")
    if colon:
        return {name.strip(): cell}
    return {} if is_empty(cell) else _object(cell)


def _object(cell: Any) -> Mapping[str, Any] | None:
    """Return an object; in a cell of CSV it stands as JSON."""
    if isinstance(cell, str):
        try:
            found = json.loads(cell)
        except (ValueError, RecursionError):
            return None
        cell = None if is_deep(cell, found) else found
    return cell if isinstance(cell, Mapping) else None
