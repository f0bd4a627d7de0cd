"""A worker that is paused for longer than its lease, and then goes on as if nothing were."""

import os
import signal

import psutil
import pytest
from redis import Redis

import lockside
from engine.operations.dispatch import RUN_CHUNK
from tests.breaking.gate import Arrival
from tests.breaking.plant import Plant, eventually
from tests.factories import work_orders

pytestmark = pytest.mark.slow

COUNT = 20


def test_a_late_worker_changes_nothing_after_another_one_took_over(plant: Plant) -> None:
    plant.gate.hold_at("locked")
    with plant.worker():
        operation = approve(plant)
        sleeper = paused(plant.gate.next())
        hold(plant, sleeper.pid, "released")
        plant.end(operation)
        before = written(plant)

        os.kill(sleeper.pid, signal.SIGCONT)

        late = plant.gate.next()
        assert written(plant) == before
        late.go()
        outcome = plant.end(operation)
    assert (outcome["successful_items"], attempts(plant, operation)) == (COUNT, 2)


def test_a_late_worker_leaves_the_locks_and_the_change_of_its_successor_alone(
    plant: Plant,
) -> None:
    plant.gate.hold_at("locked")
    with plant.worker():
        operation = approve(plant, lease_s=4)
        sleeper = paused(plant.gate.next())
        plant.gate.hold_at("writing")
        successor = plant.gate.next()
        hold(plant, sleeper.pid, "writing", "released")

        os.kill(sleeper.pid, signal.SIGCONT)

        late = plant.gate.next()
        assert late.step == "released"
        assert locks_of(plant, operation) == COUNT
        assert plant.open_change(successor.pid)
        successor.go()
        late.go()
        outcome = plant.end(operation)
    assert (outcome["successful_items"], attempts(plant, operation)) == (COUNT, 2)


def test_an_open_change_is_nobody_elses_however_long_it_takes(plant: Plant) -> None:
    plant.gate.hold_at("writing")
    with plant.worker() as worker:
        operation = approve(plant)
        sleeper = paused(plant.gate.next())
        assert plant.open_change(sleeper.pid)
        eventually(
            lambda: plant.ask("SELECT lease_until < clock_timestamp() FROM operation_chunk LIMIT 1")
        )
        plant.site.platform.publish(
            RUN_CHUNK, {"operation_id": operation.id, "chunk_no": 0}, queue="bulk"
        )
        worker.wait_for("not due")

        os.kill(sleeper.pid, signal.SIGCONT)

        outcome = plant.end(operation)
    assert (outcome["successful_items"], attempts(plant, operation)) == (COUNT, 1)


def approve(plant: Plant, **options: float) -> lockside.Operation:
    ids = work_orders(plant.site, COUNT)
    return plant.site.transition("work_order", to="APPROVED", ids=ids, **options)


def paused(arrival: Arrival) -> Arrival:
    """Pause a process that the gate has let go: it goes on when it is continued."""
    os.kill(arrival.pid, signal.SIGSTOP)
    eventually(lambda: psutil.Process(arrival.pid).status() == psutil.STATUS_STOPPED)
    arrival.go()
    return arrival


def hold(plant: Plant, pid: int, *steps: str) -> None:
    """Hold one process at these steps, and nobody else."""
    plant.gate.hold_if(lambda each: each.pid == pid and each.step in steps)


def written(plant: Plant) -> object:
    """Return what a change would change: every row's version and time, and the records to be."""
    return plant.ask(
        "SELECT string_agg(CAST(w AS text), '') || (SELECT count(*) FROM state_transition_audit)"
        " || (SELECT count(*) FROM outbox WHERE record = 'state_transition')"
        "  FROM (SELECT * FROM work_order ORDER BY id) AS w"
    )


def attempts(plant: Plant, operation: lockside.Operation) -> object:
    return plant.ask(
        "SELECT attempt FROM operation_chunk WHERE operation_id = :id", id=operation.id
    )


def locks_of(plant: Plant, operation: lockside.Operation) -> int:
    """Return how many rows are locked under the claim that the operation's chunk has now."""
    claim = plant.ask("SELECT claim FROM operation_chunk WHERE operation_id = :id", id=operation.id)
    with Redis.from_url(plant.settings.redis_database(2)) as redis:
        owners = [redis.get(each) for each in redis.scan_iter("lockside:lock:*", count=1000)]
    return sum(each.startswith(str(claim).encode()) for each in owners if each)
