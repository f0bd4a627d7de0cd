"""Filters over the rows of one kind, as SQL with bound values; a tenant's living rows only."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, partial
from typing import Any, NoReturn, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Date,
    Float,
    Integer,
    Table,
    Text,
    and_,
    any_,
    func,
    literal,
    not_,
    or_,
)
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

from domain.business_time.span import from_now
from domain.errors import InvalidInput, NotFound
from domain.selection import CONTAINS, EMPTY, IN, Comparison, Filter, Negation, comparisons
from engine.input.checks import Expected, can_be_stored, check
from engine.input.column_types import word
from engine.input.fields import Field, either, find_ids, read_field, shown
from models.base import Record, Work

_HIDDEN = frozenset({"tenant_id", "deleted_at"})
_ORDERED = (Integer, Float, TIMESTAMP, Date)
_FILTER = Expected(
    lambda given: isinstance(given, str) and can_be_stored(given),
    "a filter such as state=OPEN, as text without NUL",
)
_TRUE, _FALSE = "true", "false"
_FACT = Field(
    "",
    required=False,
    nullable=False,
    expected="true or false",
    refers_to=None,
    parse=partial(word, (_TRUE, _FALSE)),
)
_ORDERS = frozenset({"<", "<=", ">", ">="})


@dataclass(frozen=True, slots=True)
class _Asked:
    """A column, or a derived fact, that filters ask of, and what its values have to look like."""

    column: ColumnElement[Any]
    field: Field
    is_derived: bool = False

    @property
    def is_ordered(self) -> bool:
        """Say whether one value can be less than another; ids of others have no order."""
        return isinstance(self.column.type, _ORDERED) and self.field.refers_to is None

    @property
    def is_list(self) -> bool:
        """Say whether its values are lists of words."""
        return isinstance(self.column.type, ARRAY)

    @property
    def tells_time(self) -> bool:
        """Say whether its values are times or days."""
        return isinstance(self.column.type, TIMESTAMP | Date)


def select_where(
    db: Connection, tenant_id: int, model: type[Record], where: str, now: datetime
) -> ColumnElement[bool]:
    """Return the condition that a filter stands for, over a tenant's rows that aren't deleted.

    Spans and `now` are counted from *now*; names of other records are looked up at once.

    Raises:
        InvalidInput: The filter can't be read, a field isn't known, or a value isn't its field's.
        NotFound: The tenant has no record of a name or id that a value gives.
    """
    check("where", where, _FILTER)
    from domain.filter_parser import parse_filter  # noqa: PLC0415 -- brings a parser along

    read = parse_filter(where)
    known = _known(model)
    meant = {each: _values(known, each, now) for each in comparisons(read)}
    for resource_type in sorted({known[each.field].field.refers_to or "" for each in meant} - {""}):
        _look_up(db, tenant_id, resource_type, known, meant)
    conditions = {each: _condition(known[each.field], each, meant[each]) for each in meant}
    table = cast("Table", model.__table__)
    living = (table.c.tenant_id == tenant_id, table.c.deleted_at.is_(None))
    return and_(*living, _join(read, conditions))


@cache
def _known(model: type[Record]) -> dict[str, _Asked]:
    """Return what a filter may ask of by name: `vendor` and `vendor_id` are the same."""
    known: dict[str, _Asked] = {}
    for column in cast("Table", model.__table__).columns:
        if column.name in _HIDDEN:
            continue
        field = read_field(model, column)
        if column.name == "state" and issubclass(model, Work):
            states = model.machine.states
            expected = f"one of {', '.join(states)}"
            field = replace(field, parse=partial(word, states), expected=expected)
        known[column.name] = _Asked(column, field)
        known.setdefault(column.name.removesuffix("_id"), known[column.name])
    for name, fact in (model.derived if issubclass(model, Work) else {}).items():
        known[name] = _Asked(fact, replace(_FACT, name=name), is_derived=True)
    return known


def _values(known: Mapping[str, _Asked], asked: Comparison, now: datetime) -> list[Any]:
    """Return the values of a comparison as the column holds them; names stay names."""
    found = known.get(asked.field)
    if found is None:
        fields = ", ".join(sorted({each.field.name for each in known.values()}))
        raise InvalidInput(field="where", got=asked.field, expected=f"a field among {fields}")
    if found.is_derived and asked.operator not in ("=", "!="):
        _refuse(asked, f"= or !=, with {_FACT.expected}")
    if found.is_list and asked.operator not in (CONTAINS, EMPTY):
        _refuse(asked, "contains, with one of its words, or is empty")
    if asked.operator in _ORDERS and not found.is_ordered:
        _refuse(asked, "=, !=, in or is empty; it has no order")
    if asked.operator == CONTAINS:
        if not found.is_list and not isinstance(found.column.type, Text):
            _refuse(asked, "a field of text, or a list, before it")
        if not asked.values[0]:
            _refuse(asked, "some text to look for, or is not empty")
        return list(asked.values)
    return [_value(found, asked, each, now) for each in asked.values]


def _value(known: _Asked, asked: Comparison, given: str, now: datetime) -> Any:
    try:
        value: Any = given
        if known.tells_time:
            moment = now if given.lower() == "now" else from_now(given, now)
            is_day = isinstance(known.column.type, Date)
            value = given if moment is None else moment.date() if is_day else moment
        return known.field.parse(value)
    except InvalidInput as error:
        _refuse(asked, error.facts["expected"], given)
    except (ValueError, TypeError, OverflowError) as error:
        _refuse(asked, _expected(known, given, error), given)


def _expected(known: _Asked, given: str, error: Exception) -> str:
    """Return what was expected in the place of a value that its field can't hold."""
    if not known.tells_time:
        return known.field.expected
    if isinstance(error, OverflowError):
        return "a time in the years 1 to 9999"
    expected = f"{known.field.expected}, now, or a span from now such as -7d"
    naive = _without_zone(given) if isinstance(known.column.type, TIMESTAMP) else None
    return f"{expected}; in UTC this is {naive.isoformat()}Z" if naive else expected


