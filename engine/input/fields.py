"""The values that interfaces may write into records: what each has to look like, and its meaning.

Everything comes from the mapped table: types, what must be there, words, and references to
other records, which may be given by name.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from difflib import get_close_matches
from functools import cache
from typing import Any, NoReturn, cast

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Table,
    Text,
    any_,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY

from domain.errors import InvalidInput, NotFound
from engine.input.column_types import (
    as_id,
    is_empty,
    longest_of,
    parser_of,
    reference,
    trimmed,
    word,
)
from models.base import Record, Work, kinds, records

REFERENCE = "reference"

_FIXED = frozenset(
    {"id", "tenant_id", "version", "deleted_at"}
    | {f"{done}_{what}" for done in ("created", "updated") for what in ("at", "by")}
)


@dataclass(frozen=True, slots=True)
class Field:
    """A column that interfaces may write.

    Attributes:
        name: The column.
        required: It has to be given for a new record, and never becomes empty.
        nullable: It may be empty.
        is_list: It holds a list, and an empty one when nothing is given.
        expected: What a value has to look like, as the end of a sentence.
        refers_to: The resource type of the record that it names, if it does.
        parse: Returns the value as the column holds it; raises ValueError for any other.
    """

    name: str
    required: bool
    nullable: bool
    expected: str
    refers_to: str | None
    parse: Callable[[Any], Any]
    is_list: bool = False


@cache
def fields_of(model: type[Record]) -> dict[str, Field]:
    """Return what interfaces may write, by column."""
    table = cast("Table", model.__table__)
    ours = _FIXED | model.set_by_platform
    return {each.name: read_field(model, each) for each in table.columns if each.name not in ours}


def column_of(model: type[Record], name: str) -> str | None:
    """Return the column that an interface's *name* means: `vendor` and `vendor_id` are the same."""
    fields = fields_of(model)
    return next((each for each in (name, f"{name}_id") if each in fields), None)


