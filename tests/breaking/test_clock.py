"""Beats, workers and a clock may stop at any moment: what is due is closed once, nothing early."""

import os
import signal
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from domain.policies.policy import ON
from engine.audit.writer import write_records
from engine.ports.platform import database_clock
from tests.breaking.beats import beat
from tests.breaking.clock import FastClock
from tests.breaking.plant import Plant, eventually
from tests.checker import check_invariants
from tests.factories import tasks

pytestmark = pytest.mark.slow

BEGIN = datetime(2026, 11, 18, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SPEED = 300.0
"""A period of five minutes lasts a second."""

PERIOD = 5 * MINUTE
GRACE_MIN = 7

_CLOSED = text("""
SELECT a.entity_id, a.occurred_at, t.due_at + make_interval(mins => j.grace_minutes) AS due_at
  FROM state_transition_audit a
  JOIN field_task t ON t.id = a.entity_id JOIN job j ON j.id = t.job_id
 WHERE a.kind = 'task' AND a.success
""")


@pytest.mark.timeout(900)
def test_every_due_row_is_closed_once_and_none_early_whatever_stops(
    plant: Plant, tmp_path: Path
) -> None:
    late = due_every_minute(plant, 60)
    never = due_every_minute(plant, 5, first=10_000)
    clock = fast_clock(plant)
    extra = clock.environment
    ticking = partial(beat, plant, ticks="autoclose", extra=extra)

    with plant.worker(extra=extra) as worker, ticking(tmp_path / "one") as first:
        with ticking(tmp_path / "two"):
            eventually(lambda: closed(plant) > 5)
            # One dies between the tick and the run that it was to store, one beat for good.
            plant.gate.hold_at("ticked")
            plant.gate.next().kill()
            plant.gate.open()
            os.kill(first.pid, signal.SIGKILL)
            eventually(lambda: closed(plant) > 15)
        # Nobody is there for more than three periods.
        worker.kill()
    # What the killed worker had in hand may still commit: only then nobody is there.
    eventually(lambda: told_time(plant, clock) > newest_period(plant) + 2 * PERIOD)
    # However many were closed until now, on a machine however busy: these are due meanwhile.
    late += due_every_minute(plant, 10, first=(told_time(plant, clock) - BEGIN) // MINUTE)
    before, last = closed(plant), newest_period(plant)
    eventually(lambda: told_time(plant, clock) > last + 5 * PERIOD)
    assert (closed(plant), newest_period(plant)) == (before, last)
    with plant.worker(extra=extra), ticking(tmp_path / "three"):
        eventually(lambda: newest_period(plant) > last)
        eventually(lambda: closed(plant) == len(late))
        eventually(lambda: plant.ask("SELECT count(*) FROM ticket") == len(late))

    check(plant, late, never)


def check(plant: Plant, late: list[int], never: list[int]) -> None:
    """Check that all that is due, and nothing else, was closed once, and not before its time."""
    site = plant.site
    eventually(lambda: write_records(site.platform) or not plant.ask("SELECT count(*) FROM outbox"))
    check_invariants(site)
    with site.platform.database.connect() as db:
        records = db.execute(_CLOSED).all()
        raised = Counter(db.scalars(text("SELECT task_id FROM ticket")))
    assert Counter(each.entity_id for each in records) == Counter(late)
    assert [each for each in records if each.occurred_at < each.due_at] == []
    assert raised == Counter(late)
    assert {site.row("task", each)["state"] for each in never} == {"ASSIGNED"}
    runs = site.autoclose.history("overdue-tasks", idle=True, limit=1000)
    assert max(each["missed"] for each in runs) >= 3
    assert len({each["period"] for each in runs}) == len(runs)


def due_every_minute(plant: Plant, count: int, *, first: int = 0) -> list[int]:
    """Bring in tasks, one due each minute, whose job leaves them open for a while."""
    site = plant.site
    category = site.add_named("ticket_category", ["Elevator"])["Elevator"]
    job = site.records("job").create(
        name=f"Round {first}", grace_minutes=GRACE_MIN, ticket_category_id=category
    )
    found = []
    for n in range(count):
        found += tasks(site, 1, due_at=BEGIN + (first + n) * MINUTE, job_id=job["id"])
    return found


def fast_clock(plant: Plant) -> FastClock:
    """Return a clock that begins now; only the policies for overdue tasks are on."""
    site = plant.site
    for each in site.autoclose.policies():
        is_on = each["name"] in ("overdue-tasks", "overdue-tours")
        site.autoclose.set_mode(each["name"], ON if is_on else "off")
    with site.platform.database.connect() as db:
        return FastClock(database_clock(db), BEGIN, SPEED)


def newest_period(plant: Plant) -> datetime:
    """Return the newest period in which the policy ran."""
    (run,) = plant.site.autoclose.history("overdue-tasks", idle=True, limit=1)
    period: datetime = run["period"]
    return period


def told_time(plant: Plant, clock: FastClock) -> datetime:
    """Return what the clock tells now."""
    with plant.site.platform.database.connect() as db:
        return clock(db)


def closed(plant: Plant) -> Any:
    """Return how many tasks are closed."""
    return plant.ask("SELECT count(*) FROM field_task WHERE state = 'AUTOCLOSED'")
