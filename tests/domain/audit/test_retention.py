"""Months are cold, and gone, by their last moment; the calendar's odd days included."""

from datetime import UTC, date, datetime

import pytest

from domain.audit.retention import Retention, month_after, month_of, span_of

KEPT = Retention()


@pytest.mark.parametrize(
    ("now", "before"),
    [
        (datetime(2026, 8, 29, 23, 59, tzinfo=UTC), date(2026, 5, 1)),
        (datetime(2026, 8, 30, tzinfo=UTC), date(2026, 6, 1)),
        (datetime(2026, 1, 15, tzinfo=UTC), date(2025, 10, 1)),
    ],
)
def test_a_month_is_cold_ninety_days_after_its_end(now: datetime, before: date) -> None:
    assert KEPT.cold_before(now) == before


def test_nothing_is_kept_for_more_than_two_years() -> None:
    assert KEPT.gone_before(datetime(2028, 6, 1, tzinfo=UTC)) == datetime(2026, 6, 1, tzinfo=UTC)


def test_two_years_before_the_29th_of_february_is_the_28th() -> None:
    assert KEPT.gone_before(datetime(2028, 2, 29, tzinfo=UTC)) == datetime(2026, 2, 28, tzinfo=UTC)


def test_a_key_is_gone_30_days_after_its_operations_end_and_that_after_90() -> None:
    now = datetime(2026, 11, 22, 9, tzinfo=UTC)

    assert KEPT.keys_gone_before(now) == datetime(2026, 10, 23, 9, tzinfo=UTC)
    assert KEPT.operations_gone_before(now) == datetime(2026, 8, 24, 9, tzinfo=UTC)


@pytest.mark.parametrize(("years", "since"), [(1, 2027), (2, 2026), (5, 2026)])
def test_a_longer_span_makes_nothing_missing_that_a_shorter_one_dropped(
    years: int, since: int
) -> None:
    surely = Retention(kept_years=years).surely_kept_from(datetime(2028, 6, 1, tzinfo=UTC))

    assert surely == datetime(since, 6, 1, tzinfo=UTC)


def test_a_month_ends_where_the_next_begins() -> None:
    december = date(2026, 12, 1)

    assert month_after(december) == date(2027, 1, 1)
    assert span_of(december) == (
        datetime(2026, 12, 1, tzinfo=UTC),
        datetime(2027, 1, 1, tzinfo=UTC),
    )


def test_a_moment_is_in_the_month_that_utc_says() -> None:
    assert month_of(datetime.fromisoformat("2026-06-01T03:00:00+05:30")) == date(2026, 5, 1)
