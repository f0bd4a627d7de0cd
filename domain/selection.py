"""Filters: which rows are meant, in words such as `state=OPEN and created_at < -7d`.

    state in (OPEN, NEW) and not (priority=LOW or site="Head Office")
    due_at < now and vendor is empty and title contains pump

A filter is read here and means nothing yet: fields and values are looked at where rows are.
"""

from collections.abc import Iterator
from dataclasses import dataclass

LONGEST = 4_000
DEEPEST = 50
"""Characters of a filter, and how deep its parentheses and negations go."""

CONTAINS = "contains"
EMPTY = "is empty"
IN = "in"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one field has to be; `operator` is =, !=, <, <=, >, >=, `in`, `contains`, `is empty`."""

    field: str
    operator: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Negation:
    """What must not hold."""

    part: "Filter"


@dataclass(frozen=True, slots=True)
class Combination:
    """Parts of which all must hold, or any of them."""

    is_all: bool
    parts: tuple["Filter", ...]


Filter = Comparison | Negation | Combination


def comparisons(read: Filter) -> list[Comparison]:
    """Return every comparison of a filter, in its order."""
    return [each for _, each in _walk(read) if isinstance(each, Comparison)]


def _walk(read: Filter) -> Iterator[tuple[int, Filter]]:
    # Without recursion: a filter comes from outside, and may be as deep as it is long.
    waiting = [(0, read)]
    while waiting:
        depth, each = waiting.pop()
        yield depth, each
        if isinstance(each, Negation):
            waiting.append((depth + 1, each.part))
        elif isinstance(each, Combination):
            waiting += [(depth + 1, part) for part in reversed(each.parts)]
