"""Figures: the ratio that a benchmark measures, its goal, and helpers to measure it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal, NamedTuple


@dataclass(frozen=True, slots=True)
class Figure:
    """One ratio of two things measured in turn in one run.

    Attributes:
        id: As in the list of benchmarks, e.g. `F1`; several figures of one have a letter.
        what: What is divided by what.
        goal: The bound; `side` says whether it is the least or the most.
        detail: Medians, all single measurements, sizes.
    """

    id: str
    what: str
    ratio: float
    goal: float
    side: Literal["at least", "at most"]
    detail: Mapping[str, Any]

    @property
    def ok(self) -> bool:
        """Say whether the goal is reached."""
        return self.ratio >= self.goal if self.side == "at least" else self.ratio <= self.goal

    def to_dict(self) -> dict[str, Any]:
        """Return the figure as `results.json` holds it."""
        return {
            "what": self.what,
            "ratio": round(self.ratio, 3),
            "goal": self.goal,
            "side": self.side,
            "ok": self.ok,
            "detail": dict(self.detail),
        }


class Run(NamedTuple):
    """The measurement of one operation.

    Attributes:
        rate: Items a second, from submitted to fully audited.
        behind_s: Seconds from the operation's end to an empty outbox.
    """

    rate: float
    behind_s: float


def in_turn(
    measures: Mapping[str, Callable[[], float]], turns: int, announce: Callable[[str], None]
) -> dict[str, list[float]]:
    """Measure several things in turn, so that other load on the machine affects all alike."""
    taken: dict[str, list[float]] = {name: [] for name in measures}
    for turn in range(turns):
        for name, measure in measures.items():
            announce(f"{name}, turn {turn + 1} of {turns}")
            taken[name].append(measure())
    return taken


def medians(taken: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return the median of the measurements of each thing."""
    return {name: median(values) for name, values in taken.items()}


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that *share* of all values don't exceed."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * share))]
