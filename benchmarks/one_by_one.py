"""F2: measure a bulk operation against the same work done one item at a time.

Both rivals check the same rules, take the same Redis lock and write the same record: one as a
Celery group of one task per item, the other in a loop of one transaction per item, without
Celery.
"""

from collections.abc import Sequence
from time import perf_counter
from typing import Any
from uuid import uuid4

import psycopg
from celery import group
from sqlalchemy import insert

import lockside
from benchmarks.bulk import QUICK_ITEMS, WORK_ORDER, operate
from benchmarks.house import ONE_ITEM, Announce, House, libpq, workers
from benchmarks.measure import Figure, in_turn, medians
from domain.machines.machine import Request
from engine.changes.outcomes import Outcomes
from engine.changes.transition import judge_rows
from engine.changes.versioned_rows import lock_rows, write_rows
from engine.ports.locks import row_key
from engine.ports.platform import Platform
from models.audit import StateTransitionAudit
from models.base import kinds

_FACTS = ("vendor_id",)


def measure_f2(house: House, announce: Announce, *, quick: bool) -> list[Figure]:
    """Compare the rates of an operation, of a Celery group, and of a loop of transactions."""
    items, few, turns = (QUICK_ITEMS, 40, 1) if quick else (100_000, 2000, 3)
    house.build(work_order=items + house.warm_up_rows)
    rates = in_turn(
        {
            "lockside": lambda: operate(house, items).rate,
            "Celery group": lambda: _as_group(house, few),
            "one transaction per item": lambda: _as_loop(house, few),
        },
        turns,
        announce,
    )
    typical = medians(rates)
    detail = {
        "items": {"lockside": items, "one by one": few},
        "items_per_s": {name: round(rate) for name, rate in typical.items()},
        "all_items_per_s": {name: [round(r) for r in taken] for name, taken in rates.items()},
    }
    return [
        Figure(
            id=name,
            what=f"rate of F1's operation against {rival}",
            ratio=typical["lockside"] / typical[key],
            goal=goal,
            side="at least",
            detail=detail,
        )
        for name, key, rival, goal in (
            ("F2a", "Celery group", "a Celery group of one task per item", 50.0),
            ("F2b", "one transaction per item", "one transaction per item, without Celery", 10.0),
        )
    ]


def move_one(platform: Platform, tenant_id: int, actor_id: int, row_id: int) -> bool:
    """Move one row in one transaction, with its lock, its rules and its record."""
    kind, target = WORK_ORDER.kind, WORK_ORDER.target
    key = row_key(tenant_id, kind, row_id)
    with (
        platform.locks.hold(
            [key], claim=str(uuid4()), operation="one", lease_s=10.0, all_or_none=True
        ) as held,
        platform.database.begin() as db,
    ):
        db.exec_driver_sql("SET LOCAL lockside.override = 'measured'")
        rows, contended = lock_rows(db, kind, tenant_id, [row_id], _FACTS)
        if held.contended or contended:
            return False
        now = platform.clock(db)
        request = Request(target, frozenset({"work_order.approve"}), now=now)
        outcomes = judge_rows(kinds()[kind].machine, rows, [row_id], request, {})
        values = {"state": target, "state_since": now}
        write_rows(db, kind, outcomes, values, actor_id=actor_id, now=now)
        _record(db, outcomes, tenant_id=tenant_id, actor_id=actor_id, now=now, lock_key=key)
        return bool(outcomes.passed)


def _record(db: Any, outcomes: Outcomes, **shared: Any) -> None:
    (row,) = outcomes.passed
    db.execute(
        insert(StateTransitionAudit),
        {
            "event_id": uuid4(),
            "occurred_at": shared["now"],
            "tenant_id": shared["tenant_id"],
            "actor_id": shared["actor_id"],
            "kind": WORK_ORDER.kind,
            "entity_id": row.id,
            "version": row.version + 1,
            "from_state": row.state,
            "to_state": WORK_ORDER.target,
            "time_in_previous_state_s": (shared["now"] - row.state_since).total_seconds(),
            "reason": "bulk",
            "success": True,
            "lock_key": shared["lock_key"],
            "isolation_level": "READ COMMITTED",
            "retry_attempt": 0,
        },
    )


def _as_group(house: House, items: int) -> float:
    with (
        house.database() as settings,
        workers(settings),
        lockside.connect(settings=settings) as site,
        psycopg.connect(libpq(settings.database_url), autocommit=True) as db,
    ):
        _disable_triggers(db)
        ids = site.ids(WORK_ORDER.kind, limit=items + house.warm_up_rows)
        actor = site.actor
        signatures = [
            site.app.signature(
                ONE_ITEM,
                args=(actor.tenant_id, actor.person_id, row_id),
                queue="interactive",
                options={"ignore_result": False},
            )
            for row_id in ids
        ]
        assert all(group(signatures[: house.warm_up_rows]).apply_async().get(timeout=120))
        begun = perf_counter()
        outcomes = group(signatures[house.warm_up_rows :]).apply_async().get(timeout=600)
        taken_s = perf_counter() - begun
        assert outcomes == [True] * items
        _assert_moved(db, ids)
    return items / taken_s


def _as_loop(house: House, items: int) -> float:
    with (
        house.database() as settings,
        lockside.connect(settings=settings) as site,
        psycopg.connect(libpq(settings.database_url), autocommit=True) as db,
    ):
        _disable_triggers(db)
        ids = site.ids(WORK_ORDER.kind, limit=items + house.warm_up_rows)
        who = (site.actor.tenant_id, site.actor.person_id or 0)
        for row_id in ids[: house.warm_up_rows]:
            assert move_one(site.platform, *who, row_id)
        begun = perf_counter()
        for row_id in ids[house.warm_up_rows :]:
            assert move_one(site.platform, *who, row_id)
        taken_s = perf_counter() - begun
        _assert_moved(db, ids)
    return items / taken_s


def _disable_triggers(db: "psycopg.Connection[Any]") -> None:
    # The rivals write their records themselves; the guard would write them a second time.
    db.execute("ALTER TABLE work_order DISABLE TRIGGER USER")


def _assert_moved(db: "psycopg.Connection[Any]", ids: Sequence[int]) -> None:
    moved = db.execute(
        "SELECT count(*) FROM work_order w JOIN state_transition_audit a"
        " ON a.entity_id = w.id AND a.version = 2 AND a.success"
        " WHERE w.id = ANY(%s) AND w.state = 'APPROVED' AND w.version = 2",
        [list(ids)],
    ).fetchone()
    assert moved == (len(ids),), moved
