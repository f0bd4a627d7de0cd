"""Nested arrays: send list values of many rows as one array of text.

PostgreSQL has no arrays of arrays of different lengths, so each list is sent as an array literal
and cast back to an array by the statement.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Text, cast
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import TypeEngine


def as_sent(column: Column[Any], values: Sequence[Any]) -> list[Any]:
    """Return the values of a column for many rows, with lists as array literals."""
    if not isinstance(column.type, ARRAY):
        return list(values)
    return [None if words is None else _array_literal(words) for words in values]


def type_sent(column: Column[Any]) -> TypeEngine[Any]:
    """Return the type in which the values of a column are sent."""
    return Text() if isinstance(column.type, ARRAY) else column.type


def as_stored(column: Column[Any], sent: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the SQL expression that casts sent values back to the type of their column."""
    return cast(sent, column.type) if isinstance(column.type, ARRAY) else sent


def _array_literal(words: Sequence[str]) -> str:
    quoted = (word.replace("\\", "\\\\").replace('"', '\\"') for word in words)
    return "{" + ",".join(f'"{word}"' for word in quoted) + "}"
