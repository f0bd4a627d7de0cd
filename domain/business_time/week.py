"""Weekly hours: parse and write them as in `Mon-Fri 08:00-18:00, Sat 09:00-13:00`.

Days are English short names; a range of them may go past Sunday (`Sun-Thu`), and several may
share their hours (`Mon, Wed 09:00-17:00`). Hours without a day belong to the days before them
(`Mon-Fri 08:00-12:00, 13:00-17:00`). A span that ends at 24:00 or 00:00 ends with the day; a
night is two spans: `Mon 22:00-24:00, Tue 00:00-06:00`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import time
from itertools import groupby, pairwise
from typing import Any, NoReturn

from domain.business_time.calendar import OpenHours
from domain.errors import InvalidInput

Week = tuple[tuple[OpenHours, ...], ...]
"""The hours of each day, in order, from Monday on."""

EXPECTED = "hours such as Mon-Fri 08:00-18:00, Sat 09:00-13:00"
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LONGEST = 2_000
_PART = re.compile(
    r"(?P<first>[a-z]+)?(?:\s*[-\u2013]\s*(?P<last>[a-z]+))?\s*"
    r"(?:(?P<since>\d{1,2}:\d\d)\s*[-\u2013]\s*(?P<until>\d{1,2}:\d\d))?",
    re.IGNORECASE | re.ASCII,
)
_WHOLE_DAY = "24:00"


def parse_week(text: Any) -> Week:
    """Return the hours of the seven days, from Monday on.

    Raises:
        InvalidInput: A part can't be read, a day isn't known, a span ends before it begins, or
            two spans of a day overlap.
    """
    if not isinstance(text, str) or len(text) > _LONGEST:
        _refuse("no such text", f"{EXPECTED}, in {_LONGEST:,} characters at most")
    week: list[list[OpenHours]] = [[] for _ in _DAYS]
    for days, hours in _spans(text):
        for day in days:
            week[day].append(hours)
    return tuple(_in_order(day, spans) for day, spans in enumerate(week))


def write_week(week: Sequence[Sequence[OpenHours]]) -> str:
    """Return the hours of a week in their canonical form; `parse_week` of it is the same week."""
    written = []
    for spans, days in groupby(range(len(_DAYS)), key=lambda day: tuple(week[day])):
        first, *rest = days
        name = f"{_DAYS[first]}-{_DAYS[rest[-1]]}" if rest else _DAYS[first]
        if spans:
            written.append(f"{name} {', '.join(map(_written, spans))}")
    return ", ".join(written)


def _spans(text: str) -> Iterator[tuple[Sequence[int], OpenHours]]:
    """Yield each span with its days; days are collected until their hours follow."""
    days: list[int] = []
    has_hours = True
    for part in (piece.strip() for piece in text.split(",")):
        match = _PART.fullmatch(part)
        if not part or match is None or (match["last"] and not match["first"]):
            _refuse(part or "nothing between commas", EXPECTED)
        if match["first"]:
            range_of_days = _range(match["first"], match["last"] or match["first"])
            days = range_of_days if has_hours else days + range_of_days
            has_hours = False
        if match["since"]:
            if not days:
                _refuse(part, "a day before the hours, such as Mon-Fri 08:00-18:00")
            has_hours = True
            yield sorted(set(days)), _hours(part, match["since"], match["until"])
    if not has_hours:
        _refuse(part, "hours behind the days, such as Mon-Fri 08:00-18:00")


def _range(first: str, last: str) -> list[int]:
    begin, end = _day(first), _day(last)
    return [number % len(_DAYS) for number in range(begin, begin + (end - begin) % len(_DAYS) + 1)]


def _day(name: str) -> int:
    if name.capitalize() not in _DAYS:
        _refuse(name, f"a day among {', '.join(_DAYS)}")
    return _DAYS.index(name.capitalize())


def _hours(part: str, since: str, until: str) -> OpenHours:
    begin, end = _time(since), time.min if until == _WHOLE_DAY else _time(until)
    if end != time.min and end <= begin:
        _refuse(part, "a later end than beginning; two spans for a night")
    return OpenHours(begin, end)


def _time(text: str) -> time:
    hour, minute = map(int, text.split(":"))
    try:
        return time(hour, minute)
    except ValueError:
        _refuse(text, "a time from 00:00 to 23:59, or 24:00 as an end")


def _in_order(day: int, spans: Iterable[OpenHours]) -> tuple[OpenHours, ...]:
    """Return the spans of a day in order; spans that touch are joined."""
    ordered = sorted(spans, key=lambda span: span.since)
    for one, other in pairwise(ordered):
        if one.until == time.min or other.since < one.until:
            got = f"{_DAYS[day]} {_written(one)}, {_written(other)}"
            _refuse(got, "spans of a day that don't overlap")
    joined: list[OpenHours] = []
    for span in ordered:
        if joined and joined[-1].until == span.since:
            span = OpenHours(joined.pop().since, span.until)  # noqa: PLW2901 -- grown by its neighbour
        joined.append(span)
    return tuple(joined)


def _written(hours: OpenHours) -> str:
    end = _WHOLE_DAY if hours.until == time.min else f"{hours.until:%H:%M}"
    return f"{hours.since:%H:%M}-{end}"


def _refuse(got: str, expected: str) -> NoReturn:
    raise InvalidInput(field="hours", got=got, expected=expected)
