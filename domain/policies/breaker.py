"""Circuit breaker: stop a policy run that matches far more rows than usual until it is released."""

from collections.abc import Sequence
from dataclasses import dataclass

HISTORY = 30
"""The number of earlier runs that are compared with."""

ENOUGH = 3
"""The least number of earlier runs from which anything usual can be derived."""

_RELEASED_FACTOR = 2
_QUANTILE = 0.9


@dataclass(frozen=True, slots=True)
class Breaker:
    """How much more than usual a run may match.

    Attributes:
        factor: The limit is so many times what nine of ten earlier runs matched at most.
        least: So many rows are always allowed.
    """

    factor: int
    least: int

    def most(
        self, earlier: Sequence[int], *, periods: int = 1, released: int | None = None
    ) -> int | None:
        """Return how many rows a run may match; None while there are too few earlier runs.

        Args:
            earlier: How many rows each earlier run matched, of those that matched any.
            periods: The number of periods since the last run: after an outage there is as much
                more to do.
            released: How many rows matched when somebody last released the breaker.
        """
        if len(earlier) < ENOUGH:
            return None
        # A quantile, so that a few extreme runs don't raise the limit.
        usual = sorted(earlier)[int(_QUANTILE * (len(earlier) - 1))] * max(1, periods)
        return max(self.least, self.factor * usual, _RELEASED_FACTOR * (released or 0))
