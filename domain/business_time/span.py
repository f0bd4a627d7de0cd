"""Spans as people write them: `7d`, `2h30m`."""

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
    """Days, which need not have 24 hours for everybody, and a rest that is the same for all."""

    days: int = 0
    rest: timedelta = timedelta()

    def as_time(self, day: timedelta) -> timedelta:
        """Return how long it is for somebody whose day is so long.

        Raises:
            OverflowError: Longer than can be told.
        """
        return self.days * day + self.rest


NO_SPAN = Span()


def parse_span(text: str) -> Span:
    """Return a span such as `72h`, `3d` or `1w2d12h30m`.

    The units are seconds, minutes, hours, days and weeks of seven days.

    Raises:
        ValueError: It is none.
        OverflowError: It is longer than can be told.
    """
    plain = text.strip().lower()
    if _WHOLE.fullmatch(plain) is None:
        raise ValueError(f"no span: {text!r}")
    parts = [(int(number), unit) for number, unit in _PART.findall(plain)]
    days = sum(number * _DAYS[unit] for number, unit in parts if unit in _DAYS)
    rest = [timedelta(**{_UNITS[unit]: number}) for number, unit in parts if unit in _UNITS]
    return Span(days, sum(rest, timedelta()))


def from_now(text: str, now: datetime) -> datetime | None:
    """Return the time that a span such as `-7d` or `+2h30m` leads to; None if it is no span.

    Its days have 24 hours.

    Raises:
        OverflowError: It leads beyond the years that can be told.
    """
    found = _SIGNED.fullmatch(text.lower())
    if found is None:
        return None
    span = parse_span(found[2]).as_time(timedelta(days=1))
    return now + span if found[1] == "+" else now - span
