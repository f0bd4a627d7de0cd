"""Why a row is due is told in the time that counts; the breaker knows what is usual."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from domain.business_time.calendar import Calendar, ElapsedTime, OpenHours
from domain.business_time.duration_text import Span, parse_span
from domain.policies.breaker import Breaker
from domain.policies.defaults import DEFAULTS
from domain.policies.policy import (
    ACT,
    WARN,
    Terms,
    due_sentence,
    plain_comment,
    template_fields,
    working_day,
)
from tests.sentences import Sentences

OFFICE = Calendar(ZoneInfo("Europe/Berlin"), ((OpenHours(time(9), time(17)),),) * 5 + ((),) * 2)
ALWAYS = Calendar(ZoneInfo("UTC"))
MONDAY = datetime(2026, 11, 16, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("passed", "limit", "told"),
    [
        (timedelta(minutes=5), timedelta(), "5 minutes, limit 0"),
        (timedelta(minutes=1), timedelta(), "1 minute, limit 0"),
        (timedelta(hours=30), timedelta(), "30 hours, limit 0"),
        (timedelta(minutes=61), HOUR, "61 minutes, limit 60"),
        (timedelta(hours=9), timedelta(minutes=90), "9 hours, limit 90 minutes"),
        (timedelta(hours=80), 72 * HOUR, "80 hours, limit 72"),
    ],
)
def test_time_is_told_by_the_minute_only_where_it_is_short(
    passed: timedelta, limit: timedelta, told: str
) -> None:
    found = due_sentence("due", MONDAY, passed, ALWAYS.zone, limit, unit="")

    assert found == f"due 2026-11-16 08:00 UTC, {told}"


def test_working_time_is_told_in_the_zone_of_its_calendar() -> None:
    passed = ElapsedTime(OFFICE, MONDAY + timedelta(days=4)).since(MONDAY)

    found = due_sentence("resolved", MONDAY, passed, OFFICE.zone, 24 * HOUR, unit="business ")

    assert found == "resolved 2026-11-16 09:00 CET, 32 business hours, limit 24"


def test_a_business_day_is_a_working_day_of_the_calendar() -> None:
    assert working_day(OFFICE) == 8 * HOUR
    assert working_day(ALWAYS) == 24 * HOUR
    terms = Terms("task", "id=1", "due", after=parse_span("2d1h"), grace=parse_span("1d"))

    assert terms.limit(OFFICE, WARN) == 17 * HOUR
    assert terms.limit(OFFICE, ACT, extra_minutes=30) == timedelta(hours=25, minutes=30)
    assert terms.limit(ALWAYS, ACT) == 73 * HOUR


@pytest.mark.parametrize("text", ["", "7", "d", "-2h", "+2h", "2 h", "1y", "h2"])
def test_what_is_no_span_is_refused(text: str, says: Sentences) -> None:
    with pytest.raises(ValueError, check=says):
        parse_span(text)


def test_a_span_keeps_its_days_apart() -> None:
    assert parse_span("1w2d12h30m5s") == Span(9, timedelta(hours=12, minutes=30, seconds=5))
    assert parse_span(" 72H ") == Span(0, timedelta(hours=72))


def test_a_comment_without_its_words_is_a_sentence_still() -> None:
    assert plain_comment("Auto-closed by system - {ticket_category}") == "Auto-closed by system"
    assert plain_comment("Closed") == "Closed"
    assert plain_comment(None) is None
    assert template_fields("Auto-closed by system - {ticket_category}") == ("ticket_category",)


def test_the_breaker_asks_for_a_history_first() -> None:
    assert Breaker(10, 0).most([2, 2]) is None
    assert Breaker(10, 0).most([2, 2, 2]) == 20


def test_the_breaker_knows_outages_small_numbers_and_what_was_released() -> None:
    breaker = Breaker(10, 100)

    assert breaker.most([1, 1, 1, 5]) == 100
    assert breaker.most([50] * 5) == 500
    assert breaker.most([50] * 5, periods=3) == 1500
    assert breaker.most([50] * 5, released=4000) == 8000
    assert breaker.most([1, 1, 1, 90_000]) == 100  # one wild run changes nothing


def test_what_takes_work_away_is_not_on_by_default() -> None:
    on = {each["name"] for each in DEFAULTS if each["mode"] == "on"}

    assert {each["name"] for each in DEFAULTS} - on == {"escalate-high-tickets", "stale-drafts"}
    assert len({each["name"] for each in DEFAULTS}) == len(DEFAULTS)
