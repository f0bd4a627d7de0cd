"""Demo field work: generate the field tasks and the attendance records of a demo."""

from datetime import UTC, date, datetime, time, timedelta
from random import Random

from lockside.demo_data.choices import choices, some_time_ago
from lockside.demo_data.master_data import MasterData, Month, Rows

_BEGUN = ("INPROGRESS", "WORKING")
_WITHOUT_READINGS = 0.05
_WITHOUT_ASSIGNEE = 0.05
_TOUR = "Guard tour"
_TOUR_EVERY = 25
_CHECKPOINTS = 4
_WEEKS_H = 30 * 24

_OUTSIDE_FENCE = 0.04
_INSIDE_DEG = 0.001
_OUTSIDE_DEG = 0.05
_OFFSET_MIN = 330


def field_tasks(choose: Random, count: int, base: MasterData, now: datetime) -> Rows:
    """Yield field tasks; every 25th is a tour, and its checkpoints follow."""
    demo = choices()
    sites = list(demo.sites)
    people = list(base.people)
    tour, left = None, 0
    for number in range(1, count + 1):
        reference = f"FT-{number:06}"
        site, state = choose.choice(sites), demo.weighted(choose, "task_state")
        job = _job_of(choose, state)
        if number % _TOUR_EVERY == 0:
            job, tour, left = _TOUR, None, _CHECKPOINTS
        planned = now + timedelta(hours=choose.randint(-_WEEKS_H, _WEEKS_H))
        person = choose.choice(people)
        is_unassigned = state == "ASSIGNED" and choose.random() < _WITHOUT_ASSIGNEE
        what = "Checkpoint" if tour else job
        yield {
            "reference": reference,
            "title": f"{what}, {site}, {choose.choice(demo.places)}",
            "job_id": base.jobs[_TOUR if tour else job],
            "parent_id": tour,
            "site_id": base.sites[site],
            "assigned_to_user": None if is_unassigned else base.people[person],
            "assigned_to_team": None if is_unassigned else base.team_of(person),
            "planned_at": planned,
            "due_at": planned + timedelta(hours=4),
            "state": state,
            "state_since": some_time_ago(choose, now),
        }
        tour = (tour or reference) if left else None
        left = max(0, left - 1)


def _job_of(choose: Random, state: str) -> str:
    # Begun tasks can be completed, except for a few that lack their readings.
    needs_readings = choose.random() < _WITHOUT_READINGS
    jobs = choices().jobs
    fit = [name for name, job in jobs.items() if bool(job["asks_for"]) == needs_readings]
    return choose.choice(fit if state in _BEGUN else list(jobs))


def attendance_records(choose: Random, count: int, base: MasterData, now: datetime) -> Rows:
    """Yield attendance records of the payroll months, up to yesterday."""
    demo = choices()
    sites = list(demo.sites)
    offset = timedelta(minutes=_OFFSET_MIN)
    yesterday = (now + offset).date() - timedelta(days=1)
    days = (yesterday - Month.until(now.date())[-1].starts_on).days
    people = list(base.people)
    for number in range(1, count + 1):
        site, person = choose.choice(sites), choose.choice(people)
        day = yesterday - timedelta(days=choose.randint(0, days))
        punch_in = datetime.combine(day, time(), UTC) - offset
        punch_in += timedelta(minutes=choose.randint(8 * 60, 10 * 60))
        is_outside = choose.random() < _OUTSIDE_FENCE
        latitude, longitude = demo.sites[site]
        yield {
            "reference": f"AT-{number:06}",
            "person_id": base.people[person],
            "site_id": base.sites[site],
            "datefor": day,
            "punchintime": punch_in,
            "punchouttime": punch_in + timedelta(minutes=choose.randint(7 * 60, 10 * 60)),
            "ctzoffset": _OFFSET_MIN,
            "punchin_latitude": latitude + (_OUTSIDE_DEG if is_outside else _near(choose)),
            "punchin_longitude": longitude + _near(choose),
            "state": demo.weighted(choose, _weights_of(day, now)),
            "state_since": punch_in + timedelta(hours=choose.randint(11, 14)),
        }


def _weights_of(day: date, now: datetime) -> str:
    return "open_month_state" if now < Month.of(day).cutoff_at else "settled_month_state"


def _near(choose: Random) -> float:
    return choose.uniform(-_INSIDE_DEG, _INSIDE_DEG)
