"""Checks: check the values of a request, and refuse with what was expected."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, NoReturn
from uuid import UUID

from domain.errors import InvalidInput
from domain.selection import MOST_LISTED

_LONGEST_QUOTE = 100


@dataclass(frozen=True, slots=True)
class Expected:
    """A check of a value, and what it expects, as the end of a sentence."""

    holds: Callable[[Any], bool]
    description: str


def text(most: int) -> Expected:
    """Expect text of at most *most* characters that PostgreSQL can store."""
    return Expected(
        lambda value: isinstance(value, str) and len(value) <= most and can_be_stored(value),
        f"text of at most {most:,} characters, without NUL",
    )


def one_of(words: Sequence[str]) -> Expected:
    """Expect one of these words."""
    return Expected(lambda value: value in words, f"one of {', '.join(words)}")


def whole_number(least: int, most: int) -> Expected:
    """Expect a whole number within these bounds."""
    return Expected(
        lambda value: _is_whole_number(value) and least <= value <= most,
        f"a whole number from {least} to {most:,}",
    )


def seconds(least: float, most: float) -> Expected:
    """Expect a finite number of seconds within these bounds."""
    return number(least, most, "seconds")


def number(least: float, most: float, unit: str) -> Expected:
    """Expect a finite number within these bounds."""
    return Expected(
        lambda value: (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            # In this order: a whole number may be too large for a float.
            and least <= value <= most
            and isfinite(value)
        ),
        f"{least:g} to {most:,.0f} {unit}",
    )


ROWS = whole_number(1, MOST_LISTED)
"""How many rows a list may have."""

ROW_ID_OR_ZERO = whole_number(0, 2**63 - 1)
"""Behind which id a list goes on; 0 is its beginning."""


def check(name: str, value: Any, expected: Expected) -> None:
    """Check the value of a field.

    Raises:
        InvalidInput: It is not as expected.
    """
    if not expected.holds(value):
        refuse(name, value, expected.description)


def refuse(name: str, value: Any, expected: str) -> NoReturn:
    """Refuse the value of a field; the error quotes only the beginning of a long text.

    Raises:
        InvalidInput: Always.
    """
    if isinstance(value, str) and len(value) > _LONGEST_QUOTE:
        value = f"{len(value)} characters, beginning with {value[:_LONGEST_QUOTE]!r}"
    raise InvalidInput(field=name, got=value, expected=expected)


def _is_whole_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_id(value: Any) -> bool:
    """Return whether a value can be the id of a row, or a version."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63


def known_operation_id(name: str, value: str | UUID) -> UUID:
    """Return the id of an operation.

    Raises:
        InvalidInput: It is no UUID; *name* is the field's.
    """
    try:
        return UUID(str(value))
    except ValueError:
        refuse(name, value, "the id of an operation, a UUID")


def can_be_stored(text: str) -> bool:
    """Return whether PostgreSQL can store a text: it has no NUL and no lone surrogate."""
    try:
        return b"\x00" not in text.encode()
    except UnicodeEncodeError:
        return False
