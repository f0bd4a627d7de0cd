"""Fields: parse and check the values that interfaces may write into records.

Everything comes from the mapped table: types, required fields, choices, and references to other
records, which may be given by name.
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

_NOT_WRITABLE = frozenset(
    {"id", "tenant_id", "version", "deleted_at"}
    | {f"{done}_{what}" for done in ("created", "updated") for what in ("at", "by")}
)


@dataclass(frozen=True, slots=True)
class Field:
    """A column that interfaces may write.

    Attributes:
        name: The column.
        required: A new record needs a value, and it never becomes empty.
        nullable: It may be empty.
        is_list: It holds a list, which is empty when no value is given.
        expected: What a value has to look like, as the end of a sentence.
        refers_to: The resource type of the record that it refers to, if it does.
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
    """Return the fields of a model that interfaces may write, by column."""
    table = cast("Table", model.__table__)
    ours = _NOT_WRITABLE | model.set_by_platform
    return {
        column.name: read_field(model, column)
        for column in table.columns
        if column.name not in ours
    }


def column_of(model: type[Record], name: str) -> str | None:
    """Return the column that an interface's *name* means: `vendor` and `vendor_id` are the same."""
    fields = fields_of(model)
    return next((column for column in (name, f"{name}_id") if column in fields), None)


def parse_values(model: type[Record], raw_values: Mapping[str, Any]) -> dict[str, Any]:
    """Return *raw_values* by column, each value as its column holds it; names stay names.

    Raises:
        InvalidInput: A field is not known or not for interfaces to write, or a value is not what
            was expected.
    """
    values = {}
    for name, value in raw_values.items():
        column = column_of(model, name)
        if column is None:
            raise InvalidInput(field=name, got=shown(value), expected=_known_fields(model, name))
        values[column] = _parse(fields_of(model)[column], value)
    return values


def _known_fields(model: type[Record], name: str) -> str:
    fields = list(fields_of(model))
    listed = ", ".join(fields)
    columns = cast("Table", model.__table__).c
    if name in columns or f"{name}_id" in columns:
        return f"a field that may change: {listed}"
    names = {*fields, *(field.removesuffix("_id") for field in fields)}
    close = get_close_matches(name, sorted(names))
    lead = f"did you mean {' or '.join(close)}? Its fields are" if close else "its fields are"
    resource_type = model.resource_type.replace("_", " ")
    return f"a field that there is: {resource_type} has none called {shown(name)}; {lead} {listed}"


def check_new(model: type[Record], values: Mapping[str, Any]) -> None:
    """Check that a new record has a value for every required field.

    Raises:
        InvalidInput: A value is missing.
    """
    for field in fields_of(model).values():
        if field.required and values.get(field.name) is None:
            raise InvalidInput(field=field.name, got=None, expected=field.expected)


def check_together(model: type[Record], values: Mapping[str, Any]) -> None:
    """Check the rules of a model that combine several values of one record.

    Raises:
        InvalidInput: A rule doesn't hold.
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
        InvalidInput: A value is the id of one record and the name of another.
    """
    resolved = dict(values)
    for name, value in values.items():
        resource_type = fields_of(model)[name].refers_to
        if resource_type is not None and value is not None:
            ids, unsure = find_ids(db, tenant_id, resource_type, [value])
            if value in unsure:
                raise InvalidInput(field=name, got=shown(value), expected=either(value))
            if value not in ids:
                raise NotFound(what=resource_type, got=value)
            resolved[name] = ids[value]
    return resolved


def either(value: Any) -> str:
    """Return what was expected instead of an ambiguous reference, as the end of a sentence."""
    return (
        f"either the one with id {value} or the one called {value}; "
        "tell the first by its name, the second by its id"
    )


