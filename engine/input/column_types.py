"""What a value has to look like, by the type of its column."""

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
"""Characters of a text that stands in an index: its entries have 2,700 bytes at most."""

_LARGEST = {BigInteger: 2**63 - 1, Integer: 2**31 - 1}

_DIGITS = len(str(_LARGEST[BigInteger]))
"""A number of so many digits may be larger than an id can be."""

Parse = Callable[[Any], Any]
"""Returns a value as its column holds it; raises ValueError, TypeError or OverflowError."""


def parser_of(sort: TypeEngine[Any], longest: int = LONGEST_TEXT) -> tuple[Parse, str]:
    """Return what parses the values of a type, and how one looks, as the end of a sentence."""
    for known, (parse, expected) in _PARSERS.items():
        if isinstance(sort, known):
            return parse, expected
    expected = f"text of at most {longest:,} characters, without NUL"
    return partial(storable_text, longest=longest), expected


def longest_of(column: Column[Any]) -> int:
    """Return how many characters a text in a column may have."""
    is_indexed = any(column.name in each.columns for each in column.table.indexes)
    return LONGEST_KEY if is_indexed else LONGEST_TEXT


def is_empty(value: Any) -> bool:
    """Say whether nothing was given; blank text is nothing."""
    return value is None or (isinstance(value, str) and not value.strip())


def trimmed(parse: Parse) -> Parse:
    """Return what parses text without the blanks around it."""
    return lambda value: parse(value.strip() if isinstance(value, str) else value)


def storable_text(value: Any, *, longest: int = LONGEST_TEXT) -> str:
    """Return text that PostgreSQL can store: neither NUL nor half of a surrogate pair."""
    if not isinstance(value, str) or len(value) > longest or "\x00" in value:
        raise ValueError
    if not value.isascii():
        value.encode()
    return value


def word(words: tuple[str, ...], value: Any) -> str:
    """Return one of some words, in whatever case it came; a dash is taken for an underscore."""
    if not isinstance(value, str):
        raise ValueError
    plain = value.replace("-", "_")
    for word in (value, plain, plain.upper(), plain.lower()):
        if word in words:
            return str(word)
    raise ValueError


def reference(value: Any) -> int | str:
    """Return an id; or text, which is a name or an id: only the records tell."""
    if isinstance(value, str):
        return storable_text(value)
    row_id = _whole(value)
    if row_id < 1:
        raise ValueError
    return row_id


def as_id(value: int | str) -> int | None:
    """Return the id that a reference may mean; None if it is a name only."""
    if isinstance(value, int):
        return value
    # An id is written without zeros before it; 007 is a name.
    if not (value.isascii() and value.isdigit()) or value[0] == "0":
        return None
    return int(value) if len(value) < _DIGITS else None


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError
    number = int(value)
    if abs(number) > _LARGEST[BigInteger]:
        raise ValueError
    return number


def _small(value: Any) -> int:
    number = _whole(value)
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
    """Return a time; it has to tell its zone."""
    found = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    if found.tzinfo is None:
        raise ValueError
    # Beyond the years that Python and the driver know it could be stored and never read.
    found.astimezone(UTC)
    return found


def _day(value: Any) -> date:
    if isinstance(value, datetime):
        raise ValueError
    return value if isinstance(value, date) else date.fromisoformat(value)


def truth(value: Any) -> bool:
    """Return whether something is so: true or false, or text that says so."""
    found = _TRUTHS.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise ValueError
    return found


def _uuid(value: Any) -> UUID:
    return value if isinstance(value, UUID) else UUID(str(value))


def _words(value: Any) -> list[str]:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple):
        raise ValueError
    return [storable_text(each).strip() for each in parts]


_TRUTHS = {"true": True, "yes": True, "false": False, "no": False}

# BigInteger is an Integer to isinstance, so it comes first.
_PARSERS: dict[type, tuple[Parse, str]] = {
    BigInteger: (_whole, f"a whole number below {_LARGEST[BigInteger] + 1:,}"),
    Integer: (_small, "a whole number below 2,147,483,648"),
    Float: (_number, "a number"),
    TIMESTAMP: (timestamp, "a time with its zone such as 2026-11-22T09:30:00Z"),
    Date: (_day, "a day such as 2026-11-22"),
    ARRAY: (_words, "a list of words"),
    Boolean: (truth, "true or false"),
    Uuid: (_uuid, "a UUID"),
}
