"""F5: measure fifty concurrent clients on a hundred shared rows against rows of their own.

A client reads a row and moves it to the other of two states; every second time it sends the
version that it read. On shared rows some requests come too late: these must end as conflicts.
"""

import random
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from sqlalchemy import TextClause, text

import lockside
from benchmarks.house import Announce, House, until, workers
from benchmarks.measure import Figure, percentile

KIND = "ticket"
OTHER = {"INPROGRESS": "ONHOLD", "ONHOLD": "INPROGRESS"}
SHARED_ROWS = 100
OWN_ROWS = 2
HONEST = {"succeeded", "skipped", "illegal_transition", "concurrency_conflict"}

Sample = tuple[float, str]

# Every version after the first, which is its creation, has exactly one record of success.
_GAPS = text("""
SELECT count(*) FROM ticket t
 WHERE t.version - 1 <> (SELECT count(DISTINCT a.version) FROM state_transition_audit a
                          WHERE a.entity_id = t.id AND a.kind = 'ticket' AND a.success)
    OR t.version - 1 <> (SELECT count(*) FROM state_transition_audit a
                          WHERE a.entity_id = t.id AND a.kind = 'ticket' AND a.success)
""")


def measure_f5(house: House, announce: Announce, *, quick: bool) -> list[Figure]:
    """Compare the 99th percentile of waiting on shared rows with that on own rows."""
    clients, transitions, turns = (8, 2, 1) if quick else (50, 20, 2)
    house.build(ticket=SHARED_ROWS + clients * OWN_ROWS)
    samples: dict[str, list[Sample]] = {"own": [], "shared": []}
    with house.database() as settings, workers(settings), lockside.connect(settings=settings) as s:
        ids = s.ids(KIND)
        shared, own = ids[:SHARED_ROWS], ids[SHARED_ROWS:]
        rows = {
            "own": [own[client::clients] for client in range(clients)],
            "shared": [shared] * clients,
        }
        _crowd(s, rows["own"], 1)
        done = clients
        for turn in range(turns):
            for name, client_rows in rows.items():
                announce(f"{clients} clients on {name} rows, turn {turn + 1} of {turns}")
                samples[name] += _crowd(s, client_rows, transitions)
        until(lambda: not _count(s, text("SELECT count(*) FROM outbox")))
        done += sum(
            what == "succeeded" for taken_samples in samples.values() for _, what in taken_samples
        )
        outcomes = {
            name: Counter(what for _, what in taken_samples)
            for name, taken_samples in samples.items()
        }
        assert outcomes["shared"].keys() | outcomes["own"].keys() <= HONEST, outcomes
        assert set(outcomes["own"]) == {"succeeded"}, outcomes
        assert _count(s, _GAPS) == 0
        assert _count(s, text("SELECT sum(version - 1) FROM ticket")) == done
    p99 = {
        name: percentile([taken for taken, _ in taken_samples], 0.99)
        for name, taken_samples in samples.items()
    }
    return [
        Figure(
            id="F5",
            what=f"p99 of {clients} clients on {SHARED_ROWS} shared rows against rows of their own",
            ratio=p99["shared"] / p99["own"],
            goal=2.0,
            side="at most",
            detail={
                "clients": clients,
                "transitions": {
                    name: len(taken_samples) for name, taken_samples in samples.items()
                },
                "p99_ms": {name: round(value * 1000) for name, value in p99.items()},
                "outcomes": {name: dict(counted) for name, counted in outcomes.items()},
            },
        )
    ]


def _crowd(site: lockside.Session, rows: Sequence[Sequence[int]], transitions: int) -> list[Sample]:
    with ThreadPoolExecutor(len(rows)) as clients:
        seeds = range(len(rows))
        runs = clients.map(lambda seed: _client(site, rows[seed], transitions, seed), seeds)
        return [sample for run in runs for sample in run]


def _client(
    site: lockside.Session, rows: Sequence[int], transitions: int, seed: int
) -> list[Sample]:
    choose = random.Random(seed)  # noqa: S311 -- which row comes next is no secret
    return [_move(site, choose.choice(rows), careful=n % 2 == 1) for n in range(transitions)]


def _move(site: lockside.Session, row_id: int, *, careful: bool) -> Sample:
    """Return how long one transition took, and its outcome."""
    row = site.row(KIND, row_id)
    expected = {row_id: row["version"]} if careful else {}
    begun = perf_counter()
    outcome = site.transition(
        KIND, to=OTHER[row["state"]], ids=row_id, expected_versions=expected
    ).wait(60)
    taken_s = perf_counter() - begun
    if outcome["successful_items"]:
        return taken_s, "succeeded"
    return taken_s, "skipped" if outcome["skipped_items"] else min(outcome["failure_codes"])


def _count(site: lockside.Session, query: TextClause) -> int:
    with site.platform.database.connect() as db:
        return int(db.scalar(query) or 0)
