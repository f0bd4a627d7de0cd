"""Business time: how long somebody was at work between two moments, in their zone.

A moment is working time if the wall clock of the zone then shows a time within the hours of that
weekday, and the day is no holiday. So an hour that the clocks skip counts for nothing, and one
that they repeat counts twice: as it does for whoever works through it.
"""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from domain.errors import InvalidInput

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_FURTHEST = timedelta(days=3 * 366)
"""Whoever works so seldom that a limit isn't reached in this time never reaches it."""

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Hours:
    """A span of the wall clock; `until` of midnight is the day's end."""

    since: time
    until: time

    def __post_init__(self) -> None:
        """Refuse a span that is none.

        Raises:
            InvalidInput: It ends before it begins.
        """
        if self.until != time.min and self.until <= self.since:
            raise InvalidInput(
                field="hours",
                got=f"{self.since:%H:%M}-{self.until:%H:%M}",
                expected="a later end than beginning; two spans for a night",
            )

    @property
    def length(self) -> timedelta:
        """Return how long it lasts on a day on which the clocks don't change."""
        return (_since_midnight(self.until) or _DAY) - _since_midnight(self.since)


ALL_DAY = (Hours(time.min, time.min),)


@dataclass(frozen=True, slots=True)
class Calendar:
    """When somebody works.

    Attributes:
        zone: Whose wall clock tells.
        week: The hours of each weekday, from Monday on.
        holidays: Days without work, by the zone's date.
    """

    zone: ZoneInfo
    week: Sequence[Sequence[Hours]] = (ALL_DAY,) * 7
    holidays: Container[date] = frozenset()

    def is_working(self, moment: datetime) -> bool:
        """Say whether a moment is working time."""
        wall = moment.astimezone(self.zone)
        return wall.date() not in self.holidays and any(
            hours.since <= wall.time() and (hours.until == time.min or wall.time() < hours.until)
            for hours in self.week[wall.weekday()]
        )

    def elapsed(self, since: datetime, until: datetime) -> timedelta:
        """Return the business time between two moments; none if they are the other way round."""
        spans = self._working(since, until)
        return sum((end - begin for begin, end in spans), timedelta())

    def ahead(self, since: datetime, amount: timedelta) -> datetime | None:
        """Return the first moment by which so much business time has passed; None if never."""
        left = amount
        for begin, end in self._working(since, since + _FURTHEST):
            if end - begin >= left:
                return begin + left
            left -= end - begin
        return None

    def ago(self, until: datetime, amount: timedelta) -> datetime | None:
        """Return the last moment since which so much business time has passed; None if never.

        What began at it or before has had its time: one comparison for any number of rows.
        """
        if amount <= timedelta():
            return until
        left = amount
        far = until - _FURTHEST
        stop = until
        while stop > far:
            for begin, end in reversed(list(self._working(max(stop - 14 * _DAY, far), stop))):
                if end - begin >= left:
                    return end - left
                left -= end - begin
            stop -= 14 * _DAY
        return None

    def _working(self, since: datetime, until: datetime) -> Iterator[Span]:
        """Yield the spans of work between two moments in order, in UTC."""
        for begin, end in self._steady(since.astimezone(UTC), until.astimezone(UTC)):
            offset = begin.astimezone(self.zone).utcoffset() or timedelta()
            yield from self._of_wall(begin, end, offset)

    def _of_wall(self, begin: datetime, end: datetime, offset: timedelta) -> Iterator[Span]:
        """Yield the spans of work of a time in which the zone keeps its offset."""
        day = (begin + offset).date()
        while (midnight := datetime.combine(day, time.min, UTC) - offset) < end:
            if day not in self.holidays:
                for hours in self.week[day.weekday()]:
                    opens = midnight + _since_midnight(hours.since)
                    closes = midnight + (_since_midnight(hours.until) or _DAY)
                    if max(opens, begin) < min(closes, end):
                        yield max(opens, begin), min(closes, end)
            day += _DAY

    def _steady(self, begin: datetime, end: datetime) -> Iterator[Span]:
        """Cut a time in UTC where the zone's offset changes."""
        while begin < end:
            stop = min(begin + _DAY, end)
            if self._offset(begin) != self._offset(stop - _SECOND):
                stop = self._change(begin, stop)
            yield begin, stop
            begin = stop

    def _offset(self, moment: datetime) -> timedelta | None:
        return moment.astimezone(self.zone).utcoffset()

    def _change(self, begin: datetime, stop: datetime) -> datetime:
        """Return the first moment, to the second, at which the offset isn't that of *begin*."""
        low = begin.replace(microsecond=0)
        before = self._offset(begin)
        same, other = 0, int((stop - low) / _SECOND) + 1
        while other - same > 1:
            middle = (same + other) // 2
            if self._offset(low + middle * _SECOND) == before:
                same = middle
            else:
                other = middle
        return min(low + other * _SECOND, stop)


def _since_midnight(moment: time) -> timedelta:
    return timedelta(
        hours=moment.hour,
        minutes=moment.minute,
        seconds=moment.second,
        microseconds=moment.microsecond,
    )
