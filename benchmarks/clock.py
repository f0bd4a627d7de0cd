"""F10: measure the closure of tasks by a policy against a bulk transition by ids.

Time is taken from the tick to the operation's end and an empty outbox; it includes the selection
of the rows.
"""

from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

import psycopg

import lockside
from benchmarks.bulk import QUICK_ITEMS, is_drained, operate, warm_up
from benchmarks.house import Announce, House, libpq, until, workers
from benchmarks.measure import Figure, in_turn, medians
from benchmarks.ways import WAYS
from worker.settings import Settings

TASK = WAYS["task"]
POLICY = "overdue-tasks"
_TICK = "autoclose.tick"


def measure_f10(house: House, announce: Announce, *, quick: bool) -> list[Figure]:
    """Compare the closure of overdue tasks with F1's operation, and with it on the same tasks."""
    items, turns = (QUICK_ITEMS, 1) if quick else (100_000, 3)

    def by_ids(kind: str) -> float:
        house.build(**{kind: items + house.warm_up_rows})
        return operate(house, items, WAYS[kind]).rate

    def by_clock() -> float:
        house.build(task=items + house.warm_up_rows)
        with house.database() as settings:
            return _close(house, settings, items)

    ways: dict[str, Callable[[], float]] = {
        "F1": partial(by_ids, "work_order"),
        "tasks by ids": partial(by_ids, "task"),
        "the clock": by_clock,
    }
    rates = in_turn(ways, turns, announce)
    typical = medians(rates)
    return [
        Figure(
            id="F10",
            what="overdue tasks closed by the clock, selection included, against F1's operation",
            ratio=typical["the clock"] / typical["F1"],
            goal=0.7,
            side="at least",
            detail={
                "items": items,
                "items_per_s": {name: round(rate) for name, rate in typical.items()},
                "all_items_per_s": {
                    name: [round(r) for r in taken] for name, taken in rates.items()
                },
            },
        )
    ]


def _close(house: House, settings: Settings, items: int) -> float:
    """Return the items per second of a policy's run, from the tick to fully audited."""
    with (
        workers(settings),
        lockside.connect(settings=settings) as site,
        psycopg.connect(libpq(settings.database_url), autocommit=True) as db,
    ):
        for policy in site.autoclose.policies():
            site.autoclose.set_mode(policy["name"], "on" if policy["name"] == POLICY else "off")
        ids = site.ids("task")
        warm_up(house, site, db, TASK, ids[items:])
        begun = perf_counter()
        site.app.send_task(_TICK, queue="upkeep")
        until(lambda: _has_ended(db), pause_s=0.01)
        until(lambda: is_drained(db), pause_s=0.002)
        taken_s = perf_counter() - begun
        assert_closed(db, items)
    return items / taken_s


def _has_ended(db: "psycopg.Connection[Any]") -> bool:
    row = db.execute(
        "SELECT count(*) FROM scheduled_run r JOIN operation o ON o.id = r.operation_id"
        " WHERE o.finished_at IS NOT NULL"
    ).fetchone()
    return row == (1,)


def assert_closed(db: "psycopg.Connection[Any]", items: int) -> None:
    """Assert that every overdue task was closed once and has its one record."""
    row = db.execute(
        "SELECT (SELECT count(*) FROM field_task WHERE state = 'AUTOCLOSED' AND version = 2),"
        " (SELECT count(DISTINCT entity_id) FROM state_transition_audit"
        "   WHERE reason = 'system_auto' AND success),"
        " (SELECT count(*) FROM state_transition_audit WHERE reason = 'system_auto')"
    ).fetchone()
    assert row == (items, items, items), row
