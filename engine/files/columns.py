"""Columns: parse the values of new rows by column, and value by value only where that fails."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache, partial
from typing import Any, cast

from sqlalchemy import Column, Date, Float, Integer, Table
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

from engine.input.column_types import LONGEST_TEXT, is_empty, longest_of, parser_of, word
from engine.input.fields import REFERENCE, Field, fields_of
from models.base import Work

STATE = "state"
SINCE = "state_since"

Columns = Mapping[str, Sequence[Any]]
"""Rows by column: each column has as many values as there are rows."""

_REFUSALS = (ValueError, TypeError, OverflowError)
_TEXT = "not_text"
_TIME = "not_a_time"
_NUMBER = "not_a_number"
_CODES: dict[type, str] = {
    Integer: _NUMBER,
    Float: _NUMBER,
    TIMESTAMP: _TIME,
    Date: "not_a_day",
    ARRAY: "not_a_list",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a row.

    Attributes:
        position: The position of the row among those that were parsed, from 0.
        field: The column; None if the fault is about the row as a whole.
        value: The faulty value.
        code: The sort of the fault, e.g. `unknown_state`.
        expected: What was expected, as the end of a sentence.
    """

    position: int
    field: str | None
    value: Any
    code: str
    expected: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """Parsed columns, with references to other records still unresolved, and every fault.

    A value with a fault is None.
    """

    columns: dict[str, list[Any]]
    faults: list[Fault] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A column of a table that a file may fill.

    Attributes:
        field: What its values have to look like.
        code: The sort of fault of a value that doesn't.
        default: The value of an empty cell.
        longest: How many characters a text may have.
    """

    field: Field
    code: str
    default: Any = None
    longest: int = LONGEST_TEXT


@cache
def incoming(model: type[Work]) -> dict[str, Incoming]:
    """Return what an import may fill, by column: the writable fields, the state and its time."""
    table = cast("Table", model.__table__)
    by_column = {
        name: _incoming(model, field, table.c[name]) for name, field in fields_of(model).items()
    }
    states = model.machine.states
    parse, expected = parser_of(table.c[SINCE].type)
    since = Field(
        SINCE, required=False, nullable=False, expected=expected, refers_to=None, parse=parse
    )
    of_state = replace(
        since, name=STATE, expected=f"one of {', '.join(states)}", parse=partial(word, states)
    )
    by_column[STATE] = Incoming(of_state, "unknown_state", model.machine.initial)
    by_column[SINCE] = Incoming(since, _TIME)
    return by_column


def parse_columns(model: type[Work], columns: Columns) -> Parsed:
    """Return the columns of new rows, parsed and checked; *columns* has the table's names."""
    parsed = parse_incoming(incoming(model), columns)
    if model.checks:
        parsed.faults.extend(_broken_checks(model, parsed.columns, columns))
    return parsed


def parse_incoming(expected: Mapping[str, Incoming], columns: Columns) -> Parsed:
    """Return columns parsed by what is *expected* of each, without rules across columns."""
    parsed = Parsed({})
    for name, values in columns.items():
        try:
            parsed.columns[name] = _parse_column(expected[name], values)
        except _REFUSALS:
            parsed.columns[name] = _parse_values(expected[name], values, parsed.faults)
    return parsed


def _parse_column(column: Incoming, values: Sequence[Any]) -> list[Any]:
    are_texts = set(map(type, values)) == {str}
    if are_texts and any(map(str.isspace, values)):
        values = ["" if value.isspace() else value for value in values]
    if column.field.required and ("" in values if are_texts else any(map(is_empty, values))):
        raise ValueError
    if column.code == _TEXT and are_texts:
        return _parse_texts(column, cast("Sequence[str]", values))
    parse = column.field.parse
    if are_texts:
        # Most columns repeat a few values: each distinct value is parsed once.
        parsed = {value: parse(value) for value in set(values) if value}
        parsed[""] = column.default
        return list(map(parsed.__getitem__, values))
    return [column.default if is_empty(value) else parse(value) for value in values]


def _parse_texts(column: Incoming, values: Sequence[str]) -> list[Any]:
    if column.field.name == REFERENCE:
        values = list(map(str.strip, values))
    joined = "".join(values)
    if max(map(len, values)) > column.longest or "\x00" in joined:
        raise ValueError
    if not joined.isascii():
        joined.encode()
    return [value or column.default for value in values]


def _parse_values(column: Incoming, values: Sequence[Any], faults: list[Fault]) -> list[Any]:
    expected = column.field.expected
    parsed: list[Any] = []
    for position, value in enumerate(values):
        code = None
        if not is_empty(value):
            try:
                parsed.append(column.field.parse(value))
                continue
            except _REFUSALS:
                code = _code_of_fault(column, value)
        elif column.field.required:
            code = "value_missing"
        parsed.append(None if code else column.default)
        if code:
            faults.append(Fault(position, column.field.name, value, code, expected))
    return parsed


def _code_of_fault(column: Incoming, value: Any) -> str:
    """Return the code of a fault, as precise as possible: a text too long, a time without zone."""
    if column.code == _TEXT and isinstance(value, str):
        return "too_long" if len(value) > column.longest else "bad_characters"
    if column.code == _TIME:
        return _fault_of_time(value)
    if column.code == _NUMBER and _is_number(value):
        return "out_of_range"
    return column.code


def _fault_of_time(value: Any) -> str:
    try:
        time = datetime.fromisoformat(value)
    except (ValueError, TypeError):
        return _TIME
    return "zone_missing" if time.tzinfo is None else "out_of_range"


def _is_number(value: Any) -> bool:
    try:
        int(value)
    except _REFUSALS:
        return False
    return not isinstance(value, bool)


def _broken_checks(model: type[Work], columns: Columns, cells: Columns) -> Iterator[Fault]:
    for position, values in enumerate(zip(*columns.values(), strict=True)):
        row = dict(zip(columns, values, strict=True))
        for check in model.checks:
            if not check.holds(row):
                cell = cells[check.field][position] if check.field in cells else None
                yield Fault(position, check.field, cell, "check_failed", check.expected)


def _incoming(model: type[Work], field: Field, column: Column[Any]) -> Incoming:
    server_default = getattr(column.server_default, "arg", None)
    default = None
    if field.is_list:
        default = []
    elif isinstance(server_default, str) and not field.nullable:
        default = field.parse(server_default)
    return Incoming(field, _code_of(model, field, column), default, longest_of(column))


def _code_of(model: type[Work], field: Field, column: Column[Any]) -> str:
    if field.name in model.choices:
        return "unknown_word"
    if field.refers_to is not None:
        return "unknown_reference"
    return next((code for sort, code in _CODES.items() if isinstance(column.type, sort)), _TEXT)
