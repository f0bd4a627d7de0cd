"""Business time: against a plain count of quarters, in many zones, over both edges of DST."""

from datetime import UTC, date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest

from domain.business_time.calendar import ALL_DAY, Calendar, ElapsedTime, OpenHours
from domain.errors import InvalidInput
from tests.sentences import Sentences

ZONES = (
    *("UTC", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Tokyo", "Asia/Dubai", "Asia/Tehran"),
    *("Asia/Beirut", "Asia/Gaza", "Asia/Jerusalem", "Australia/Sydney", "Australia/Adelaide"),
    *("Australia/Lord_Howe", "Pacific/Auckland", "Pacific/Chatham", "Pacific/Apia"),
    *("Europe/London", "Europe/Berlin", "Europe/Lisbon", "Europe/Chisinau", "Africa/Cairo"),
    *("Africa/Casablanca", "Africa/Lagos", "Atlantic/Azores", "America/New_York"),
    *("America/Los_Angeles", "America/St_Johns", "America/Sao_Paulo", "America/Santiago"),
    *("America/Havana", "America/Nuuk", "America/Caracas", "Antarctica/Troll"),
)
CASES = 10_000
NEAR_AN_EDGE = 0.7
UTC_ZONE = ZoneInfo("UTC")
MINUTE = timedelta(minutes=1)
QUARTER = timedelta(minutes=15)
OFFICE = (OpenHours(time(9), time(12)), OpenHours(time(13), time(17, 30)))
WEEK = (OFFICE,) * 5 + ((), ())
BERLIN = Calendar(ZoneInfo("Europe/Berlin"), WEEK)


def counted(calendar: Calendar, since: datetime, until: datetime) -> timedelta:
    """Count the working quarters of an hour, by what the wall clock shows in each."""
    quarters = 0
    moment = since
    while moment < until:
        wall = moment.astimezone(calendar.zone)
        at = wall.time()
        quarters += wall.date() not in calendar.holidays and any(
            hours.since <= at and (at < hours.until or hours.until == time.min)
            for hours in calendar.week[wall.weekday()]
        )
        moment += QUARTER
    return quarters * QUARTER


def edges(zone: ZoneInfo) -> list[datetime]:
    """Return the moments, to the minute, at which a zone's offset changes in three years."""
    found = []
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    hour = timedelta(hours=1)
    while moment < datetime(2027, 1, 1, tzinfo=UTC):
        if moment.astimezone(zone).utcoffset() != (moment + hour).astimezone(zone).utcoffset():
            at = moment
            while at.astimezone(zone).utcoffset() == moment.astimezone(zone).utcoffset():
                at += QUARTER
            found.append(at)
        moment += hour
    return found


def any_calendar(dice: Random, zone: ZoneInfo) -> Calendar:
    """Return a week of random hours, with a few holidays."""

    def day() -> tuple[OpenHours, ...]:
        marks = sorted(dice.sample(range(0, 24 * 60 + 1, 15), 2 * dice.randint(0, 2)))
        at = [time(mark // 60 % 24, mark % 60) for mark in marks]
        return tuple(OpenHours(*at[n : n + 2]) for n in range(0, len(at), 2))

    week = (ALL_DAY,) * 7 if dice.random() < 0.2 else tuple(day() for _ in range(7))
    days = [date(2024, 1, 1) + timedelta(days=dice.randrange(1096)) for _ in range(200)]
    return Calendar(zone, week, frozenset(days))


@pytest.mark.parametrize("name", ZONES)
@pytest.mark.slow
def test_business_time_is_what_a_plain_count_gives(name: str) -> None:
    dice = Random(f"business time {name}")  # noqa: S311 -- no secret
    zone = ZoneInfo(name)
    changes = edges(zone) or [datetime(2025, 3, 30, 1, tzinfo=UTC)]

    for _ in range(CASES // len(ZONES) + 1):
        calendar = any_calendar(dice, zone)
        anywhere = datetime(2024, 6, 1, tzinfo=UTC) + dice.randrange(60_000) * QUARTER
        near = dice.choice(changes) if dice.random() < NEAR_AN_EDGE else anywhere
        since = near - dice.randrange(2 * 96) * QUARTER
        until = since + dice.randrange(4 * 96) * QUARTER

        expected = counted(calendar, since, until)
        assert calendar.elapsed(since, until) == expected, (calendar, since)
        assert ElapsedTime(calendar, until).since(since) == expected, (calendar, since)


@pytest.mark.parametrize("name", ZONES)
def test_ago_is_the_last_moment_since_which_so_much_business_time_passed(name: str) -> None:
    dice = Random(f"ago {name}")  # noqa: S311 -- no secret
    zone = ZoneInfo(name)
    for _ in range(10):
        calendar = any_calendar(dice, zone)
        moment = datetime(2025, 1, 1, tzinfo=UTC) + dice.randrange(500_000) * MINUTE
        amount = dice.randrange(1, 100 * 60) * MINUTE
        earlier = calendar.ago(moment, amount)
        if earlier is None:
            assert not any(calendar.week)
            continue

        assert calendar.elapsed(earlier, moment) == amount
        assert calendar.elapsed(earlier + MINUTE, moment) < amount


@pytest.mark.parametrize(
    ("since", "until", "hours"),
    [
        ("2026-11-16T09:00", "2026-11-16T17:30", 7.5),  # a day with its lunch
        ("2026-11-13T17:00", "2026-11-16T09:30", 1.0),  # over a weekend
        ("2026-11-14T09:00", "2026-11-15T17:00", 0.0),
        ("2026-11-16T17:00", "2026-11-16T09:00", 0.0),  # the other way round
    ],
)
def test_an_office_week(since: str, until: str, hours: float) -> None:
    begin, end = (
        datetime.fromisoformat(each).replace(tzinfo=BERLIN.zone) for each in (since, until)
    )

    assert BERLIN.elapsed(begin, end) == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("day", "hours"), [((2026, 3, 29), 23), ((2026, 10, 25), 25), ((2026, 6, 1), 24)]
)
def test_a_day_is_as_long_as_its_clock_makes_it(day: tuple[int, int, int], hours: int) -> None:
    calendar = Calendar(BERLIN.zone)
    begin = datetime(*day, tzinfo=BERLIN.zone)

    end = datetime.combine(begin.date() + timedelta(days=1), time.min, BERLIN.zone)
    assert calendar.elapsed(begin, end) == timedelta(hours=hours)


def test_a_holiday_counts_for_nothing() -> None:
    calendar = Calendar(BERLIN.zone, WEEK, frozenset({date(2026, 12, 25)}))
    begin, end = (datetime(2026, 12, day, tzinfo=BERLIN.zone) for day in (24, 26))

    assert calendar.elapsed(begin, end) == timedelta(hours=7.5)


def test_who_never_works_reaches_no_limit() -> None:
    never = Calendar(BERLIN.zone, ((),) * 7)
    now = datetime(2026, 11, 22, tzinfo=UTC)

    assert never.ago(now, MINUTE) is None


def test_what_had_passed_is_the_same_however_many_ask_and_in_whatever_order() -> None:
    until = datetime(2026, 11, 20, 13, tzinfo=UTC)
    passed = ElapsedTime(BERLIN, until)
    begins = [until - timedelta(hours=n * 37) for n in (3, 200, 0, 45, 1000, 1, -5)]

    assert [passed.since(each) for each in begins] == [
        BERLIN.elapsed(each, until) for each in begins
    ]


def test_whoever_is_always_there_needs_no_days_counted() -> None:
    always = Calendar(UTC_ZONE)
    now = datetime(2026, 11, 22, tzinfo=UTC)

    assert always.ago(now, timedelta(days=3_000)) == now - timedelta(days=3_000)
    assert always.ago(now, timedelta(days=900_000)) is None
    assert always.elapsed(now - timedelta(days=3_000), now) == timedelta(days=3_000)


def test_hours_that_end_before_they_begin_are_refused(says: Sentences) -> None:
    with pytest.raises(InvalidInput, check=says):
        OpenHours(time(22), time(6))


def test_a_moment_works_if_time_passes_after_it() -> None:
    dice = Random("working")  # noqa: S311 -- no secret
    for _ in range(200):
        zone = ZoneInfo(dice.choice(ZONES))
        calendar = any_calendar(dice, zone)
        moment = datetime(2025, 1, 1, tzinfo=UTC) + dice.randrange(500_000) * MINUTE

        passes = calendar.elapsed(moment, moment + timedelta(seconds=1)) > timedelta()

        assert calendar.is_working(moment) is passes, (calendar, moment)
