"""Days off are a country's holidays, less those that are worked, and a tenant's own days."""

from datetime import date
from typing import Any

import pytest

from domain.business_time.public_holidays import (
    DaysOff,
    is_part,
    parse_country,
    parse_days,
    public_holidays,
)
from domain.errors import InvalidInput
from tests.sentences import Sentences

CHRISTMAS, REPUBLIC_DAY = date(2026, 12, 25), date(2026, 1, 26)
ASSUMPTION = date(2026, 8, 15)


@pytest.mark.parametrize(
    ("off", "day", "is_off"),
    [
        (DaysOff(), CHRISTMAS, False),
        (DaysOff("DE"), CHRISTMAS, True),
        (DaysOff("DE"), date(2029, 12, 25), True),
        (DaysOff("DE"), ASSUMPTION, False),
        (DaysOff("DE", "SL"), ASSUMPTION, True),
        (DaysOff("IN"), REPUBLIC_DAY, True),
        (DaysOff("DE", worked=frozenset({CHRISTMAS})), CHRISTMAS, False),
        (DaysOff(more=frozenset({ASSUMPTION})), ASSUMPTION, True),
        (DaysOff("DE", more=frozenset({ASSUMPTION})), REPUBLIC_DAY, False),
    ],
)
def test_a_day_is_off_or_not(off: DaysOff, day: date, *, is_off: bool) -> None:
    assert (day in off) is is_off


def test_a_year_of_holidays_is_made_once() -> None:
    assert public_holidays("DE", "BE", 2031) is public_holidays("DE", "BE", 2031)


def test_a_code_that_the_library_has_lost_has_no_holidays() -> None:
    assert public_holidays("DE", "GONE", 2026) == frozenset()


def test_a_country_goes_by_its_code_in_any_case() -> None:
    assert parse_country(" in ") == "IN"


@pytest.mark.parametrize("code", ["XX", "India", "", 7, "IND"])
def test_an_unknown_country_is_refused(code: Any, says: Sentences) -> None:
    with pytest.raises(InvalidInput, check=says):
        parse_country(code)


@pytest.mark.parametrize(
    ("country", "part", "is_known"),
    [
        ("DE", "BY", True),
        ("DE", "MH", False),
        (None, "BY", False),
        (None, None, True),
        ("DE", None, True),
    ],
)
def test_a_part_is_of_its_country(country: str | None, part: str, *, is_known: bool) -> None:
    assert is_part(country, part) is is_known


def test_days_are_told_once_and_in_order() -> None:
    days = ["2026-12-24", "2026-01-02", "2026-12-24"]

    assert parse_days(",".join(days)) == parse_days([date.fromisoformat(each) for each in days])
    assert parse_days(" 2026-12-24 , 2026-01-02") == ["2026-01-02", "2026-12-24"]


@pytest.mark.parametrize("given", ["tomorrow", "2026-13-01", [7], 7, "2026-01-01,", ["2026-1-1"]])
def test_what_is_no_day_is_refused(given: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        parse_days(given)
