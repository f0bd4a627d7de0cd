"""F4: measure a single transition, from submit to result, against a no-op task of Celery.

Both go to the same worker over the same broker, in turn, and both wait for a result.
"""

from time import perf_counter

from celery import Celery

import lockside
from benchmarks.house import NOOP, Announce, House, workers
from benchmarks.measure import Figure, percentile

KIND = "ticket"
CYCLE = ("ONHOLD", "INPROGRESS")
ROWS = 10


def measure_f4(house: House, announce: Announce, *, quick: bool) -> list[Figure]:
    """Compare round trips: a transition's and a no-op's, one after the other."""
    warm_up, turns = (4, 10) if quick else (20, 400)
    house.build(ticket=ROWS)
    with house.database() as settings, workers(settings), lockside.connect(settings=settings) as s:
        announce(f"{turns} transitions and {turns} no-ops, one after the other")
        ids = s.ids(KIND)
        for turn in range(warm_up):
            _transition(s, ids, turn)
            _noop(s.app)
        taken: dict[str, list[float]] = {"transition": [], "no-op": []}
        for turn in range(warm_up, warm_up + turns):
            taken["transition"].append(_transition(s, ids, turn))
            taken["no-op"].append(_noop(s.app))
        versions = [s.row(KIND, row_id)["version"] for row_id in ids]
    assert sum(versions) == ROWS + warm_up + turns, versions
    ms = {
        name: {"p50": percentile(values, 0.5) * 1000, "p99": percentile(values, 0.99) * 1000}
        for name, values in taken.items()
    }
    return [
        Figure(
            id="F4",
            what="p50 of one transition, submit to result, against Celery's no-op round trip",
            ratio=ms["transition"]["p50"] / ms["no-op"]["p50"],
            goal=3.0,
            side="at most",
            detail={"turns": turns, "ms": ms},
        )
    ]


def _transition(site: lockside.Session, ids: list[int], turn: int) -> float:
    target = CYCLE[turn // ROWS % 2]
    begun = perf_counter()
    outcome = site.transition(KIND, to=target, ids=ids[turn % ROWS]).wait(30)
    taken_s = perf_counter() - begun
    assert outcome["state"] == "SUCCEEDED", outcome
    assert outcome["successful_items"] == 1, outcome
    return taken_s


def _noop(app: Celery) -> float:
    begun = perf_counter()
    app.send_task(NOOP, queue="interactive").get(timeout=30)
    return perf_counter() - begun
