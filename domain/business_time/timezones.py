"""Time zones: look up a zone by its IANA name."""

from difflib import get_close_matches
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from domain.errors import InvalidInput

EXPECTED = "an IANA zone such as Asia/Kolkata"


def parse_zone(name: Any) -> str:
    """Return the name of a zone as the IANA writes it; upper and lower case don't matter.

    Raises:
        InvalidInput: There is no such zone.
    """
    zones = _zones()
    zone = zones.get(name.strip().lower()) if isinstance(name, str) else None
    if zone is None:
        close = get_close_matches(str(name)[:100].lower(), zones, n=1)
        suggestion = f"; did you mean {zones[close[0]]}?" if close else ""
        raise InvalidInput(field="zone", got=str(name)[:100], expected=f"{EXPECTED}{suggestion}")
    return zone


@cache
def _zones() -> dict[str, str]:
    return {zone.lower(): zone for zone in available_timezones()}
