"""Public holidays: the days off of a country, with a tenant's own exceptions."""

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
    """The days on which nobody works; `day in days_off` computes holidays a year at a time.

    Attributes:
        country: The country whose public holidays count; none without one.
        subdivision: The part of the country.
        more: Days off beside the public holidays.
        worked: Public holidays that are worked.
    """

    country: str | None = None
    subdivision: str | None = None
    more: frozenset[date] = frozenset()
    worked: frozenset[date] = frozenset()

    def __contains__(self, day: object) -> bool:
        """Say whether a day is off."""
        if day in self.more:
            return True
        if self.country is None or not isinstance(day, date) or day in self.worked:
            return False
        return day in public_holidays(self.country, self.subdivision, day.year)


@lru_cache(maxsize=4_000)
def public_holidays(country: str, subdivision: str | None, year: int) -> frozenset[date]:
    """Return a year's public holidays of a country or of a part of it.

    They are empty for a code that the library has dropped since it was stored, so that nobody's
    work stops.
    """
    import holidays  # noqa: PLC0415 -- takes a fifth of a second, and few ask for it

    try:
        return frozenset(holidays.country_holidays(country, subdiv=subdivision, years=year))
    except NotImplementedError:
        return frozenset()


def parse_country(code: Any) -> str:
    """Return the code of a country whose holidays are known, in capitals.

    Raises:
        InvalidInput: There is no such country.
    """
    known_code = code.strip().upper() if isinstance(code, str) else None
    if known_code not in _parts_by_country():
        raise InvalidInput(field="country", got=str(code)[:100], expected=COUNTRY)
    return known_code


def is_part(country: str | None, subdivision: str | None) -> bool:
    """Say whether a country has this subdivision; None is valid with any country, and without."""
    if subdivision is None:
        return True
    return country is not None and subdivision in _parts_by_country().get(country, ())


def parse_days(days: Any) -> list[str]:
    """Return days in ISO form, without duplicates and in order.

    Args:
        days: A text with commas between the days, or a list of texts or dates.

    Raises:
        ValueError: One of them is no day, or there are too many.
        TypeError: They are neither text nor a list.
    """
    listed: Iterable[Any] = days.split(",") if isinstance(days, str) else days
    distinct = {_day(day) for day in listed}
    if len(distinct) > _MOST_DAYS:
        raise ValueError
    return sorted(day.isoformat() for day in distinct)


def _day(day: Any) -> date:
    if isinstance(day, str):
        return date.fromisoformat(day.strip())
    if not isinstance(day, date) or isinstance(day, datetime):
        raise TypeError
    return day


@lru_cache(maxsize=1)
def _parts_by_country() -> dict[str, list[str]]:
    import holidays  # noqa: PLC0415 -- takes a fifth of a second, and few ask for it

    return holidays.list_supported_countries(include_aliases=False)
