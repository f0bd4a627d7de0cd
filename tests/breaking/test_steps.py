"""A crash right after each step of the protocol: whoever is left mends what it leaves behind.

The steps are those of docs/protocol.md. Every crash is a SIGKILL of a real process that stands
right behind the step; where the step's name ends in -ing, in the middle of it.
"""

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

import lockside
from engine.audit.wake import WRITE_AUDIT
from engine.operations.sweeper import sweep
from engine.ports.locks import row_key
from tasks.upkeep import SWEEP
from tests.breaking.gate import Arrival, Gate
from tests.breaking.plant import Plant, eventually
from tests.databases import Databases
from tests.factories import work_orders
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Shape:
    """An operation: so many items that may be approved, so many that may not, and its end."""

    good: int
    bad: int
    state: str
    options: dict[str, Any] = field(default_factory=dict)

    def submit(self, plant: Plant) -> lockside.Operation:
        ids = work_orders(plant.site, self.good) + work_orders(plant.site, self.bad, vendor=False)
        return plant.site.transition("work_order", to="APPROVED", ids=ids, **self.options)

    @property
    def moved(self) -> int:
        return 0 if self.state == "ROLLED_BACK" else self.good


BULK = Shape(11, 1, "COMPLETED_WITH_ERRORS", {"atomic": False, "chunk_items": 2})
SHAPES = [
    pytest.param(Shape(1, 0, "SUCCEEDED"), id="single"),
    pytest.param(Shape(12, 0, "SUCCEEDED"), id="all_or_nothing"),
    pytest.param(Shape(11, 1, "ROLLED_BACK"), id="rolled_back"),
    pytest.param(BULK, id="six_chunks"),
]
# Each step that a worker takes in every run, and how often its chunk is started then.
STEPS = [
    pytest.param("claimed", 2, id="3_claimed"),
    pytest.param("locked", 2, id="4_locked"),
    pytest.param("writing", 2, id="5_writing"),
    pytest.param("changed", 1, id="5_changed"),
    pytest.param("released", 1, id="7_released"),
    pytest.param("finished", 1, id="8_finished"),
    pytest.param("storing", 1, id="9_storing"),
    pytest.param("stored", 1, id="9_stored"),
]
STEPS_BETWEEN_CHUNKS = [
    pytest.param("progress_stored", id="7_progress_stored"),
    pytest.param("dispatching", id="2_dispatching"),
    pytest.param("dispatched", id="2_dispatched"),
]
INTERFACE_STEPS = [
    pytest.param("submitted", id="1_submitted"),
    pytest.param("dispatched", id="2_dispatched"),
]

TIMES_NOTED = "SELECT published FROM operation_chunk WHERE operation_id = :id"
IS_LATE = """
SELECT published_at < clock_timestamp() - interval '0.6 s' FROM operation_chunk
 WHERE operation_id = :id
"""

IS_HOOK = "SELECT verb = 'hook' FROM operation WHERE CAST(id AS text) = :id"
HOOK_HAS_ENDED = "SELECT result_stored_at FROM operation WHERE parent_id = :id AND verb = 'hook'"
TIMES_TOLD = "SELECT count(*) FROM notification WHERE operation_id = :id"


@pytest.fixture(scope="module")
def plant(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """Run one worker of two processes for all these crashes: it has to live through them.

    Celery sends no message of a killed process again here, and sweeps are the test's own: none
    comes before the crash.
    """
    with (
        databases.settings(tmp_path_factory.mktemp("home"), sweep_every_s=3600.0) as settings,
        lockside.connect(settings=settings) as site,
        Gate() as gate,
    ):
        plant = Plant(settings, site, gate)
        with plant.worker(extra={"LOCKSIDE_TEST_LOSES": "messages"}):
            yield plant


@pytest.fixture
def follower(plant: Plant) -> Iterator[None]:
    """Let Asha follow work orders, so that a hook runs after every operation."""
    wanted = plant.site.records("subscription").create(person="asha", kind="work_order")
    yield
    plant.site.records("subscription").delete(wanted["id"])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("step", "starts"), STEPS)
