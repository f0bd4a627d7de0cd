"""Duration texts: parse durations as people write them, such as `7d` or `2h30m`."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours"}
_DAYS = {"d": 1, "w": 7}
_PART = re.compile(r"([0-9]{1,9})([smhdw])")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")
_SIGNED = re.compile(rf"([+-])({_WHOLE.pattern})")


@dataclass(frozen=True, slots=True)
class Span:
    """A number of days, whose length depends on the calendar, and a remainder of fixed length."""

    days: int = 0
    rest: timedelta = timedelta()

    def as_time(self, day: timedelta) -> timedelta:
        """Return its length, if a day has the length *day*.

        Raises:
            OverflowError: It is longer than a `timedelta` can hold.
        """
        return self.days * day + self.rest


NO_SPAN = Span()


def parse_span(text: str) -> Span:
    """Return a span such as `72h`, `3d` or `1w2d12h30m`.

    The units are seconds, minutes, hours, days and weeks of seven days.

    Raises:
        ValueError: It isn't a span.
        OverflowError: It is longer than a `timedelta` can hold.
    """
    plain = text.strip().lower()
    if _WHOLE.fullmatch(plain) is None:
        raise ValueError(f"no span: {text!r}")
    parts = [(int(number), unit) for number, unit in _PART.findall(plain)]
    days = sum(number * _DAYS[unit] for number, unit in parts if unit in _DAYS)
    rest = [timedelta(**{_UNITS[unit]: number}) for number, unit in parts if unit in _UNITS]
    return Span(days, sum(rest, timedelta()))


def from_now(text: str, now: datetime) -> datetime | None:
    """Return the time that is a span such as `-7d` or `+2h30m` from *now*; None if it is no span.

    Its days have 24 hours.

    Raises:
        OverflowError: The time is beyond the years that a `datetime` can hold.
    """
    match = _SIGNED.fullmatch(text.lower())
    if match is None:
        return None
    span = parse_span(match[2]).as_time(timedelta(days=1))
    return now + span if match[1] == "+" else now - span
