"""Stopping a worker with work in its hands: all of it ends, here or elsewhere."""

import signal

import pytest

import lockside
from tests.breaking.gate import Arrival
from tests.breaking.plant import Plant
from tests.factories import work_orders
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.slow

ITEMS, CHUNK_ITEMS = 60, 10

# As in docker-compose.yml, where it is 30: Celery sleeps for all of it, and then cancels.
SOFTLY = {"REMAP_SIGTERM": "SIGQUIT", "LOCKSIDE_TEST_SOFT_STOP_S": "3"}


def test_a_stopped_worker_ends_its_chunks_and_another_one_does_the_rest(plant: Plant) -> None:
    with plant.worker() as stopped:
        operation, in_hand = with_work_in_hand(plant)

        stopped.send(signal.SIGTERM)

        stopped.wait_for("Warm shutdown")
        let_go(plant, *in_hand)
        assert stopped.wait(PATIENCE_S) == 0
    assert chunks_done(plant) == {each.chunk_no for each in in_hand}
    ended_elsewhere(plant, operation)


def test_a_softly_stopped_worker_gives_back_what_takes_too_long(plant: Plant) -> None:
    with plant.worker(extra=SOFTLY) as stopped:
        operation, (short, long) = with_work_in_hand(plant)

        stopped.send(signal.SIGTERM)

        stopped.wait_for("Soft Shutdown")
        let_go(plant, short)
        assert stopped.wait(PATIENCE_S) == 0
    assert chunks_done(plant) == {short.chunk_no}
    long.go()
    ended_elsewhere(plant, operation)


def with_work_in_hand(plant: Plant) -> tuple[lockside.Operation, list[Arrival]]:
    """Submit six chunks, and hold both processes of a worker with an open change."""
    ids = work_orders(plant.site, ITEMS)
    plant.gate.hold_at("writing")
    operation = plant.site.transition(
        "work_order", to="APPROVED", ids=ids, atomic=False, chunk_items=CHUNK_ITEMS
    )
    return operation, [plant.gate.next(), plant.gate.next()]


def let_go(plant: Plant, *in_hand: Arrival) -> None:
    plant.gate.open()
    for each in in_hand:
        each.go()


def chunks_done(plant: Plant) -> set[int | None]:
    done = plant.ask("SELECT array_agg(chunk_no) FROM operation_chunk WHERE status = 'DONE'")
    return set(done)


def ended_elsewhere(plant: Plant, operation: lockside.Operation) -> None:
    """Let another worker end the operation."""
    with plant.worker():
        outcome = plant.end(operation)
    assert (outcome["state"], outcome["successful_items"]) == ("SUCCEEDED", ITEMS)
