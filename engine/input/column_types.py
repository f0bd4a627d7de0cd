"""Column types: parse a value by the type of its column."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from math import isfinite
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Column, Date, Float, Integer, Uuid
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP
from sqlalchemy.types import TypeEngine

LONGEST_TEXT = 10_000
LONGEST_KEY = 500
"""Characters of a text in an indexed column: an index entry has 2,700 bytes at most."""

_LARGEST = {BigInteger: 2**63 - 1, Integer: 2**31 - 1}

_DIGITS = len(str(_LARGEST[BigInteger]))
"""Digits from which on a number may be larger than an id can be."""

Parse = Callable[[Any], Any]
"""Returns a value as its column holds it; raises ValueError, TypeError or OverflowError if the
column can't hold it."""


def parser_of(sort: TypeEngine[Any], longest: int = LONGEST_TEXT) -> tuple[Parse, str]:
    """Return the parser of a column type, and what it expects, as the end of a sentence."""
    for column_type, (parse, expected) in _PARSERS.items():
        if isinstance(sort, column_type):
            return parse, expected
    expected = f"text of at most {longest:,} characters, without NUL"
    return partial(storable_text, longest=longest), expected


def longest_of(column: Column[Any]) -> int:
    """Return the most characters that a text in a column may have."""
    is_indexed = any(column.name in index.columns for index in column.table.indexes)
    return LONGEST_KEY if is_indexed else LONGEST_TEXT


def is_empty(value: Any) -> bool:
    """Return whether a value is None or blank text."""
    return value is None or (isinstance(value, str) and not value.strip())


def trimmed(parse: Parse) -> Parse:
    """Return a parser that first strips blanks around text."""
    return lambda value: parse(value.strip() if isinstance(value, str) else value)


def storable_text(value: Any, *, longest: int = LONGEST_TEXT) -> str:
    """Return text that PostgreSQL can store: without NUL and without lone surrogates."""
    if not isinstance(value, str) or len(value) > longest or "\x00" in value:
        raise ValueError
    if not value.isascii():
        value.encode()
    return value


def word(words: tuple[str, ...], value: Any) -> str:
    """Return the word that a text means, in any case; a dash is taken for an underscore."""
    if not isinstance(value, str):
        raise ValueError
    plain = value.replace("-", "_")
    for word in (value, plain, plain.upper(), plain.lower()):
        if word in words:
            return str(word)
    raise ValueError


def reference(value: Any) -> int | str:
    """Return an id as a number; or text, which is a name or an id: only a look-up can tell."""
    if isinstance(value, str):
        return storable_text(value)
    row_id = _whole_number(value)
    if row_id < 1:
        raise ValueError
    return row_id


def as_id(value: int | str) -> int | None:
    """Return the id that a reference may mean; None if it can only be a name."""
    if isinstance(value, int):
        return value
    # An id has no leading zeros; 007 is a name.
    if not (value.isascii() and value.isdigit()) or value[0] == "0":
        return None
    return int(value) if len(value) < _DIGITS else None


def _whole_number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError
    number = int(value)
    if abs(number) > _LARGEST[BigInteger]:
        raise ValueError
    return number


def _small_whole_number(value: Any) -> int:
    number = _whole_number(value)
    if abs(number) > _LARGEST[Integer]:
        raise ValueError
    return number


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError
    number = float(value)
    if not isfinite(number):
        raise ValueError
    return number


def timestamp(value: Any) -> datetime:
    """Return a time; it must have a zone."""
    time = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    if time.tzinfo is None:
        raise ValueError
    # PostgreSQL could store a time outside the years 1 to 9999, but the driver couldn't read it.
    time.astimezone(UTC)
    return time


def _parse_day(value: Any) -> date:
    if isinstance(value, datetime):
        raise ValueError
    return value if isinstance(value, date) else date.fromisoformat(value)


def truth(value: Any) -> bool:
    """Return a boolean; text such as `yes` or `false` is taken, too."""
    answer = _TRUTHS.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(answer, bool):
        raise ValueError
    return answer


def _uuid(value: Any) -> UUID:
    return value if isinstance(value, UUID) else UUID(str(value))


def _list_of_words(value: Any) -> list[str]:
    words = value.split(",") if isinstance(value, str) else value
    if not isinstance(words, list | tuple):
        raise ValueError
    return [storable_text(word).strip() for word in words]


_TRUTHS = {"true": True, "yes": True, "false": False, "no": False}

# BigInteger is a subclass of Integer, so it comes first.
_PARSERS: dict[type, tuple[Parse, str]] = {
    BigInteger: (_whole_number, f"a whole number below {_LARGEST[BigInteger] + 1:,}"),
    Integer: (_small_whole_number, "a whole number below 2,147,483,648"),
    Float: (_number, "a number"),
    TIMESTAMP: (timestamp, "a time with its zone such as 2026-11-22T09:30:00Z"),
    Date: (_parse_day, "a day such as 2026-11-22"),
    ARRAY: (_list_of_words, "a list of words"),
    Boolean: (truth, "true or false"),
    Uuid: (_uuid, "a UUID"),
}
