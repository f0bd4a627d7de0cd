"""Database errors: translate PostgreSQL's refusals into field, value and what was expected."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

from psycopg import Error, errors
from sqlalchemy import Table
from sqlalchemy.exc import DBAPIError

from domain.errors import InvalidInput, LockBusy
from models.base import Base, records

# Key (tenant_id, reference)=(1, T-4) already exists.
_KEY = re.compile(r"^Key \((?P<names>.*?)\)=\((?P<values>.*)\) ", re.DOTALL)
_SPAN = re.compile(r"\[(\d{4}-\d\d-\d\d),(\d{4}-\d\d-\d\d)\)")
_TENANT = "tenant_id"
_INTERNAL_COLUMNS = ("id", _TENANT)


def refusal_of_database_error(error: DBAPIError) -> InvalidInput | LockBusy | None:
    """Return the error for a refused statement; None if neither its values nor a lock caused it."""
    cause = error.orig
    if isinstance(cause, errors.LockNotAvailable | errors.DeadlockDetected):
        return LockBusy(message="Another session changes this row; try again in a moment.")
    if isinstance(cause, errors.UniqueViolation):
        return _not_unique(cause)
    if isinstance(cause, errors.ExclusionViolation):
        return _overlapping(cause)
    if isinstance(cause, errors.IntegrityError | errors.DataError):
        return _not_allowed(cause)
    return None


@contextmanager
def refuse_oversized(field: str) -> Iterator[None]:
    """Translate the error of a value that is larger than PostgreSQL allows.

    Raises:
        InvalidInput: The rows of a chunk are too large together.
    """
    try:
        yield
    except DBAPIError as error:
        if not isinstance(error.orig, errors.ProgramLimitExceeded):
            raise
        expected = "less than 256 MB a chunk: shorter lines, or smaller chunks"
        raise InvalidInput(field=field, got="more than a chunk holds", expected=expected) from error


def _not_unique(cause: Error) -> InvalidInput:
    return InvalidInput(
        field=_fields(cause),
        got=_value_of_key(cause),
        expected=f"one that no other {_resource_type(cause)} has",
    )


def _overlapping(cause: Error) -> InvalidInput:
    spans = [_days(*match) for match in _SPAN.findall(cause.diag.message_detail or "")]
    got, others = [*spans, None, None][:2]
    overlap = f": {others} overlaps" if others else ""
    expected = f"what overlaps with no other {_resource_type(cause)}{overlap}"
    return InvalidInput(field=_fields(cause), got=got, expected=expected)


def _not_allowed(cause: Error) -> InvalidInput:
    table, name = _table(cause), cause.diag.constraint_name
    expected = "one that its column takes"
    if isinstance(cause, errors.CheckViolation) and table is not None and name:
        rule = name.removeprefix(f"ck_{table.name}_").replace("_", " ")
        expected = f"what holds of every {_resource_type(cause)}: {rule}"
    return InvalidInput(
        field=_fields(cause), got="a value that the database refuses", expected=expected
    )


def _fields(cause: Error) -> str:
    """Return the columns that a constraint is about, without the tenant's and the row's id."""
    diag = cause.diag
    if diag.column_name:
        return diag.column_name
    table = _table(cause)
    terms = _terms_of_rule(table, diag.constraint_name) if table is not None else ()
    columns = table.columns.keys() if table is not None else []
    about = [name for name in columns if name in terms and name not in _INTERNAL_COLUMNS]
    return ", ".join(about) or diag.constraint_name or "a value"


def _terms_of_rule(table: Table, name: str | None) -> set[str]:
    rules: list[Any] = [*table.constraints, *table.indexes]
    rule = next((rule for rule in rules if rule.name == name), None)
    # A check has an SQL text; every other constraint has columns, or expressions instead.
    terms = [getattr(rule, "sqltext", ""), *getattr(rule, "columns", ())]
    return set(re.findall(r"\w+", " ".join(str(getattr(term, "name", term)) for term in terms)))


def _value_of_key(cause: Error) -> str:
    match = _KEY.match(cause.diag.message_detail or "")
    if match is None:
        return "what another record has already"
    has_tenant = match["names"].startswith(f"{_TENANT}, ")
    return match["values"].partition(", ")[2] if has_tenant else match["values"]


def _days(first: str, after: str) -> str:
    # PostgreSQL's ranges end with the day after the last one.
    return f"{first} to {date.fromisoformat(after) - timedelta(days=1)}"


def _table(cause: Error) -> Table | None:
    return Base.metadata.tables.get(cause.diag.table_name or "")


def _resource_type(cause: Error) -> str:
    name = cause.diag.table_name or "record"
    by_table = {model.__tablename__: resource_type for resource_type, model in records().items()}
    return by_table.get(name, name).replace("_", " ")


def is_retryable(error: DBAPIError) -> bool:
    """Say whether a transaction may succeed if it is begun anew: the database chose a victim."""
    return isinstance(error.orig, errors.SerializationFailure | errors.DeadlockDetected)


def plain_message(error: Exception) -> str:
    """Return an error's message without the values of rows, which PostgreSQL's details quote."""
    diagnostics = getattr(getattr(error, "orig", None), "diag", None)
    if diagnostics is not None and diagnostics.message_primary:
        return f"{diagnostics.sqlstate}: {diagnostics.message_primary}"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
