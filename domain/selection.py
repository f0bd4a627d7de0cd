"""Filters: the parsed form of a selection of rows such as `state=OPEN and created_at < -7d`.

    state in (OPEN, NEW) and not (priority=LOW or site="Head Office")
    due_at < now and vendor is empty and title contains pump

Only the syntax is known here: fields and values are checked where the rows are selected.
"""

from collections.abc import Iterator
from dataclasses import dataclass

LONGEST = 4_000
DEEPEST = 50
"""The most characters of a filter, and levels of parentheses and negations."""

MOST_LISTED = 10_000_000
"""The most rows of one list."""

CONTAINS = "contains"
EMPTY = "is empty"
IN = "in"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A condition on one field; `operator` is =, !=, <, <=, >, >=, `in`, `contains`, `is empty`."""

    field: str
    operator: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Negation:
    """A filter that must not hold."""

    part: "Filter"


@dataclass(frozen=True, slots=True)
class Combination:
    """Several filters of which all must hold, or any of them."""

    is_all: bool
    parts: tuple["Filter", ...]


Filter = Comparison | Negation | Combination


def comparisons(selection: Filter) -> list[Comparison]:
    """Return every comparison of a filter, in its order."""
    return [node for _, node in walk(selection) if isinstance(node, Comparison)]


def walk(selection: Filter) -> Iterator[tuple[int, Filter]]:
    """Yield every part of a filter with its depth, in its order."""
    # Without recursion: a filter comes from outside, and may be as deep as it is long.
    waiting = [(0, selection)]
    while waiting:
        depth, node = waiting.pop()
        yield depth, node
        if isinstance(node, Negation):
            waiting.append((depth + 1, node.part))
        elif isinstance(node, Combination):
            waiting += [(depth + 1, part) for part in reversed(node.parts)]
