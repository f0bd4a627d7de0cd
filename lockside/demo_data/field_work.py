"""Seeded work of people on site: tasks of their rounds, and when they were there."""

from datetime import UTC, date, datetime, time, timedelta
from random import Random

from lockside.demo_data.master_data import (
    FENCES,
    JOBS,
    PLACES,
    SITES,
    MasterData,
    Month,
    Rows,
    some_time_ago,
    weighted_choice,
)

# Half of the tasks have yet to begin.
_TASK_STATES = (
    *(("ASSIGNED", 60), ("INPROGRESS", 15), ("WORKING", 9), ("STANDBY", 4), ("MAINTENANCE", 1)),
    *(("COMPLETED", 9), ("PARTIALLYCOMPLETED", 2)),
)
_BEGUN = ("INPROGRESS", "WORKING")
_WITHOUT_READINGS = 0.05
_WITHOUT_ASSIGNEE = 0.05
_TOUR = "Guard tour"
_TOUR_EVERY = 25
_CHECKPOINTS = 4
_WEEKS_H = 30 * 24

_OPEN_MONTH = (("PENDING", 85), ("APPROVED", 11), ("REJECTED", 4))
_SETTLED_MONTH = (
    ("PENDING", 1),
    ("APPROVED", 39),
    ("ADJUSTED", 3),
    ("REJECTED", 2),
    ("LOCKED", 55),
)
_OUTSIDE_FENCE = 0.04
_INSIDE_DEG = 0.001
_OUTSIDE_DEG = 0.05
_OFFSET_MIN = 330


def rounds(choose: Random, count: int, base: MasterData, now: datetime) -> Rows:
    """Yield field tasks; now and then a tour, followed by its checkpoints."""
    people = list(base.people)
    tour, left = None, 0
    for number in range(1, count + 1):
        reference = f"FT-{number:06}"
        place, state = choose.choice(SITES), weighted_choice(choose, _TASK_STATES)
        job = _job_of(choose, state)
        if number % _TOUR_EVERY == 0:
            job, tour, left = _TOUR, None, _CHECKPOINTS
        planned = now + timedelta(hours=choose.randint(-_WEEKS_H, _WEEKS_H))
        person = choose.choice(people)
        is_nobodys = state == "ASSIGNED" and choose.random() < _WITHOUT_ASSIGNEE
        what = "Checkpoint" if tour else job
        yield {
            "reference": reference,
            "title": f"{what}, {place}, {choose.choice(PLACES)}",
            "job_id": base.jobs[_TOUR if tour else job],
            "parent_id": tour,
            "site_id": base.sites[place],
            "assigned_to_user": None if is_nobodys else base.people[person],
            "assigned_to_team": None if is_nobodys else base.team_of(person),
            "planned_at": planned,
            "due_at": planned + timedelta(hours=4),
            "state": state,
            "state_since": some_time_ago(choose, now),
        }
        tour = (tour or reference) if left else None
        left = max(0, left - 1)


def _job_of(choose: Random, state: str) -> str:
    # What has begun can be completed, but for a few whose readings nobody took.
    asks = choose.random() < _WITHOUT_READINGS
    fit = [name for name, (asked, _) in JOBS.items() if bool(asked) == asks]
    return choose.choice(fit if state in _BEGUN else list(JOBS))


def attended(choose: Random, count: int, base: MasterData, now: datetime) -> Rows:
    """Yield the punches of the months that are paid up to now."""
    offset = timedelta(minutes=_OFFSET_MIN)
    yesterday = (now + offset).date() - timedelta(days=1)
    days = (yesterday - Month.until(now.date())[-1].starts_on).days
    people = list(base.people)
    for number in range(1, count + 1):
        place, person = choose.choice(SITES), choose.choice(people)
        day = yesterday - timedelta(days=choose.randint(0, days))
        came = datetime.combine(day, time(), UTC) - offset
        came += timedelta(minutes=choose.randint(8 * 60, 10 * 60))
        is_away = choose.random() < _OUTSIDE_FENCE
        latitude, longitude = FENCES[place]
        yield {
            "reference": f"AT-{number:06}",
            "person_id": base.people[person],
            "site_id": base.sites[place],
            "datefor": day,
            "punchintime": came,
            "punchouttime": came + timedelta(minutes=choose.randint(7 * 60, 10 * 60)),
            "ctzoffset": _OFFSET_MIN,
            "punchin_latitude": latitude + (_OUTSIDE_DEG if is_away else _near(choose)),
            "punchin_longitude": longitude + _near(choose),
            "state": weighted_choice(choose, _states_of(day, now)),
            "state_since": came + timedelta(hours=choose.randint(11, 14)),
        }


def _states_of(day: date, now: datetime) -> tuple[tuple[str, int], ...]:
    return _OPEN_MONTH if now < Month.of(day).cutoff_at else _SETTLED_MONTH


def _near(choose: Random) -> float:
    return choose.uniform(-_INSIDE_DEG, _INSIDE_DEG)
