"""Zones by their IANA names."""

from difflib import get_close_matches
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from domain.errors import InvalidInput

EXPECTED = "an IANA zone such as Asia/Kolkata"


def parse_zone(name: Any) -> str:
    """Return the name of a zone as the IANA writes it, in whatever case it came.

    Raises:
        InvalidInput: There is no such zone.
    """
    known = _zones()
    found = known.get(name.strip().lower()) if isinstance(name, str) else None
    if found is None:
        close = get_close_matches(str(name)[:100].lower(), known, n=1)
        hint = f"; did you mean {known[close[0]]}?" if close else ""
        raise InvalidInput(field="zone", got=str(name)[:100], expected=f"{EXPECTED}{hint}")
    return found


@cache
def _zones() -> dict[str, str]:
    return {each.lower(): each for each in available_timezones()}
