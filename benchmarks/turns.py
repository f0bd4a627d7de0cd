"""T1 and T2: measure how a tenant's million rows slow down another tenant on the same worker.

First the other tenant is alone: single transitions one after the other, then a job of ten
thousand rows. Then it does the same beside the large job, which has to last longer.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

import lockside
from benchmarks.house import Announce, House, workers
from benchmarks.measure import Figure, percentile
from benchmarks.single import CYCLE
from benchmarks.ways import WAYS, rows_of
from engine.records.tenants import open_tenant
from worker.settings import Settings

NEIGHBOUR = "neighbour"
ROWS = 10
WARM_UP = 20


def measure_turns(house: House, announce: Announce, *, quick: bool) -> list[Figure]:
    """Compare a tenant's waiting alone with its waiting beside a neighbour's large job."""
    large, job, singles = (3000, 500, 8) if quick else (1_000_000, 10_000, 200)
    # With the rows of F3, though nothing here is warmed up with them.
    house.build(work_order=large + house.warm_up_rows)
    p95: dict[str, float] = {}
    took: dict[str, float] = {}
    with house.database() as settings, _tenant(settings, 2 * job) as site, workers(settings):
        ids = site.ids("work_order")
        _singles(site, 4 if quick else WARM_UP)
        announce(f"{singles} transitions and {job:,} rows, alone")
        p95["alone"] = percentile(_singles(site, singles), 0.95)
        took["alone"] = _job(site, ids[:job])
        with lockside.connect(settings=settings) as other:
            running = other.transition(
                "work_order", to="APPROVED", where=f"id <= {large}", atomic=False
            )
            announce(f"{singles} transitions and {job:,} rows, beside {large:,} of another tenant")
            p95["beside"] = percentile(_singles(site, singles), 0.95)
            took["beside"] = _job(site, ids[job:])
            state = running.show()["state"]
            assert quick or state == "RUNNING", "the large job has to outlast what is measured"
            if state == "RUNNING":
                running.cancel()
            running.wait(60)
    detail = {"large": large, "job": job, "singles": singles, "p95_s": p95, "job_s": took}
    return [
        Figure(
            id="T1",
            what="p95 of one transition beside another tenant's million rows, against alone",
            ratio=p95["beside"] / p95["alone"],
            goal=5.0,
            side="at most",
            detail=detail,
        ),
        Figure(
            id="T2",
            what=f"time of {job:,} rows beside another tenant's million, against alone",
            ratio=took["beside"] / took["alone"],
            goal=3.0,
            side="at most",
            detail=detail,
        ),
    ]


@contextmanager
def _tenant(settings: Settings, rows: int) -> Iterator[lockside.Session]:
    """Yield a session of a second tenant with so many work orders, and a few tickets."""
    with lockside.connect(settings=settings) as site:
        open_tenant(site.platform, NEIGHBOUR, {"admin": ["admin", "manager"]})
        site.act_as(NEIGHBOUR, "admin")
        site.import_work("work_order", list(rows_of(site, "work_order", rows)))
        ticket = {"title": "Single", "state": WAYS["ticket"].source}
        site.import_work("ticket", [ticket] * ROWS)
        yield site


def _singles(site: lockside.Session, count: int) -> list[float]:
    """Return how long each of so many transitions took, one after the other."""
    taken = []
    ids = site.ids("ticket")
    for turn in range(count):
        row_id = ids[turn % ROWS]
        there = site.row("ticket", row_id)["state"]
        begun = perf_counter()
        outcome = site.transition("ticket", to=CYCLE[there == CYCLE[0]], ids=row_id).wait(60)
        taken.append(perf_counter() - begun)
        assert outcome["successful_items"] == 1, outcome
    return taken


def _job(site: lockside.Session, ids: list[int]) -> float:
    """Return how long an operation on these rows took."""
    begun = perf_counter()
    outcome = site.transition("work_order", to="APPROVED", ids=ids, atomic=False).wait(120)
    assert outcome["successful_items"] == len(ids), outcome
    return perf_counter() - begun