def test_a_worker_may_die_after_a_step(plant: Plant, step: str, starts: int, shape: Shape) -> None:
    hold(plant, step)
    operation = shape.submit(plant)
    victim = plant.gate.next()
    plant.gate.open()

    victim.kill()

    outcome = mended(plant, operation)
    assert victim.operation_id == operation.id
    assert (outcome["state"], outcome["successful_items"]) == (shape.state, shape.moved)
    assert attempts(plant, victim) == starts


@pytest.mark.parametrize("step", STEPS_BETWEEN_CHUNKS)
def test_a_worker_may_die_between_two_chunks(plant: Plant, step: str) -> None:
    hold(plant, step)
    operation = BULK.submit(plant)
    victim = plant.gate.next()
    plant.gate.open()

    victim.kill()

    outcome = mended(plant, operation)
    assert (outcome["state"], outcome["successful_items"]) == (BULK.state, BULK.moved)


@pytest.mark.usefixtures("follower")
def test_a_worker_may_die_before_it_has_sent_what_a_hook_does(plant: Plant) -> None:
    hold(plant, "finished")
    operation = BULK.submit(plant)
    victim = plant.gate.next()
    plant.gate.open()

    victim.kill()

    mended(plant, operation)
    swept_until(plant, lambda: plant.ask(HOOK_HAS_ENDED, id=operation.id))
    plant.end(operation)
    assert plant.ask(TIMES_TOLD, id=operation.id) == 1


@pytest.mark.usefixtures("follower")
@pytest.mark.parametrize(("step", "starts"), STEPS)
def test_a_worker_may_die_in_what_a_hook_does(plant: Plant, step: str, starts: int) -> None:
    plant.gate.hold_if(
        lambda each: each.step == step and bool(plant.ask(IS_HOOK, id=each.operation_id))
    )
    operation = BULK.submit(plant)
    victim = plant.gate.next()
    plant.gate.open()

    victim.kill()

    mended(plant, plant.site.operation(victim.operation_id))
    assert plant.ask(TIMES_TOLD, id=operation.id) == 1
    assert attempts(plant, victim) == starts


@pytest.mark.parametrize("count", [1, 12])
@pytest.mark.parametrize("step", INTERFACE_STEPS)
def test_an_interface_may_die_after_it_has_submitted(plant: Plant, step: str, count: int) -> None:
    operation = submit_and_die(plant, step, work_orders(plant.site, count))

    outcome = mended(plant, operation)
    assert (outcome["state"], outcome["successful_items"]) == ("SUCCEEDED", count)


def test_a_sweeper_may_die_with_a_dispatch_message_in_its_hand(plant: Plant) -> None:
    operation = submit_and_die(
        plant,
        "submitted",
        work_orders(plant.site, 3),
        then=lambda each: each.step == "dispatching" and each.chunk_no is None,
    )
    eventually(lambda: plant.ask(IS_LATE, id=operation.id))
    plant.site.platform.publish(SWEEP, {}, queue="upkeep")
    sweeper = plant.gate.next()
    plant.gate.open()

    sweeper.kill()

    assert plant.ask(TIMES_NOTED, id=operation.id) == 2
    assert mended(plant, operation)["successful_items"] == 3


@pytest.mark.parametrize("step", ["changed", "released"])
def test_a_worker_may_die_when_its_chunk_has_to_wait(plant: Plant, step: str) -> None:
    ids = work_orders(plant.site, 4)
    hold(plant, step)
    with plant.site.platform.locks.hold(
        [row_key(plant.site.actor.tenant_id, "work_order", ids[0])],
        claim="a test",
        operation="a test",
        lease_s=30,
        all_or_none=False,
    ):
        operation = plant.site.transition("work_order", to="APPROVED", ids=ids, atomic=False)
        victim = plant.gate.next()
        plant.gate.open()

        victim.kill()

        swept_until(plant, lambda: retries(plant, operation) > 1)
    assert mended(plant, operation)["successful_items"] == 4


def test_an_interface_may_die_halfway_through_cancelling(plant: Plant) -> None:
    hold(plant, "writing")
    operation = BULK.submit(plant)
    running = [plant.gate.next(), plant.gate.next()]
    with plant.interface("cancel", operation.id) as interface:
        plant.gate.hold_if(lambda each: (each.pid, each.step) == (interface.pid, "cancelling"))
        plant.gate.next().kill()
        assert interface.wait(PATIENCE_S) == -signal.SIGKILL

    plant.gate.open()
    for each in running:
        each.go()

    outcome = mended(plant, operation)
    assert outcome["state"] == "CANCELLED"
    assert outcome["cancelled_items"] == outcome["total_items"] - 4


