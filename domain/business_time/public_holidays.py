"""Days without work: a country's public holidays, with a tenant's own exceptions."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from domain.errors import InvalidInput

COUNTRY = "a country by its code of two letters such as IN"
SUBDIVISION = "a part of the country by its code, such as BY for Bavaria in DE"
DAYS = "days such as 2026-12-24, with commas between them"
_MOST_DAYS = 2_000


@dataclass(frozen=True, slots=True)
class DaysOff:
    """The days on which nobody works; `day in days_off` makes the years that it asks for.

    Attributes:
        country: Whose public holidays count; none without one.
        subdivision: The part of the country.
        more: Days off beside these.
        worked: Public holidays that are worked.
    """

    country: str | None = None
    subdivision: str | None = None
    more: frozenset[date] = frozenset()
    worked: frozenset[date] = frozenset()

    def __contains__(self, day: object) -> bool:
        """Say whether nobody works on a day."""
        if day in self.more:
            return True
        if self.country is None or not isinstance(day, date) or day in self.worked:
            return False
        return day in public_holidays(self.country, self.subdivision, day.year)


@lru_cache(maxsize=4_000)
def public_holidays(country: str, subdivision: str | None, year: int) -> frozenset[date]:
    """Return a year's public holidays of a country or of a part of it.

    None for a code that the library has lost since it was stored: that stops nobody's work.
    """
    import holidays  # noqa: PLC0415 -- takes a fifth of a second, and few ask for it

    try:
        return frozenset(holidays.country_holidays(country, subdiv=subdivision, years=year))
    except NotImplementedError:
        return frozenset()


def parse_country(code: Any) -> str:
    """Return the code of a country of which the holidays are known.

    Raises:
        InvalidInput: There is none.
    """
    found = code.strip().upper() if isinstance(code, str) else None
    if found not in _parts_by_country():
        raise InvalidInput(field="country", got=str(code)[:100], expected=COUNTRY)
    return found


def is_part(country: str | None, subdivision: str | None) -> bool:
    """Say whether a country has this part; every country, and no country, has no part."""
    if subdivision is None:
        return True
    return country is not None and subdivision in _parts_by_country().get(country, ())


def parse_days(given: Any) -> list[str]:
    """Return days in ISO form, each once and in order.

    Raises:
        ValueError: One of them is no day, or there are too many.
        TypeError: They are neither text nor a list.
    """
    parts: Iterable[Any] = given.split(",") if isinstance(given, str) else given
    days = {_day(each) for each in parts}
    if len(days) > _MOST_DAYS:
        raise ValueError
    return sorted(each.isoformat() for each in days)


def _day(given: Any) -> date:
    if isinstance(given, str):
        return date.fromisoformat(given.strip())
    if not isinstance(given, date) or isinstance(given, datetime):
        raise TypeError
    return given


@lru_cache(maxsize=1)
def _parts_by_country() -> dict[str, list[str]]:
    import holidays  # noqa: PLC0415 -- takes a fifth of a second, and few ask for it

    return holidays.list_supported_countries(include_aliases=False)
