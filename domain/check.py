"""Checks: rules over the values of a record that hold in every state."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Check:
    """A rule over several columns; the database has a constraint for the same rule.

    Attributes:
        field: The column that is named when it doesn't hold.
        expected: What was expected of it, as the end of a sentence.
        holds: Whether it holds for these values; a column that is missing counts as empty.
    """

    field: str
    expected: str
    holds: Callable[[Mapping[str, Any]], bool]


def between(field: str, least: float, most: float, unit: str) -> Check:
    """Return a check that a number, if there is one, is between *least* and *most* inclusive."""
    return Check(
        field,
        f"{least:,.10g} to {most:,.10g} {unit}",
        lambda values: values.get(field) is None or least <= values[field] <= most,
    )


def ordered(first: str, second: str) -> Check:
    """Return a check that *second*, if both are there, is not before *first*."""
    return Check(
        second,
        f"not before {first}",
        lambda values: (
            values.get(first) is None
            or values.get(second) is None
            or values[first] <= values[second]
        ),
    )
