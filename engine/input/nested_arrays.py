"""Lists among the values of many rows, for PostgreSQL knows no array of arrays.

Each of them travels as the text that PostgreSQL writes an array in, and is one again there.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Text, cast
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import TypeEngine


def as_sent(column: Column[Any], values: Sequence[Any]) -> list[Any]:
    """Return the values of a column for many rows as one array can hold them."""
    if not isinstance(column.type, ARRAY):
        return list(values)
    return [None if each is None else _literal(each) for each in values]


def travels_as(column: Column[Any]) -> TypeEngine[Any]:
    """Return the type that the values of a column have on their way."""
    return Text() if isinstance(column.type, ARRAY) else column.type


def as_stored(column: Column[Any], sent: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return what was sent as the column holds it."""
    return cast(sent, column.type) if isinstance(column.type, ARRAY) else sent


def _literal(words: Sequence[str]) -> str:
    quoted = (each.replace("\\", "\\\\").replace('"', '\\"') for each in words)
    return "{" + ",".join(f'"{each}"' for each in quoted) + "}"
