"""Anomalies: find hours with far more events than comparable hours, by robust statistics.

The usual count is the median, its spread the median absolute deviation (MAD): a few extreme hours
among many move neither. The score is the modified z-score of Iglewicz and Hoaglin (1993), whose
limit is 3.5. The spread is at least the square root of the count, so that small counts that
happened to be steady don't give high scores.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import sqrt
from statistics import median

LIMIT = 3.5
_AS_SIGMA = 1.4826
"""The factor that makes a MAD comparable with a standard deviation."""

_LEAST_RATIO = 2.0
"""A spike has at least so many times the usual count, however steady the hours were."""

HOUR = timedelta(hours=1)
_DAY, _WEEK = timedelta(days=1), timedelta(weeks=1)
HISTORY = timedelta(weeks=8)
"""How far back hours are compared."""

# The first row with enough history is used, so that neither a weekly run nor the start of every
# working day is a spike: name, step back, least hours, most hours.
_COMPARISONS = (
    ("the same hour of the week", _WEEK, 4, 8),
    ("the same hour of the day", _DAY, 7, 28),
    ("the hours before", HOUR, 24, 168),
)


@dataclass(frozen=True, slots=True)
class Spike:
    """Consecutive hours, each with far more events than usual.

    Attributes:
        since: When the first of them began.
        until: When the last of them ends.
        usual: The usual count of the first hour, by its history.
        came: The count of the hour with the most.
        total: The count of all of them.
        score: The largest score of an hour.
        compared_with: Which hours the first one was compared with.
    """

    since: datetime
    until: datetime
    usual: float
    came: int
    total: int
    score: float
    compared_with: str


def score_of(came: int, history: Sequence[int]) -> tuple[float, float]:
    """Return the usual count, and by how many of its spreads *came* exceeds it."""
    usual = float(median(history))
    spread = _AS_SIGMA * median(abs(count - usual) for count in history)
    return usual, (came - usual) / max(spread, sqrt(usual), 1.0)


def spikes_of(
    counts: Mapping[datetime, int],
    *,
    first: datetime,
    since: datetime,
    until: datetime,
    least: int,
) -> list[Spike]:
    """Return the spikes of a span of time, in order; none where there is too little history.

    Args:
        counts: Counts by the beginning of their hour; an hour that is missing counts as 0.
        first: The first hour of which anything is known.
        since: The beginning of the span, a full hour.
        until: The end of the span.
        least: By how much a count must exceed the usual one, whatever its score.
    """
    spikes: list[Spike] = []
    for hour in (moment for moment in sorted(counts) if since <= moment < until):
        spike = _judge(counts, hour, first, least)
        if spike is None:
            continue
        if spikes and spikes[-1].until == hour:
            spikes[-1] = _joined(spikes[-1], spike)
        else:
            spikes.append(spike)
    return spikes


def _judge(
    counts: Mapping[datetime, int], hour: datetime, first: datetime, least: int
) -> Spike | None:
    came = counts[hour]
    for name, step, enough, most in _COMPARISONS:
        history = [counts.get(moment, 0) for moment in _before(hour, step, most) if moment >= first]
        if len(history) < enough:
            continue
        usual, score = score_of(came, history)
        if score < LIMIT or came - usual < least or came < _LEAST_RATIO * usual:
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
