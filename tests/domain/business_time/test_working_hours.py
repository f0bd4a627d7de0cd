"""Working hours: the same moment is day in one place and night in another."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.business_time.working_hours import USUAL, WorkingHours

FRIDAY = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("time", "are_over"),
    [
        (timedelta(hours=4, minutes=59), True),
        (timedelta(hours=5), False),
        (timedelta(hours=12), False),
        (timedelta(hours=21, minutes=59), False),
        (timedelta(hours=22), True),
        (timedelta(days=1, hours=12), True),
        (timedelta(days=2, hours=12), True),
        (timedelta(days=3, hours=12), False),
    ],
)
def test_nights_and_weekends_are_out_of_hours(time: timedelta, *, are_over: bool) -> None:
    assert USUAL.are_over(FRIDAY + time) is are_over


def test_the_clock_hangs_where_people_work() -> None:
    india = WorkingHours(zone=timezone(timedelta(hours=5, minutes=30)))

    assert USUAL.are_over(FRIDAY + timedelta(hours=4))
    assert not india.are_over(FRIDAY + timedelta(hours=4))


@given(st.datetimes(timezones=st.timezones()))
def test_who_always_works_is_never_out_of_hours(moment: datetime) -> None:
    assert not WorkingHours(begin=0, end=24, days=range(7)).are_over(moment)
