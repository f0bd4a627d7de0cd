"""F1 and F6: measure a bulk transition against a bare statement, and the cost of its guards.

Every round has a database of its own, copied from one template, so that all begin alike. Time is
taken from submitting to the operation's end *and* an empty outbox, when it is fully audited.
"""

from functools import partial
from time import perf_counter, sleep
from uuid import uuid4

import psycopg

import lockside
from benchmarks.house import Announce, House, libpq, until, workers
from benchmarks.measure import Figure, Run, in_turn, medians
from benchmarks.ways import WAYS, Way

WORK_ORDER = WAYS["work_order"]
FLOOR_CHUNK = 1000
QUICK_ITEMS = 1500

# The least that any program has to do: change a chunk's rows and insert their records.
_FLOOR = """
WITH changed AS (
  UPDATE work_order SET state = 'APPROVED', version = version + 1, state_since = now(),
         updated_at = now(), updated_by = %(actor)s
   WHERE id = ANY(%(ids)s) AND state = 'SUBMITTED'
  RETURNING id, version, tenant_id
)
INSERT INTO state_transition_audit (event_id, occurred_at, tenant_id, correlation_id, actor_id,
  kind, entity_id, version, from_state, to_state, time_in_previous_state_s, reason, comments,
  metadata, success, execution_time_ms, lock_acquisition_time_ms, lock_key, isolation_level,
  retry_attempt)
SELECT CAST(%(prefix)s || lpad(to_hex(id), 12, '0') AS uuid), now(), tenant_id, %(operation)s,
       %(actor)s, 'work_order', id, version, 'SUBMITTED', 'APPROVED', 0, 'bulk', 'Floor', '{}',
       true, 0, 0, 'lockside:lock:' || tenant_id || ':work_order:' || id, 'READ COMMITTED', 0
  FROM changed
"""


def measure_f1(house: House, announce: Announce, *, quick: bool) -> list[Figure]:
    """Compare an operation with one connection that sends one statement for each chunk."""
    items, turns = (QUICK_ITEMS, 1) if quick else (100_000, 3)
    house.build(work_order=items + house.warm_up_rows)
    behind_s: list[float] = []

    def measure() -> float:
        run = operate(house, items)
        behind_s.append(run.behind_s)
        return run.rate

    rates = in_turn(
        {"floor": lambda: _floor(house, items), "lockside": measure},
        turns,
        announce,
    )
    typical = medians(rates)
    detail = _detail(items, rates, typical) | {"behind_s": behind_s}
    return [
        Figure(
            id="F1",
            what="bulk transition, submitted to fully audited, against the one-statement floor",
            ratio=typical["lockside"] / typical["floor"],
            goal=0.5,
            side="at least",
            detail=detail,
        ),
        Figure(
            id="F1s",
            what=f"seconds from the end of {items:,} items until all records are sealed",
            ratio=max(behind_s),
            goal=2.0,
            side="at most",
            detail=detail,
        ),
    ]


def measure_f6(house: House, announce: Announce, *, quick: bool) -> list[Figure]:
    """Compare the operation of F1 with itself without Redis locks and without the guard."""
    items, turns = (QUICK_ITEMS, 1) if quick else (100_000, 5)
    house.build(work_order=items + house.warm_up_rows)
    rates = in_turn(
        {
            "all guards": lambda: operate(house, items).rate,
            "no Redis locks": lambda: operate(house, items, locks=False).rate,
            "no database guard": lambda: operate(house, items, guard=False).rate,
        },
        turns,
        announce,
    )
    typical = medians(rates)
    detail = _detail(items, rates, typical)
    return [
        Figure(
            id=name,
            what=f"time of F1's operation with {what} against without",
            ratio=typical[without] / typical["all guards"],
            goal=goal,
            side="at most",
            detail=detail,
        )
        for name, what, without, goal in (
            ("F6a", "Redis locks", "no Redis locks", 1.4),
            ("F6b", "the database guard", "no database guard", 1.15),
        )
    ]


def measure_kinds(house: House, announce: Announce, *, quick: bool) -> list[Figure]:
    """Compare F1's operation on each kind of work, on a transition that has rules."""
    items, turns = (QUICK_ITEMS, 1) if quick else (100_000, 3)

    def measure(way: Way) -> float:
        house.build(**{way.kind: items + house.warm_up_rows})
        return operate(house, items, way).rate

    rates = in_turn({name: partial(measure, way) for name, way in WAYS.items()}, turns, announce)
    typical = medians(rates)
    return [
        Figure(
            id="F1k",
            what="F1's operation on the slowest kind of work against the fastest",
            ratio=min(typical.values()) / max(typical.values()),
            goal=0.75,
            side="at least",
            detail=_detail(items, rates, typical),
        )
    ]


