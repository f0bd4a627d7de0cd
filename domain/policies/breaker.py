"""The breaker: stops a run that matches far more than usual, until somebody has looked at it."""

from collections.abc import Sequence
from dataclasses import dataclass

HISTORY = 30
"""So many earlier runs say what is usual."""

ENOUGH = 3
"""From so many earlier runs on something is usual."""

_TWICE = 2
_MOST = 0.9


@dataclass(frozen=True, slots=True)
class Breaker:
    """How much more than usual a run may match.

    Attributes:
        factor: So many times what nine of ten earlier runs matched at most.
        least: Up to so many rows are never too many.
    """

    factor: int
    least: int

    def most(
        self, earlier: Sequence[int], *, periods: int = 1, released: int | None = None
    ) -> int | None:
        """Return how many rows a run may match; None as long as nobody knows what is usual.

        Args:
            earlier: How many the runs before it matched that matched any.
            periods: So many periods lie between the last run and this one: after an outage
                there is as much more to do.
            released: What matched when somebody last looked and said that it is right.
        """
        if len(earlier) < ENOUGH:
            return None
        # Most of what was matched lies below; the few wildest runs don't count.
        usual = sorted(earlier)[int(_MOST * (len(earlier) - 1))] * max(1, periods)
        return max(self.least, self.factor * usual, _TWICE * (released or 0))
