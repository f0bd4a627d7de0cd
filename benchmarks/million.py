"""F3: measure a million rows in one operation against ten thousand, chosen by a filter.

Time is taken from submitting to the operation's end *and* an empty outbox. The growth of the
worker's processes is measured from their warm-up to the end.
"""

from time import perf_counter

import psutil
import psycopg

import lockside
from benchmarks.bulk import QUICK_ITEMS, assert_done, is_drained, warm_up
from benchmarks.house import Announce, House, libpq, until, workers
from benchmarks.measure import Figure
from benchmarks.ways import WAYS

WORK_ORDER = WAYS["work_order"]
MEGABYTE = 2**20
PATIENCE_S = 600.0


def measure_f3(house: House, announce: Announce, *, quick: bool) -> list[Figure]:
    """Compare the rates of a large and a small operation, and measure the worker's memory."""
    large, small, turns = (QUICK_ITEMS, 500, 1) if quick else (1_000_000, 10_000, 3)
    rates: dict[str, list[float]] = {"small": []}
    for turn in range(turns):
        announce(f"{small:,} items, turn {turn + 1} of {turns}")
        rates["small"].append(_operate(house, small)[0])
    announce(f"{large:,} items")
    rate, grown = _operate(house, large)
    rates["large"] = [rate]
    typical = sorted(rates["small"])[turns // 2]
    detail = {"items": [small, large], "items_per_s": rates, "grown_mb": grown}
    return [
        Figure(
            id="F3a",
            what=f"items a second of {large:,} in one operation against {small:,}",
            ratio=rate / typical,
            goal=0.8,
            side="at least",
            detail=detail,
        ),
        Figure(
            id="F3b",
            what=f"megabytes by which a worker's process grows in {large:,} items",
            ratio=max(grown),
            goal=50.0,
            side="at most",
            detail=detail,
        ),
    ]


def _operate(house: House, items: int) -> tuple[float, list[float]]:
    """Return the items per second of one operation, and how far each process grew, in MB."""
    house.build(work_order=items + house.warm_up_rows)
    with (
        house.database() as settings,
        workers(settings) as pid,
        lockside.connect(settings=settings) as site,
        psycopg.connect(libpq(settings.database_url), autocommit=True) as db,
    ):
        warm_ids = site.ids("work_order", limit=house.warm_up_rows)
        warm_up(house, site, db, WORK_ORDER, warm_ids)
        before = _resident(pid)
        begun = perf_counter()
        outcome = site.transition(
            "work_order",
            to=WORK_ORDER.target,
            where="state=SUBMITTED",
            expect_count=items,
            atomic=False,
            comments="Measured",
        ).wait(PATIENCE_S)
        until(lambda: is_drained(db), pause_s=0.002)
        taken_s = perf_counter() - begun
        after = _resident(pid)
        assert outcome["state"] == "SUCCEEDED", outcome
        assert outcome["successful_items"] == items
        assert_done(db, items + house.warm_up_rows, WORK_ORDER)
    grown = [
        (after[process_id] - before[process_id]) / MEGABYTE
        for process_id in before.keys() & after.keys()
    ]
    return items / taken_s, grown


def _resident(pid: int) -> dict[int, int]:
    """Return the resident bytes of a worker's processes, by their ids."""
    worker = psutil.Process(pid)
    return {process.pid: process.memory_info().rss for process in (worker, *worker.children())}