def operate(
    house: House,
    items: int,
    way: Way = WORK_ORDER,
    *,
    locks: bool = True,
    guard: bool = True,
) -> Run:
    """Measure one operation; a quick run measures no operation a second time."""
    arguments = (items, way, locks, guard)
    if not house.quick or arguments not in house.measured:
        house.measured[arguments] = _operate(house, items, way, locks=locks, guard=guard)
    return house.measured[arguments]


def _operate(house: House, items: int, way: Way, *, locks: bool, guard: bool) -> Run:
    with house.database() as settings:
        adapted = settings.model_copy(update={"redis_locks": locks})
        with (
            workers(adapted),
            lockside.connect(settings=adapted) as site,
            psycopg.connect(libpq(adapted.database_url), autocommit=True) as db,
        ):
            if not guard:
                db.execute(f"ALTER TABLE {way.table} DISABLE TRIGGER USER".encode())
            ids = site.ids(way.kind)
            warm_up(house, site, db, way, ids[items:])
            begun = perf_counter()
            outcome = _submit(site, way, ids[:items]).wait(120)
            ended = perf_counter()
            until(lambda: is_drained(db), pause_s=0.002)
            taken_s = perf_counter() - begun
            assert outcome["state"] == "SUCCEEDED", outcome
            assert outcome["successful_items"] == items
            assert_done(db, len(ids), way)
    return Run(items / taken_s, taken_s - (ended - begun))


def _submit(site: lockside.Session, way: Way, ids: list[int]) -> lockside.Operation:
    return site.transition(way.kind, to=way.target, ids=ids, atomic=False, comments="Measured")


def warm_up(
    house: House,
    site: lockside.Session,
    db: "psycopg.Connection[tuple[int, ...]]",
    way: Way,
    ids: list[int],
) -> None:
    # Afterwards each process has its connections and its prepared statements, as any worker after
    # its first minute.
    for half in (ids[::2], ids[1::2]):
        running = [_submit(site, way, [row_id]) for row_id in half]
        assert all(operation.wait(60)["state"] == "SUCCEEDED" for operation in running)
    until(lambda: is_drained(db))
    if not house.quick:
        # A wake-up of the audit writer may still be in the queue.
        sleep(1)


def _floor(house: House, items: int) -> float:
    """Return the items per second of one connection that does the bare minimum."""
    with (
        house.database() as settings,
        psycopg.connect(libpq(settings.database_url), autocommit=True) as db,
    ):
        db.execute("ALTER TABLE work_order DISABLE TRIGGER USER")
        assert _one(db, "SELECT count(*) FROM pg_settings WHERE name = 'synchronous_commit'"
                    " AND setting = 'on'") == 1  # fmt: skip
        ids = [row[0] for row in db.execute("SELECT id FROM work_order ORDER BY id")]
        operation = uuid4()
        shared = {
            "operation": operation,
            "prefix": str(operation)[:24],
            "actor": _one(db, "SELECT id FROM person"),
        }
        db.execute(_FLOOR, {"ids": ids[items:], **shared})
        begun = perf_counter()
        for first in range(0, items, FLOOR_CHUNK):
            chunk = ids[first : min(items, first + FLOOR_CHUNK)]
            db.execute(_FLOOR, {"ids": chunk, **shared})
        taken_s = perf_counter() - begun
        assert_done(db, len(ids), WORK_ORDER)
    return items / taken_s


def is_drained(db: "psycopg.Connection[tuple[int, ...]]") -> bool:
    return _one(db, "SELECT count(*) FROM (SELECT FROM outbox LIMIT 1) AS waiting") == 0


def assert_done(db: "psycopg.Connection[tuple[int, ...]]", everything: int, way: Way) -> None:
    """Assert that every row is changed once and has its one record."""
    done = f"SELECT count(*) FROM {way.table} WHERE state = '{way.target}' AND version = 2"
    assert _one(db, done) == everything
    assert _one(db, "SELECT count(*) FROM state_transition_audit WHERE version = 2") == everything
    assert _one(db, "SELECT count(DISTINCT entity_id) FROM state_transition_audit") == everything


def _one(db: "psycopg.Connection[tuple[int, ...]]", query: str) -> int:
    row = db.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def _detail(
    items: int, rates: dict[str, list[float]], typical: dict[str, float]
) -> dict[str, object]:
    return {
        "items": items,
        "items_per_s": {name: round(rate) for name, rate in typical.items()},
        "all_items_per_s": {name: [round(r) for r in taken] for name, taken in rates.items()},
    }
