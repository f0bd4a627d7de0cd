"""Spikes: what is far more than usual is told, what is as ever is not."""

from datetime import UTC, datetime, timedelta
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.audit.anomaly import HOUR, LIMIT, Spike, score_of, spikes_of

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
counts = st.lists(st.integers(0, 10_000), min_size=1, max_size=200)


def hours(*numbers: int, until: datetime = NOW) -> dict[datetime, int]:
    """Return counts by hour, the last of them for the hour that begins at *until*."""
    first = until - HOUR * (len(numbers) - 1)
    return {first + HOUR * place: number for place, number in enumerate(numbers)}


def found(series: dict[datetime, int], *, least: int = 10, **more: datetime) -> list[Spike]:
    given = {"first": min(series), "since": NOW - timedelta(days=1), "until": NOW + HOUR} | more
    return spikes_of(series, least=least, **given)


@given(counts, st.integers(0, 10_000))
def test_the_usual_is_the_median_and_no_score_is_endless(history: list[int], came: int) -> None:
    usual, score = score_of(came, history)

    assert usual == median(history)
    assert abs(score) <= abs(came - usual)
    assert (score > 0) == (came > usual)


@given(counts, st.integers(0, 10_000), st.integers(0, 100))
def test_more_is_never_less_of_a_spike(history: list[int], came: int, more: int) -> None:
    assert score_of(came + more, history)[1] >= score_of(came, history)[1]


@given(counts.filter(lambda each: len(each) >= 3), st.integers(10_000, 10**9))
def test_one_wild_hour_hides_no_other(history: list[int], wild: int) -> None:
    usual, _ = score_of(wild, [*history, wild])

    assert usual <= max(history)


@given(st.lists(st.integers(0, 100), min_size=25, max_size=400), st.integers(0, 100))
def test_a_spike_is_always_more_than_the_least_and_the_limit(
    numbers: list[int], least: int
) -> None:
    for spike in found(hours(*numbers), least=least):
        assert spike.came - spike.usual >= least or spike.total > spike.came
        assert spike.score >= LIMIT
        assert NOW - timedelta(days=1) <= spike.since < spike.until <= NOW + HOUR


@given(st.integers(0, 1_000), st.integers(25, 400))
def test_what_is_always_the_same_is_no_spike(number: int, length: int) -> None:
    assert found(hours(*[number] * length)) == []


def test_a_spike_is_told_with_what_was_usual_and_since_when() -> None:
    (spike,) = found(hours(*[2, 3, 4] * 20, 50, 80, 40))

    assert spike == Spike(
        since=NOW - 2 * HOUR,
        until=NOW + HOUR,
        usual=3.0,
        came=80,
        total=170,
        score=spike.score,
        compared_with="the hours before",
    )


def test_hours_apart_are_spikes_of_their_own() -> None:
    told = found(hours(*[2] * 60, 50, 2, 50))

    assert [each.since for each in told] == [NOW - 2 * HOUR, NOW]


def test_small_counts_are_no_spike() -> None:
    assert found(hours(*[0] * 60, 9)) == []


def test_some_more_than_a_steady_number_is_no_spike() -> None:
    assert found(hours(*[10_000] * 60, 12_000)) == []


def test_with_less_than_a_day_of_history_nothing_is_told() -> None:
    assert found(hours(*[0] * 23, 1_000)) == []


@pytest.mark.parametrize("number", [1_000, 1_100])
def test_what_comes_every_week_is_no_spike(number: int) -> None:
    weekly = {NOW - timedelta(weeks=week): 1_000 for week in range(1, 9)}

    assert found(weekly | {NOW: number}, first=NOW - timedelta(weeks=9)) == []


def test_what_comes_every_morning_is_no_spike() -> None:
    daily = {NOW - timedelta(days=day): 1_000 for day in range(1, 15)}

    assert found(daily | {NOW: 1_000}, first=NOW - timedelta(days=15)) == []


def test_the_same_in_another_hour_is_one() -> None:
    weekly = {NOW - timedelta(weeks=week): 1_000 for week in range(1, 9)}
    elsewhere = NOW - 3 * HOUR

    told = found(weekly | {elsewhere: 1_000}, first=NOW - timedelta(weeks=9))

    assert [(each.since, each.compared_with) for each in told] == [
        (elsewhere, "the same hour of the week")
    ]