@pytest.mark.parametrize("step", ["claimed", "writing"])
def test_a_cancelled_operation_ends_without_the_worker_that_ran_it(plant: Plant, step: str) -> None:
    hold(plant, step)
    operation = Shape(5, 0, "CANCELLED").submit(plant)
    victim = plant.gate.next()
    operation.cancel()
    plant.gate.open()

    victim.kill()

    outcome = mended(plant, operation)
    assert (outcome["state"], outcome["cancelled_items"]) == ("CANCELLED", 5)


def test_a_writer_of_records_may_die_before_its_commit(plant: Plant) -> None:
    caught: list[int] = []

    def is_first_writer(each: Arrival) -> bool:
        """Leave the other process to the chunks; a writer of nothing has no change open."""
        if each.step != "records_written" or caught or plant.open_change(each.pid) is None:
            return False
        caught.append(each.pid)
        return True

    plant.gate.hold_if(is_first_writer)
    operation = BULK.submit(plant)
    sweep_to_its_end(plant, operation)
    plant.site.platform.publish(WRITE_AUDIT, {}, queue="audit")
    writer = plant.gate.next()
    plant.gate.open()

    writer.kill()

    mended(plant, operation)
    assert plant.ask(
        "SELECT count(*) FROM state_transition_audit WHERE correlation_id = :id", id=operation.id
    ) == (BULK.good + BULK.bad)


def mended(plant: Plant, operation: lockside.Operation) -> dict[str, Any]:
    """Sweep until the operation has ended; return its result."""
    sweep_to_its_end(plant, operation)
    return plant.end(operation)


def sweep_to_its_end(plant: Plant, operation: lockside.Operation) -> None:
    stored = "SELECT result_stored_at FROM operation WHERE id = :id"
    swept_until(plant, lambda: plant.ask(stored, id=operation.id))


def swept_until(plant: Plant, condition: Callable[[], object]) -> None:
    """Sweep until *condition* holds."""

    def holds() -> object:
        sweep(plant.site.platform)
        return condition()

    eventually(holds)


def hold(plant: Plant, step: str) -> None:
    """Hold workers at a step in a chunk of an operation that is yet to be submitted."""
    earlier = set(plant.ask("SELECT array_agg(CAST(id AS text)) FROM operation") or ())
    plant.gate.hold_if(
        lambda each: (
            each.step == step and each.chunk_no is not None and each.operation_id not in earlier
        )
    )


def submit_and_die(
    plant: Plant,
    step: str,
    ids: list[int],
    *,
    then: Callable[[Arrival], bool] = lambda _: False,
) -> lockside.Operation:
    """Submit in a process that is killed after *step*; return what it left.

    Who is held from that moment on, *then* says.
    """
    with plant.interface(
        "submit", {"kind": "work_order", "to": "APPROVED", "ids": ids}
    ) as interface:
        plant.gate.hold_if(lambda each: (each.pid, each.step) == (interface.pid, step))
        victim = plant.gate.next()
        plant.gate.hold_if(then)
        victim.kill()
        assert interface.wait(PATIENCE_S) == -signal.SIGKILL
    return plant.site.operation(
        plant.ask("SELECT operation_id FROM operation_chunk WHERE :id = ANY(ids)", id=ids[0])
    )


def attempts(plant: Plant, arrival: Arrival) -> int:
    """Return how often the chunk was started in which a process arrived."""
    found: int = plant.ask(
        "SELECT attempt FROM operation_chunk WHERE operation_id = :id AND chunk_no = :chunk_no",
        id=arrival.operation_id,
        chunk_no=arrival.chunk_no,
    )
    return found


def retries(plant: Plant, operation: lockside.Operation) -> int:
    """Return how often the operation's first chunk had to wait."""
    found: int = plant.ask(
        "SELECT retries FROM operation_chunk WHERE operation_id = :id AND chunk_no = 0",
        id=operation.id,
    )
    return found