def _without_zone(given: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(given)
    except ValueError:
        return None
    return found if found.tzinfo is None else None


def _look_up(
    db: Connection,
    tenant_id: int,
    resource_type: str,
    known: Mapping[str, _Asked],
    meant: dict[Comparison, list[Any]],
) -> None:
    """Put ids in the place of what names records of a resource type, all looked up together."""
    naming = [
        each
        for each in meant
        if known[each.field].field.refers_to == resource_type and each.operator != CONTAINS
    ]
    names = {value for each in naming for value in meant[each]}
    found, unsure = find_ids(db, tenant_id, resource_type, names)
    if unsure:
        value = min(unsure, key=str)
        raise InvalidInput(field="where", got=f"{resource_type} {value}", expected=either(value))
    missing = names - found.keys()
    if missing:
        raise NotFound(what=resource_type, got=min(missing, key=str))
    for each in naming:
        meant[each] = [found[value] for value in meant[each]]


def _join(read: Filter, conditions: Mapping[Comparison, ColumnElement[bool]]) -> Any:
    if isinstance(read, Comparison):
        return conditions[read]
    if isinstance(read, Negation):
        # What is empty compares to nothing: not (due_at < now) takes rows without a time, too.
        return not_(func.coalesce(_join(read.part, conditions), False))
    join = and_ if read.is_all else or_
    return join(*(_join(each, conditions) for each in read.parts))


def _condition(asked: _Asked, comparison: Comparison, values: list[Any]) -> ColumnElement[bool]:
    if asked.is_derived:
        is_meant = (values[0] == _TRUE) is (comparison.operator == "=")
        return asked.column if is_meant else not_(asked.column)
    if asked.is_list:
        return _compare_list(asked.column, comparison)
    return _compare(asked.column, comparison.operator, values)


def _compare(column: ColumnElement[Any], operator: str, values: list[Any]) -> ColumnElement[bool]:
    if operator == EMPTY:
        return column.is_(None)
    if operator == IN:
        return column == any_(literal(values, ARRAY(column.type)))
    if operator == CONTAINS:
        return column.icontains(values[0], autoescape=True)
    value = literal(values[0], column.type)
    if operator == "!=":
        return column.is_distinct_from(value)
    return (
        column.op(operator, is_comparison=True)(value) if operator in _ORDERS else column == value
    )


def _compare_list(column: ColumnElement[Any], comparison: Comparison) -> ColumnElement[bool]:
    if comparison.operator == EMPTY:
        return func.coalesce(func.cardinality(column), 0) == 0
    # One of its words as it is: a part of a word, or another case, is another word.
    return literal(comparison.values[0], Text()) == any_(column)


def _refuse(asked: Comparison, expected: str, value: str | None = None) -> NoReturn:
    # A field may be called like an option or a value beside the filter; so all of it is told.
    told = shown(", ".join(asked.values) if value is None else value) or '""'
    got = f"{asked.field} {asked.operator} {told}"
    raise InvalidInput(field="where", got=got, expected=expected)