def find_ids(
    db: Connection, tenant_id: int, resource_type: str, references: Iterable[int | str]
) -> tuple[dict[int | str, int], set[int | str]]:
    """Return the ids of a tenant's records by references to them.

    A number is an id. Text is a name, or an id if it is written as one.

    Returns:
        The ids by reference; and the references that are the id of one record and the name of
        another. References that are in neither don't exist.
    """
    model = records()[resource_type]
    by_id = {
        reference: row_id for reference in references if (row_id := as_id(reference)) is not None
    }
    resolved: dict[int | str, int] = {}
    if by_id:
        ids = _any_of(by_id.values(), BigInteger())
        existing = set(
            db.scalars(select(model.id).where(*_is_live(model, tenant_id), model.id == ids))
        )
        resolved = {reference: row_id for reference, row_id in by_id.items() if row_id in existing}
    names = {reference for reference in references if isinstance(reference, str)}
    by_name = find_named(db, tenant_id, resource_type, names) if names else {}
    unsure: set[int | str] = {
        name for name, row_id in by_name.items() if resolved.get(name, row_id) != row_id
    }
    return resolved | {name: by_name[name] for name in by_name if name not in resolved}, unsure


def find_named(
    db: Connection, tenant_id: int, resource_type: str, names: Collection[str]
) -> dict[str, int]:
    """Return the ids of a tenant's records by their names."""
    model = records()[resource_type]
    column = getattr(model, _name_column(model), None)
    if column is None:
        return {}
    called = column == _any_of(names, Text())
    rows = db.execute(select(column, model.id).where(*_is_live(model, tenant_id), called))
    return dict(rows.all())


def _is_live(model: type[Record], tenant_id: int) -> tuple[ColumnElement[bool], ...]:
    return (model.tenant_id == tenant_id, model.deleted_at.is_(None))


def _any_of(values: Iterable[Any], sort: Any) -> Any:
    # One array: with a placeholder for each value the driver takes longer than the server.
    return any_(literal(list(values), ARRAY(sort)))


def plain(value: Any) -> Any:
    """Return a value as JSON holds it."""
    return value.isoformat() if isinstance(value, date | datetime) else value


def shown(value: Any) -> Any:
    """Return a value as an error shows it: of a long text only the beginning."""
    if isinstance(value, date | datetime):
        return value.isoformat()
    longest = 100
    if isinstance(value, str) and len(value) > longest:
        return f"{len(value)} characters, beginning with {value[:longest]!r}"
    return value


def _name_column(model: type[Record]) -> str:
    return REFERENCE if issubclass(model, Work) else "name"


def _parse(field: Field, value: Any) -> Any:
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
    """Return the field of a column: what its values have to look like."""
    refers_to = _referenced_resource_type(column)
    parse, expected = _parser_of_column(model, column, refers_to)
    return Field(
        column.name,
        required=not column.nullable and column.server_default is None,
        nullable=bool(column.nullable),
        expected=expected,
        refers_to=refers_to,
        parse=parse,
        is_list=isinstance(column.type, ARRAY) and column.server_default is not None,
    )


def _referenced_resource_type(column: Column[Any]) -> str | None:
    by_table = {model.__tablename__: resource_type for resource_type, model in records().items()}
    targets = {key.target_fullname.partition(".")[0] for key in column.foreign_keys}
    return next((by_table[table] for table in sorted(targets) if table in by_table), None)


def _parser_of_column(
    model: type[Record], column: Column[Any], refers_to: str | None
) -> tuple[Callable[[Any], Any], str]:
    if column.name in model.choices:
        words = tuple(model.choices[column.name])
        return lambda value: word(words, value), f"one of {', '.join(words)}"
    if column.name in model.parsers:
        return model.parsers[column.name]
    if refers_to is not None:
        # Work has a reference instead of a name, which is stored without blanks around it.
        parse = trimmed(reference) if refers_to in kinds() else reference
        return parse, f"the id or the name of a {refers_to.replace('_', ' ')}"
    parse, expected = parser_of(column.type, longest_of(column))
    is_reference = issubclass(model, Work) and column.name == REFERENCE
    return trimmed(parse) if is_reference else parse, expected
