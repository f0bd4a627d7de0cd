"""What is far more than usual: hours compared with hours like them, by robust statistics.

The usual is the median, its spread the median of the distances from it (MAD): a few wild hours
among many move neither. The score is the modified z-score of Iglewicz and Hoaglin (1993), whose
limit is 3.5. Counts scatter by their square root at least, so steady small counts aren't taken
for certain.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import sqrt
from statistics import median

LIMIT = 3.5
_AS_SIGMA = 1.4826
"""What makes a MAD comparable with a standard deviation."""

_SO_MUCH_MORE = 2.0
"""Nobody calls a few per cent a spike, however steady the hours were."""

HOUR = timedelta(hours=1)
_DAY, _WEEK = timedelta(days=1), timedelta(weeks=1)
HISTORY = timedelta(weeks=8)
"""So far back hours are compared."""

# The nearest likeness for which there is enough history: a weekly run isn't a spike, nor is
# the morning.
_LIKE = (
    ("the same hour of the week", _WEEK, 4, 8),
    ("the same hour of the day", _DAY, 7, 28),
    ("the hours before", HOUR, 24, 168),
)


@dataclass(frozen=True, slots=True)
class Spike:
    """Hours that follow each other, each with far more than usual.

    Attributes:
        since: When the first of them began.
        until: When the last of them ends.
        usual: In the first of them, by its history.
        came: In the hour with the most.
        total: In all of them.
        score: The largest.
        compared_with: What the first hour was compared with.
    """

    since: datetime
    until: datetime
    usual: float
    came: int
    total: int
    score: float
    compared_with: str


def score_of(came: int, history: Sequence[int]) -> tuple[float, float]:
    """Return what was usual, and by how many of its spreads this is more."""
    usual = float(median(history))
    spread = _AS_SIGMA * median(abs(each - usual) for each in history)
    return usual, (came - usual) / max(spread, sqrt(usual), 1.0)


def spikes_of(
    counts: Mapping[datetime, int],
    *,
    first: datetime,
    since: datetime,
    until: datetime,
    least: int,
) -> list[Spike]:
    """Return the spikes of a span, in order; none where there is too little history.

    Args:
        counts: By the hour's beginning; an hour that isn't there counts as 0.
        first: The first hour of which anything is known.
        since: The beginning of the span, a whole hour.
        until: Its end.
        least: So much more than usual it has to be, whatever its score.
    """
    found: list[Spike] = []
    for hour in (each for each in sorted(counts) if since <= each < until):
        spike = _judge(counts, hour, first, least)
        if spike is None:
            continue
        if found and found[-1].until == hour:
            found[-1] = _joined(found[-1], spike)
        else:
            found.append(spike)
    return found


def _judge(
    counts: Mapping[datetime, int], hour: datetime, first: datetime, least: int
) -> Spike | None:
    came = counts[hour]
    for name, step, enough, most in _LIKE:
        history = [counts.get(each, 0) for each in _before(hour, step, most) if each >= first]
        if len(history) < enough:
            continue
        usual, score = score_of(came, history)
        if score < LIMIT or came - usual < least or came < _SO_MUCH_MORE * usual:
            return None
        return Spike(hour, hour + HOUR, usual, came, came, score, name)
    return None


def _before(hour: datetime, step: timedelta, most: int) -> Iterable[datetime]:
    return (hour - step * number for number in range(1, most + 1))


def _joined(spike: Spike, more: Spike) -> Spike:
    return Spike(
        since=spike.since,
        until=more.until,
        usual=spike.usual,
        came=max(spike.came, more.came),
        total=spike.total + more.total,
        score=max(spike.score, more.score),
        compared_with=spike.compared_with,
    )
