"""Filters: turn the text of a filter into an SQL condition over a tenant's rows of one kind.

Values are bound parameters, and deleted rows are left out.
"""

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

from domain.business_time.duration_text import from_now
from domain.errors import InvalidInput, NotFound
from domain.selection import CONTAINS, EMPTY, IN, Comparison, Filter, Negation, comparisons
from engine.input.checks import Expected, can_be_stored, check
from engine.input.column_types import word
from engine.input.fields import Field, either, find_ids, read_field, shown
from models.base import Record, Work

_HIDDEN = frozenset({"tenant_id", "deleted_at"})
_ORDERED = (Integer, Float, TIMESTAMP, Date)
_FILTER = Expected(
    lambda value: isinstance(value, str) and can_be_stored(value),
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
class _Subject:
    """A column or a derived fact that filters can compare, and what its values look like."""

    column: ColumnElement[Any]
    field: Field
    is_derived: bool = False

    @property
    def is_ordered(self) -> bool:
        """Return whether its values have an order; ids of other records have none."""
        return isinstance(self.column.type, _ORDERED) and self.field.refers_to is None

    @property
    def is_list(self) -> bool:
        """Return whether its values are lists of words."""
        return isinstance(self.column.type, ARRAY)

    @property
    def is_time(self) -> bool:
        """Return whether its values are times or days."""
        return isinstance(self.column.type, TIMESTAMP | Date)


def select_where(
    db: Connection, tenant_id: int, model: type[Record], where: str, now: datetime
) -> ColumnElement[bool]:
    """Return the SQL condition of a filter, over a tenant's rows that aren't deleted.

    Spans and `now` are relative to *now*; names of other records are looked up here.

    Raises:
        InvalidInput: The filter can't be parsed, a field isn't known, or a value doesn't fit its
            field.
        NotFound: The tenant has no record of a name or id that the filter gives.
    """
    check("where", where, _FILTER)
    from domain.filter_parser import parse_filter  # noqa: PLC0415 -- imports a parser only when a filter is used

    parsed = parse_filter(where)
    subjects = _subjects(model)
    values = {comparison: _values(subjects, comparison, now) for comparison in comparisons(parsed)}
    for resource_type in sorted(
        {subjects[comparison.field].field.refers_to or "" for comparison in values} - {""}
    ):
        _look_up(db, tenant_id, resource_type, subjects, values)
    conditions = {
        comparison: _condition(subjects[comparison.field], comparison, values[comparison])
        for comparison in values
    }
    table = cast("Table", model.__table__)
    living = (table.c.tenant_id == tenant_id, table.c.deleted_at.is_(None))
    return and_(*living, _join(parsed, conditions))


@cache
def _subjects(model: type[Record]) -> dict[str, _Subject]:
    """Return what filters can compare, by name: `vendor` and `vendor_id` are the same."""
    subjects: dict[str, _Subject] = {}
    for column in cast("Table", model.__table__).columns:
        if column.name in _HIDDEN:
            continue
        field = read_field(model, column)
        if column.name == "state" and issubclass(model, Work):
            states = model.machine.states
            expected = f"one of {', '.join(states)}"
            field = replace(field, parse=partial(word, states), expected=expected)
        subjects[column.name] = _Subject(column, field)
        subjects.setdefault(column.name.removesuffix("_id"), subjects[column.name])
    for name, fact in (model.derived if issubclass(model, Work) else {}).items():
        subjects[name] = _Subject(fact, replace(_FACT, name=name), is_derived=True)
    return subjects


def _values(subjects: Mapping[str, _Subject], comparison: Comparison, now: datetime) -> list[Any]:
    """Return the values of a comparison as the column holds them; names stay names."""
    subject = subjects.get(comparison.field)
    if subject is None:
        fields = ", ".join(sorted({subject.field.name for subject in subjects.values()}))
        raise InvalidInput(field="where", got=comparison.field, expected=f"a field among {fields}")
    if subject.is_derived and comparison.operator not in ("=", "!="):
        _refuse(comparison, f"= or !=, with {_FACT.expected}")
    if subject.is_list and comparison.operator not in (CONTAINS, EMPTY):
        _refuse(comparison, "contains, with one of its words, or is empty")
    if comparison.operator in _ORDERS and not subject.is_ordered:
        _refuse(comparison, "=, !=, in or is empty; it has no order")
    if comparison.operator == CONTAINS:
        if not subject.is_list and not isinstance(subject.column.type, Text):
            _refuse(comparison, "a field of text, or a list, before it")
        if not comparison.values[0]:
            _refuse(comparison, "some text to look for, or is not empty")
        return list(comparison.values)
    return [_value(subject, comparison, text, now) for text in comparison.values]


def _value(subject: _Subject, comparison: Comparison, text: str, now: datetime) -> Any:
    try:
        value: Any = text
        if subject.is_time:
            moment = now if text.lower() == "now" else from_now(text, now)
            is_day = isinstance(subject.column.type, Date)
            value = text if moment is None else moment.date() if is_day else moment
        return subject.field.parse(value)
    except InvalidInput as error:
        _refuse(comparison, error.facts["expected"], text)
    except (ValueError, TypeError, OverflowError) as error:
        _refuse(comparison, _expected(subject, text, error), text)


def _expected(subject: _Subject, text: str, error: Exception) -> str:
    """Return what was expected instead of a value that its field can't hold."""
    if not subject.is_time:
        return subject.field.expected
    if isinstance(error, OverflowError):
        return "a time in the years 1 to 9999"
    expected = f"{subject.field.expected}, now, or a span from now such as -7d"
    naive = _without_zone(text) if isinstance(subject.column.type, TIMESTAMP) else None
    return f"{expected}; in UTC this is {naive.isoformat()}Z" if naive else expected


def _without_zone(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo is None else None


def _look_up(
    db: Connection,
    tenant_id: int,
    resource_type: str,
    subjects: Mapping[str, _Subject],
    values: dict[Comparison, list[Any]],
) -> None:
    """Replace references to records of a resource type by ids, with one look-up for all."""
    referring = [
        comparison
        for comparison in values
        if subjects[comparison.field].field.refers_to == resource_type
        and comparison.operator != CONTAINS
    ]
    names = {value for comparison in referring for value in values[comparison]}
    ids, unsure = find_ids(db, tenant_id, resource_type, names)
    if unsure:
        value = min(unsure, key=str)
        raise InvalidInput(field="where", got=f"{resource_type} {value}", expected=either(value))
    missing = names - ids.keys()
    if missing:
        raise NotFound(what=resource_type, got=min(missing, key=str))
    for comparison in referring:
        values[comparison] = [ids[value] for value in values[comparison]]


def _join(parsed: Filter, conditions: Mapping[Comparison, ColumnElement[bool]]) -> Any:
    if isinstance(parsed, Comparison):
        return conditions[parsed]
    if isinstance(parsed, Negation):
        # A comparison with an empty column is NULL: not (due_at < now) must match such rows.
        return not_(func.coalesce(_join(parsed.part, conditions), False))
    join = and_ if parsed.is_all else or_
    return join(*(_join(part, conditions) for part in parsed.parts))


def _condition(subject: _Subject, comparison: Comparison, values: list[Any]) -> ColumnElement[bool]:
    if subject.is_derived:
        is_meant = (values[0] == _TRUE) is (comparison.operator == "=")
        return subject.column if is_meant else not_(subject.column)
    if subject.is_list:
        return _compare_list(subject.column, comparison)
    return _compare(subject.column, comparison.operator, values)


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
    # A whole word in the same case: a part of a word, or another case, is another word.
    return literal(comparison.values[0], Text()) == any_(column)


def _refuse(comparison: Comparison, expected: str, value: str | None = None) -> NoReturn:
    # A field can have the name of an option: so the error quotes the whole comparison.
    quoted = shown(", ".join(comparison.values) if value is None else value) or '""'
    got = f"{comparison.field} {comparison.operator} {quoted}"
    raise InvalidInput(field="where", got=got, expected=expected)
