"""What a value of a request has to look like, told as the end of a sentence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, NoReturn

from domain.errors import InvalidInput

_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Expected:
    """Whether a value is as it should be, and how that is told."""

    holds: Callable[[Any], bool]
    told: str


def text(most: int) -> Expected:
    """Expect text of at most so many characters that PostgreSQL can store."""
    return Expected(
        lambda given: isinstance(given, str) and len(given) <= most and can_be_stored(given),
        f"text of at most {most:,} characters, without NUL",
    )


def one_of(known: Sequence[str]) -> Expected:
    """Expect one of these words."""
    return Expected(lambda given: given in known, f"one of {', '.join(known)}")


def whole(least: int, most: int) -> Expected:
    """Expect a whole number within these bounds."""
    return Expected(
        lambda given: _is_whole(given) and least <= given <= most,
        f"a whole number from {least} to {most:,}",
    )


def seconds(least: float, most: float) -> Expected:
    """Expect a finite number of seconds within these bounds."""
    return number(least, most, "seconds")


def number(least: float, most: float, unit: str) -> Expected:
    """Expect a finite number within these bounds."""
    return Expected(
        lambda given: (
            isinstance(given, int | float)
            and not isinstance(given, bool)
            and isfinite(given)
            and least <= given <= most
        ),
        f"{least:g} to {most:,.0f} {unit}",
    )


ROWS = whole(1, 1_000_000)
"""How many rows a list may have."""

ROW_ID_OR_ZERO = whole(0, 2**63 - 1)
"""Behind which id a list goes on; 0 is its beginning."""


def check(name: str, given: Any, expected: Expected) -> None:
    """Check the value of a field.

    Raises:
        InvalidInput: It is not as expected.
    """
    if not expected.holds(given):
        refuse(name, given, expected.told)


def refuse(name: str, given: Any, expected: str) -> NoReturn:
    """Refuse the value of a field; of a long text only its beginning is told.

    Raises:
        InvalidInput: Always.
    """
    if isinstance(given, str) and len(given) > _SHOWN:
        given = f"{len(given)} characters, beginning with {given[:_SHOWN]!r}"
    raise InvalidInput(field=name, got=given, expected=expected)


def _is_whole(given: object) -> bool:
    return isinstance(given, int) and not isinstance(given, bool)


def is_id(given: Any) -> bool:
    """Say whether it can be the id of a row, or a version."""
    return isinstance(given, int) and not isinstance(given, bool) and 0 < given < 2**63


def can_be_stored(text: str) -> bool:
    """Say whether PostgreSQL takes a text: without NUL and without half a surrogate pair."""
    try:
        return b"\x00" not in text.encode()
    except UnicodeEncodeError:
        return False