def parse_values(model: type[Record], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return *given* by column, each value as its column holds it; names stay names.

    Raises:
        InvalidInput: A field is not known or not for interfaces to write, or a value is not what
            was expected.
    """
    values = {}
    for name, value in given.items():
        column = column_of(model, name)
        if column is None:
            raise InvalidInput(field=name, got=shown(value), expected=_known_fields(model, name))
        values[column] = _parsed(fields_of(model)[column], value)
    return values


def _known_fields(model: type[Record], name: str) -> str:
    fields = list(fields_of(model))
    known = ", ".join(fields)
    columns = cast("Table", model.__table__).c
    if name in columns or f"{name}_id" in columns:
        return f"a field that may change: {known}"
    close = get_close_matches(name, [*fields, *(each.removesuffix("_id") for each in fields)])
    hint = f"did you mean {' or '.join(close)}? Its fields are" if close else "its fields are"
    resource_type = model.resource_type.replace("_", " ")
    return f"a field that there is: {resource_type} has none called {shown(name)}; {hint} {known}"


def check_new(model: type[Record], values: Mapping[str, Any]) -> None:
    """Check that everything that a new record needs is there.

    Raises:
        InvalidInput: Something is missing.
    """
    for field in fields_of(model).values():
        if field.required and values.get(field.name) is None:
            raise InvalidInput(field=field.name, got=None, expected=field.expected)


def check_together(model: type[Record], values: Mapping[str, Any]) -> None:
    """Check what must hold of several values of one record.

    Raises:
        InvalidInput: A check doesn't hold.
    """
    for check in model.checks:
        if not check.holds(values):
            raise InvalidInput(
                field=check.field, got=shown(values.get(check.field)), expected=check.expected
            )


def resolve_references(
    db: Connection, tenant_id: int, model: type[Record], values: Mapping[str, Any]
) -> dict[str, Any]:
    """Return *values* with names of other records replaced by their ids.

    Raises:
        NotFound: The tenant has no such record.
        InvalidInput: It could be either of two.
    """
    resolved = dict(values)
    for name, value in values.items():
        resource_type = fields_of(model)[name].refers_to
        if resource_type is not None and value is not None:
            found, unsure = find_ids(db, tenant_id, resource_type, [value])
            if value in unsure:
                raise InvalidInput(field=name, got=shown(value), expected=either(value))
            if value not in found:
                raise NotFound(what=resource_type, got=value)
            resolved[name] = found[value]
    return resolved


def either(value: Any) -> str:
    """Return what was expected in the place of what could be two, as the end of a sentence."""
    return (
        f"either the one with id {value} or the one called {value}; "
        "tell the first by its name, the second by its id"
    )


def find_ids(
    db: Connection, tenant_id: int, resource_type: str, given: Iterable[int | str]
) -> tuple[dict[int | str, int], set[int | str]]:
    """Return the ids of a tenant's records by what they were called.

    A number is an id. Text is a name, or an id if it is written as one.

    Returns:
        The ids by what was given; and what is the id of one and the name of another.
    """
    model = records()[resource_type]
    asked = {each: row_id for each in given if (row_id := as_id(each)) is not None}
    found: dict[int | str, int] = {}
    if asked:
        ids = _any_of(asked.values(), BigInteger())
        known = set(db.scalars(select(model.id).where(*_live(model, tenant_id), model.id == ids)))
        found = {each: row_id for each, row_id in asked.items() if row_id in known}
    names = {each for each in given if isinstance(each, str)}
    named = find_named(db, tenant_id, resource_type, names) if names else {}
    unsure: set[int | str] = {
        name for name, row_id in named.items() if found.get(name, row_id) != row_id
    }
    return found | {name: named[name] for name in named if name not in found}, unsure


def find_named(
    db: Connection, tenant_id: int, resource_type: str, names: Collection[str]
) -> dict[str, int]:
    """Return the ids of a tenant's records by their names."""
    model = records()[resource_type]
    column = getattr(model, _name_column(model), None)
    if column is None:
        return {}
    called = column == _any_of(names, Text())
    rows = db.execute(select(column, model.id).where(*_live(model, tenant_id), called))
    return dict(rows.all())


def _live(model: type[Record], tenant_id: int) -> tuple[ColumnElement[bool], ...]:
    return (model.tenant_id == tenant_id, model.deleted_at.is_(None))


def _any_of(given: Iterable[Any], sort: Any) -> Any:
    # One array: with a placeholder for each value the driver reads longer than the server.
    return any_(literal(list(given), ARRAY(sort)))


def plain(value: Any) -> Any:
    """Return a value as JSON holds it."""
    return value.isoformat() if isinstance(value, date | datetime) else value


def shown(value: Any) -> Any:
    """Return a value as an error shows it: never more than a line of it."""
    if isinstance(value, date | datetime):
        return value.isoformat()
    longest = 100
    if isinstance(value, str) and len(value) > longest:
        return f"{len(value)} characters, beginning with {value[:longest]!r}"
    return value


def _name_column(model: type[Record]) -> str:
    return REFERENCE if issubclass(model, Work) else "name"


def _parsed(field: Field, value: Any) -> Any:
    if is_empty(value):
        if field.nullable:
            return None
        if field.is_list:
            return []
        _refuse(field, value)
    try:
        return field.parse(value)
    except (ValueError, TypeError, OverflowError):
        _refuse(field, value)


def _refuse(field: Field, value: Any) -> NoReturn:
    raise InvalidInput(field=field.name, got=shown(value), expected=field.expected)


def read_field(model: type[Record], column: Column[Any]) -> Field:
    """Return what the values of a column have to look like."""
    refers_to = _noun_of(column)
    parse, expected = _parser(model, column, refers_to)
    return Field(
        column.name,
        required=not column.nullable and column.server_default is None,
        nullable=bool(column.nullable),
        expected=expected,
        refers_to=refers_to,
        parse=parse,
        is_list=isinstance(column.type, ARRAY) and column.server_default is not None,
    )


def _noun_of(column: Column[Any]) -> str | None:
    by_table = {each.__tablename__: resource_type for resource_type, each in records().items()}
    targets = {key.target_fullname.partition(".")[0] for key in column.foreign_keys}
    return next((by_table[each] for each in sorted(targets) if each in by_table), None)


def _parser(
    model: type[Record], column: Column[Any], refers_to: str | None
) -> tuple[Callable[[Any], Any], str]:
    if column.name in model.choices:
        words = tuple(model.choices[column.name])
        return lambda value: word(words, value), f"one of {', '.join(words)}"
    if column.name in model.parsers:
        return model.parsers[column.name]
    if refers_to is not None:
        # Work is named by its reference, which has no blanks around it either.
        parse = trimmed(reference) if refers_to in kinds() else reference
        return parse, f"the id or the name of a {refers_to.replace('_', ' ')}"
    parse, expected = parser_of(column.type, longest_of(column))
    is_reference = issubclass(model, Work) and column.name == REFERENCE
    return trimmed(parse) if is_reference else parse, expected
