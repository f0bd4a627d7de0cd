"""Business calendar: count the working time between two moments, in the calendar's zone.

A moment is working time if the wall clock of the zone shows a time within the hours of that
weekday, and the day is no holiday. So an hour that the clocks skip doesn't count, and one that
they repeat counts twice, as it does for people who work through it.
"""

from bisect import bisect_right
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from domain.errors import InvalidInput

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_BLOCK = timedelta(days=14)
_FURTHEST = timedelta(days=10 * 366)
"""How far back `Calendar.ago` searches; a limit not reached within this time is never reached."""

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class OpenHours:
    """A span of working hours on the wall clock; an `until` of midnight is the end of the day."""

    since: time
    until: time

    def __post_init__(self) -> None:
        """Check the order of the two times.

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
        """Return how long it is on a day on which the clocks don't change."""
        return (_since_midnight(self.until) or _DAY) - _since_midnight(self.since)


ALL_DAY = (OpenHours(time.min, time.min),)


@dataclass(frozen=True, slots=True)
class Calendar:
    """Working hours of a week, less holidays, in a time zone.

    Attributes:
        zone: The zone whose wall clock counts.
        week: The hours of each weekday, from Monday on.
        holidays: Days without work, by the zone's date.
    """

    zone: ZoneInfo
    week: Sequence[Sequence[OpenHours]] = (ALL_DAY,) * 7
    holidays: Container[date] = frozenset()

    def is_working(self, moment: datetime) -> bool:
        """Say whether a moment is working time."""
        wall = moment.astimezone(self.zone)
        return wall.date() not in self.holidays and any(
            hours.since <= wall.time() and (hours.until == time.min or wall.time() < hours.until)
            for hours in self.week[wall.weekday()]
        )

    @property
    def is_always(self) -> bool:
        """Say whether every moment is working time, so that no day has to be looked at."""
        off = self.holidays
        return isinstance(off, frozenset) and not off and tuple(self.week) == (ALL_DAY,) * 7

    def elapsed(self, since: datetime, until: datetime) -> timedelta:
        """Return the business time between two moments; zero if they are in the other order."""
        if self.is_always:
            return _apart(since, until)
        spans = self.working(since, until)
        return sum((end - begin for begin, end in spans), timedelta())

    def ago(self, until: datetime, amount: timedelta) -> datetime | None:
        """Return the latest moment since which *amount* of business time has passed; None if none.

        Whatever began at that moment or earlier has reached the limit: any number of rows take
        one comparison each.
        """
        if amount <= timedelta():
            return until
        if self.is_always:
            return _before(until, amount)
        left = amount
        far = until - _FURTHEST
        stop = until
        while stop > far:
            for begin, end in reversed(list(self.working(max(stop - _BLOCK, far), stop))):
                if end - begin >= left:
                    return end - left
                left -= end - begin
            stop -= _BLOCK
        return None

    def working(self, since: datetime, until: datetime) -> Iterator[Span]:
        """Yield the spans of working time between two moments in order, in UTC."""
        for begin, end in self._split_at_changes(since.astimezone(UTC), until.astimezone(UTC)):
            offset = begin.astimezone(self.zone).utcoffset() or timedelta()
            yield from self._working_at_offset(begin, end, offset)

    def _working_at_offset(
        self, begin: datetime, end: datetime, offset: timedelta
    ) -> Iterator[Span]:
        """Yield the spans of working time within a span in which the zone keeps its offset."""
        day = (begin + offset).date()
        while (midnight := datetime.combine(day, time.min, UTC) - offset) < end:
            if day not in self.holidays:
                for hours in self.week[day.weekday()]:
                    opens = midnight + _since_midnight(hours.since)
                    closes = midnight + (_since_midnight(hours.until) or _DAY)
                    if max(opens, begin) < min(closes, end):
                        yield max(opens, begin), min(closes, end)
            day += _DAY

    def _split_at_changes(self, begin: datetime, end: datetime) -> Iterator[Span]:
        """Split a span in UTC where the zone's offset changes."""
        while begin < end:
            stop = min(begin + _DAY, end)
            if self._offset(begin) != self._offset(stop - _SECOND):
                stop = self._find_change(begin, stop)
            yield begin, stop
            begin = stop

    def _offset(self, moment: datetime) -> timedelta | None:
        return moment.astimezone(self.zone).utcoffset()

    def _find_change(self, begin: datetime, stop: datetime) -> datetime:
        """Return the first moment, to the second, whose offset differs from that of *begin*."""
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


def _apart(since: datetime, until: datetime) -> timedelta:
    # Python subtracts two times of one zone by the wall clock, which isn't the time that passed.
    return max(until.astimezone(UTC) - since.astimezone(UTC), timedelta())


def _before(moment: datetime, amount: timedelta) -> datetime | None:
    try:
        return moment.astimezone(UTC) - amount
    except OverflowError:
        return None


class ElapsedTime:
    """Counts the business time from many earlier moments to one moment.

    Each day is looked at once, however many moments are counted from.
    """

    def __init__(self, calendar: Calendar, until: datetime) -> None:
        """Count up to *until*."""
        self._calendar = calendar
        self._until = self._far = until.astimezone(UTC)
        # For each span of working time, newest first: the age of its beginning, its end, and the
        # business time from its beginning on.
        self._ages: list[timedelta] = []
        self._ends: list[datetime] = []
        self._sums = [timedelta()]

    def since(self, moment: datetime) -> timedelta:
        """Return the business time since a moment; zero if that is yet to come."""
        age = _apart(moment, self._until)
        if not age or self._calendar.is_always:
            return age
        while self._far > moment:
            self._look_back()
        newer = bisect_right(self._ages, age)
        passed = self._sums[newer]
        # The span that contains the moment counts from the moment on.
        if newer < len(self._ends) and self._ends[newer] > moment:
            passed += _apart(moment, self._ends[newer])
        return passed

    def _look_back(self) -> None:
        begin = self._far - _BLOCK
        for opens, closes in reversed(list(self._calendar.working(begin, self._far))):
            self._ages.append(self._until - opens)
            self._ends.append(closes)
            self._sums.append(self._sums[-1] + closes - opens)
        self._far = begin
