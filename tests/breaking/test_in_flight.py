"""What a rule looks at changes while a change that stands on it is in flight, in both orders.

A worker stops between writing and its commit, or an interface does; the other one waits, or the
rule holds afterwards.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

import lockside
from domain.errors import LocksideError, RuleRefused
from engine.ports.platform import database_clock
from tests.breaking.gate import Gate
from tests.breaking.plant import Plant, eventually
from tests.databases import Databases
from tests.engine.steps import somebody_waits_for_a_row
from tests.engine.works import attended, ordered, read, task
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.slow

CLOSED_AT = datetime(2026, 12, 1, tzinfo=UTC)
# Whether this transaction has left its records: then it has written everything.
WRITTEN = text("SELECT EXISTS (SELECT FROM outbox WHERE xmin = pg_current_xact_id()::xid)")
Interface = Callable[[lockside.Session], object]


@dataclass(frozen=True)
class Case:
    """A change, and what an interface takes away from under it.

    Attributes:
        to: The state that rests on a rule.
        code: What the rule says when it doesn't hold.
        make: Makes a row that may be changed; returns it, and what takes the rule's ground away.
        keeps: The interface is refused once the change is there; otherwise it comes after it.
    """

    kind: str
    to: str
    code: str
    make: Callable[[lockside.Session], tuple[int, Interface]]
    keeps: bool = True


def line_and_order(site: lockside.Session) -> tuple[int, Interface]:
    order = ordered(site, state="IN_PROGRESS", lines=1)
    (line,) = site.row("work_order", order)["work_order_lines"]
    return order, lambda interface: interface.records("work_order_line").delete(line["id"])


def reading_and_task(site: lockside.Session) -> tuple[int, Interface]:
    row_id = task(site, state="WORKING", asks=["flow", "pressure"])
    flow, _ = (read(site, row_id, each) for each in ("flow", "pressure"))
    return row_id, lambda interface: interface.records("reading").delete(flow)


def period_and_punch(site: lockside.Session) -> tuple[int, Interface]:
    for each in site.records("payroll_period").each():
        site.records("payroll_period").delete(each["id"])
    days = {"starts_on": "2026-11-01", "ends_on": "2026-11-30"}
    period = site.records("payroll_period").create(name="November", **days)["id"]
    punch = attended(site)
    return punch, lambda interface: interface.records("payroll_period").update(
        period, closed_at=CLOSED_AT
    )


CASES = [
    Case("work_order", "COMPLETED", "lines_missing", line_and_order),
    Case("task", "COMPLETED", "readings_missing", reading_and_task),
    Case("attendance", "APPROVED", "after_cutoff", period_and_punch, keeps=False),
]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind)
each_level = pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])


@dataclass
class InFlight:
    """An interface at work in a thread of its own, and what became of it."""

    thread: threading.Thread
    go: threading.Event
    told: list[object] = field(default_factory=list)

    def end(self) -> object:
        """Let it go on if it stands, and return what it was told."""
        self.go.set()
        self.thread.join(30)
        assert self.told, "the interface never came back"
        return self.told[0]


@pytest.fixture(scope="module")
def plant(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """Run one worker of two processes for all these tests."""
    with (
        databases.settings(tmp_path_factory.mktemp("home")) as settings,
        lockside.connect(settings=settings) as site,
        Gate() as gate,
    ):
        plant = Plant(settings, site, gate)
        with plant.worker():
            yield plant


@contextmanager
def interface(plant: Plant, ask: Interface, *, stops: bool) -> Iterator[InFlight]:
    """Let an interface ask in a thread of its own; if it *stops*, right before it commits."""
    go, written = threading.Event(), threading.Event()
    if not stops:
        go.set()

    def stop_before_the_commit(db: Connection) -> datetime:
        if db.scalar(WRITTEN):
            written.set()
            go.wait(PATIENCE_S)
        return database_clock(db)

    with lockside.connect(settings=plant.settings) as site:
        site.platform = replace(site.platform, clock=stop_before_the_commit)

        def run() -> None:
            try:
                flight.told.append(ask(site))
            except (LocksideError, DBAPIError) as error:
                flight.told.append(error)

        flight = InFlight(threading.Thread(target=run), go)
        flight.thread.start()
        assert not stops or written.wait(PATIENCE_S)
        try:
            yield flight
        finally:
            flight.end()


def hold_the_next(plant: Plant) -> None:
    """Hold the worker that has written the change of an operation yet to be submitted."""
    earlier = set(plant.ask("SELECT array_agg(CAST(id AS text)) FROM operation") or ())
    plant.gate.hold_if(
        lambda each: (
            each.step == "writing"
            and each.chunk_no is not None
            and each.operation_id not in earlier
        )
    )


@each_level
@each_case
def test_who_takes_the_ground_away_waits_for_the_change_that_stands_on_it(
    plant: Plant, case: Case, level: str
) -> None:
    row_id, take_away = case.make(plant.site)
    hold_the_next(plant)
    operation = plant.site.transition(case.kind, to=case.to, ids=row_id, isolation_level=level)
    worker = plant.gate.next()

    with interface(plant, take_away, stops=False) as flight:
        eventually(lambda: somebody_waits_for_a_row(plant.site))
        plant.gate.open()
        worker.go()
        # Both have ended before the whole is looked at: each leaves something to be recorded.
        told = flight.end()
        outcome = plant.end(operation)

    assert outcome["state"] == "SUCCEEDED"
    assert isinstance(told, RuleRefused) is case.keeps
    assert_rule_holds(plant, case, row_id)


@each_level
@each_case
def test_a_change_waits_for_who_takes_its_ground_away_and_is_refused(
    plant: Plant, case: Case, level: str
) -> None:
    row_id, take_away = case.make(plant.site)

    with interface(plant, take_away, stops=True) as flight:
        operation = plant.site.transition(case.kind, to=case.to, ids=row_id, isolation_level=level)
        eventually(lambda: has_met_the_door(plant, operation))
        told = flight.end()
        outcome = plant.end(operation)

    assert not isinstance(told, LocksideError)
    assert outcome["failure_codes"] == {case.code: 1}
    assert plant.site.row(case.kind, row_id)["state"] != case.to


@each_case
def test_a_change_whose_worker_dies_before_its_commit_stands_on_nothing_then(
    plant: Plant, case: Case
) -> None:
    row_id, take_away = case.make(plant.site)
    hold_the_next(plant)
    operation = plant.site.transition(case.kind, to=case.to, ids=row_id)
    worker = plant.gate.next()

    with interface(plant, take_away, stops=False) as flight:
        eventually(lambda: somebody_waits_for_a_row(plant.site))
        plant.gate.hold_if(lambda each: each.step == "claimed")
        worker.kill()
        told = flight.end()
    plant.gate.open()

    outcome = plant.end(operation)
    assert not isinstance(told, LocksideError)
    assert outcome["failure_codes"] == {case.code: 1}
    assert plant.site.row(case.kind, row_id)["state"] != case.to


@each_case
def test_a_door_that_dies_before_its_commit_takes_nothing_away(plant: Plant, case: Case) -> None:
    row_id, take_away = case.make(plant.site)

    with interface(plant, take_away, stops=True) as flight:
        operation = plant.site.transition(case.kind, to=case.to, ids=row_id)
        eventually(lambda: has_met_the_door(plant, operation))
        plant.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND state = 'idle in transaction'"
        )
        # Both have ended before the whole is looked at: each leaves something to be recorded.
        told = flight.end()
        outcome = plant.end(operation)

    assert isinstance(told, DBAPIError)
    assert outcome["state"] == "SUCCEEDED"
    assert_rule_holds(plant, case, row_id)


def has_met_the_door(plant: Plant, operation: lockside.Operation) -> bool:
    """Say whether the change had to wait: for the row itself, or for what it rests on."""
    retries = plant.ask(
        "SELECT sum(retries) FROM operation_chunk WHERE operation_id = :id", id=operation.id
    )
    return bool(retries) or somebody_waits_for_a_row(plant.site)


def assert_rule_holds(plant: Plant, case: Case, row_id: int) -> None:
    """Assert that the row is where the rule let it, and that what the rule saw came first."""
    row: dict[str, Any] = plant.site.row(case.kind, row_id)
    assert row["state"] == case.to
    if case.kind == "work_order":
        assert len(row["work_order_lines"]) == 1
    elif case.kind == "task":
        assert {each["name"] for each in row["readings"]} == {"flow", "pressure"}
    else:
        (period,) = plant.site.records("payroll_period").list()
        assert period["closed_at"] is None or period["updated_at"] > row["state_since"]
