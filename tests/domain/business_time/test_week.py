"""Hours as people write them are read as they are meant, or refused with what is wrong."""

from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.business_time.calendar import ALL_DAY, OpenHours
from domain.business_time.week import Week, parse_week, write_week
from domain.errors import InvalidInput


def at(hour: int, minute: int = 0) -> time:
    return time(hour % 24, minute)


OFFICE = (OpenHours(at(8), at(18)),)
MORNING = (OpenHours(at(9), at(13)),)
SPLIT = (OpenHours(at(8), at(12)), OpenHours(at(13), at(17)))

READ = [
    pytest.param("Mon-Fri 08:00-18:00, Sat 09:00-13:00", (*[OFFICE] * 5, MORNING, ()), id="both"),
    pytest.param("mon - FRI 8:00 - 18:00", (*[OFFICE] * 5, (), ()), id="in any case"),
    pytest.param("Mon, Wed 08:00-18:00", (OFFICE, (), OFFICE, (), (), (), ()), id="a list"),
    pytest.param("Sat, Mon-Tue 08:00-18:00", (OFFICE, OFFICE, (), (), (), OFFICE, ()), id="mixed"),
    pytest.param("Sun-Tue 08:00-18:00", (OFFICE, OFFICE, *[()] * 4, OFFICE), id="past Sunday"),
    pytest.param("Mon 13:00-17:00, 08:00-12:00", (SPLIT, *[()] * 6), id="two spans"),
    pytest.param("Mon 08:00-12:00, Mon 13:00-17:00", (SPLIT, *[()] * 6), id="the day twice"),
    pytest.param("Mon 08:00-12:00, 12:00-18:00", (OFFICE, *[()] * 6), id="touching"),
    pytest.param("Mon, Mon 08:00-18:00", (OFFICE, *[()] * 6), id="a day named twice"),
    pytest.param("Mon-Sun 00:00-24:00", (ALL_DAY,) * 7, id="always"),
    pytest.param("Mon-Sun 00:00-00:00", (ALL_DAY,) * 7, id="until midnight"),
    pytest.param(
        "Mon 22:00-24:00, Tue 00:00-06:00",
        ((OpenHours(at(22), at(24)),), (OpenHours(at(0), at(6)),), *[()] * 5),
        id="a night",
    ),
]


@pytest.mark.parametrize(("text", "week"), READ)
def test_hours_are_read_as_they_are_meant(text: str, week: Week) -> None:
    assert parse_week(text) == week


REFUSED = [
    ("Funday 08:00-18:00", "Funday", "a day among Mon, Tue, Wed, Thu, Fri, Sat, Sun"),
    ("Mon-Foo 08:00-18:00", "Foo", "a day among Mon, Tue"),
    ("Mon 18:00-08:00", "Mon 18:00-08:00", "a later end than beginning"),
    ("Mon 08:00-08:00", "Mon 08:00-08:00", "a later end than beginning"),
    ("Mon 08:00-25:00", "25:00", "a time from 00:00 to 23:59"),
    ("Mon 24:00-24:00", "24:00", "a time from 00:00 to 23:59"),
    ("Mon 08:61-09:00", "08:61", "a time from 00:00 to 23:59"),
    ("Mon-Fri 08:00-12:00, Wed 11:00-13:00", "Wed 08:00-12:00, 11:00-13:00", "don't overlap"),
    ("Mon 20:00-24:00, 21:00-22:00", "Mon 20:00-24:00, 21:00-22:00", "don't overlap"),
    ("08:00-18:00", "08:00-18:00", "a day before the hours"),
    ("Mon 08:00-18:00, Tue", "Tue", "hours behind the days"),
    ("Mon 08:00", "Mon 08:00", "hours such as"),
    ("Mon 08:00-12:00,", "nothing between commas", "hours such as"),
    ("-Fri 08:00-12:00", "-Fri 08:00-12:00", "hours such as"),
    ("", "nothing between commas", "hours such as"),
    ("Mon 8-18", "Mon 8-18", "hours such as"),
    ("Mon 08:00-18:00, " * 200, "no such text", "2,000 characters"),
]


@pytest.mark.parametrize(("text", "got", "expected"), REFUSED)
def test_what_is_wrong_is_told_with_what_was_expected(text: str, got: str, expected: str) -> None:
    with pytest.raises(InvalidInput) as told:
        parse_week(text)

    facts = told.value.facts
    assert (facts["field"], facts["got"], expected in facts["expected"]) == ("hours", got, True)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("sat,sun 9:00-13:00", "Sat-Sun 09:00-13:00"),
        ("Sun-Mon 00:00-00:00", "Mon 00:00-24:00, Sun 00:00-24:00"),
        ("Mon 13:00-17:00, 8:00-12:00, Tue 08:00-12:00", "Mon 08:00-12:00, 13:00-17:00, Tue "
         "08:00-12:00"),
    ],
)  # fmt: skip
def test_a_week_is_written_in_one_way(text: str, written: str) -> None:
    assert write_week(parse_week(text)) == written


@st.composite
def days(draw: st.DrawFn) -> tuple[OpenHours, ...]:
    """Give the hours of a day: spans that don't touch."""
    ends = sorted(draw(st.sets(st.integers(0, 24 * 60), max_size=8)))
    pairs = zip(ends[::2], ends[1::2], strict=False)
    return tuple(OpenHours(*(time(each // 60 % 24, each % 60) for each in pair)) for pair in pairs)


@given(st.tuples(*[days()] * 7).filter(any))
def test_what_is_written_is_read_as_the_same_week(week: Week) -> None:
    assert parse_week(write_week(week)) == week
