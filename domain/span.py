"""Spans as people write them: `7d`, `2h30m`."""

import re
from datetime import datetime, timedelta

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_PART = re.compile(r"([0-9]{1,9})([smhdw])")
_WHOLE = re.compile(rf"([+-])((?:{_PART.pattern})+)")


def from_now(text: str, now: datetime) -> datetime | None:
    """Return the time that a span such as `-7d` or `+2h30m` leads to; None if it is no span.

    The units are seconds, minutes, hours, days of 24 hours, and weeks.

    Raises:
        OverflowError: It leads beyond the years that can be told.
    """
    found = _WHOLE.fullmatch(text.lower())
    if found is None:
        return None
    parts = [timedelta(**{_UNITS[unit]: int(n)}) for n, unit in _PART.findall(found[2])]
    span = sum(parts, timedelta())
    return now + span if found[1] == "+" else now - span
