"""New rows by the column: parsed whole, and value by value only where that fails."""

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
"""Rows by column: as many values in each as there are rows."""

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
        position: Of the row among those that were given, from 0.
        field: The column; None if it is the row as a whole.
        value: What came.
        code: The sort of the fault, e.g. `unknown_state`.
        expected: What should have come, as the end of a sentence.
    """

    position: int
    field: str | None
    value: Any
    code: str
    expected: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """Columns as the table holds them, references as they were given, and every fault.

    A value with a fault is None.
    """

    columns: dict[str, list[Any]]
    faults: list[Fault] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A column that an import may bring.

    Attributes:
        field: What its values have to look like.
        code: The sort of fault of one that doesn't.
        default: What it is when nothing is given.
        longest: How many characters a text may have.
    """

    field: Field
    code: str
    default: Any = None
    longest: int = LONGEST_TEXT


@cache
def incoming(model: type[Work]) -> dict[str, Incoming]:
    """Return what an import may bring, by column: the writable fields, and the state."""
    table = cast("Table", model.__table__)
    known = {name: _incoming(model, each, table.c[name]) for name, each in fields_of(model).items()}
    states = model.machine.states
    parse, expected = parser_of(table.c[SINCE].type)
    since = Field(
        SINCE, required=False, nullable=False, expected=expected, refers_to=None, parse=parse
    )
    of_state = replace(
        since, name=STATE, expected=f"one of {', '.join(states)}", parse=partial(word, states)
    )
    known[STATE] = Incoming(of_state, "unknown_state", model.machine.initial)
    known[SINCE] = Incoming(since, _TIME)
    return known


def parse_columns(model: type[Work], given: Columns) -> Parsed:
    """Return the columns of new rows, parsed and checked; names in *given* are columns."""
    parsed = parse_known(incoming(model), given)
    if model.checks:
        parsed.faults.extend(_broken_checks(model, parsed.columns, given))
    return parsed


def parse_known(known: Mapping[str, Incoming], given: Columns) -> Parsed:
    """Return columns as they are known, each value by itself."""
    parsed = Parsed({})
    for name, values in given.items():
        try:
            parsed.columns[name] = _parse_whole(known[name], values)
        except _REFUSALS:
            parsed.columns[name] = _parse_each(known[name], values, parsed.faults)
    return parsed


def _parse_whole(known: Incoming, values: Sequence[Any]) -> list[Any]:
    are_texts = set(map(type, values)) == {str}
    if are_texts and any(map(str.isspace, values)):
        values = ["" if each.isspace() else each for each in values]
    if known.field.required and ("" in values if are_texts else any(map(is_empty, values))):
        raise ValueError
    if known.code == _TEXT and are_texts:
        return _texts(known, cast("Sequence[str]", values))
    parse = known.field.parse
    if are_texts:
        # Most columns repeat a few values: each is parsed once.
        found = {each: parse(each) for each in set(values) if each}
        found[""] = known.default
        return list(map(found.__getitem__, values))
    return [known.default if is_empty(each) else parse(each) for each in values]


def _texts(known: Incoming, values: Sequence[str]) -> list[Any]:
    if known.field.name == REFERENCE:
        values = list(map(str.strip, values))
    joined = "".join(values)
    if max(map(len, values)) > known.longest or "\x00" in joined:
        raise ValueError
    if not joined.isascii():
        joined.encode()
    return [each or known.default for each in values]


def _parse_each(known: Incoming, values: Sequence[Any], faults: list[Fault]) -> list[Any]:
    expected = known.field.expected
    parsed: list[Any] = []
    for position, value in enumerate(values):
        code = None
        if not is_empty(value):
            try:
                parsed.append(known.field.parse(value))
                continue
            except _REFUSALS:
                code = _told_closer(known, value)
        elif known.field.required:
            code = "value_missing"
        parsed.append(None if code else known.default)
        if code:
            faults.append(Fault(position, known.field.name, value, code, expected))
    return parsed


def _told_closer(known: Incoming, value: Any) -> str:
    """Return the sort of a fault: a time may lack but its zone, a text be but too long."""
    if known.code == _TEXT and isinstance(value, str):
        return "too_long" if len(value) > known.longest else "bad_characters"
    if known.code == _TIME:
        return _fault_of_time(value)
    if known.code == _NUMBER and _is_number(value):
        return "out_of_range"
    return known.code


def _fault_of_time(value: Any) -> str:
    try:
        found = datetime.fromisoformat(value)
    except (ValueError, TypeError):
        return _TIME
    return "zone_missing" if found.tzinfo is None else "out_of_range"


def _is_number(value: Any) -> bool:
    try:
        int(value)
    except _REFUSALS:
        return False
    return not isinstance(value, bool)


def _broken_checks(model: type[Work], columns: Columns, given: Columns) -> Iterator[Fault]:
    for position, values in enumerate(zip(*columns.values(), strict=True)):
        row = dict(zip(columns, values, strict=True))
        for check in model.checks:
            if not check.holds(row):
                came = given[check.field][position] if check.field in given else None
                yield Fault(position, check.field, came, "check_failed", check.expected)


def _incoming(model: type[Work], known: Field, column: Column[Any]) -> Incoming:
    given = getattr(column.server_default, "arg", None)
    default = None
    if known.is_list:
        default = []
    elif isinstance(given, str) and not known.nullable:
        default = known.parse(given)
    return Incoming(known, _code_of(model, known, column), default, longest_of(column))


def _code_of(model: type[Work], known: Field, column: Column[Any]) -> str:
    if known.name in model.choices:
        return "unknown_word"
    if known.refers_to is not None:
        return "unknown_reference"
    return next((code for sort, code in _CODES.items() if isinstance(column.type, sort)), _TEXT)
