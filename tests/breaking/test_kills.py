"""Workers killed in the middle of their work: every item once, versions and records agree."""

import os
import random
from collections import Counter

import pytest

from tests.breaking.gate import Arrival, Fate
from tests.breaking.plant import Plant
from tests.factories import tickets, work_orders

pytestmark = pytest.mark.slow

KILLS = 20
RANDOM_KILLS = 25


def test_twenty_kills_each_while_a_change_is_open(plant: Plant) -> None:
    orders, complaints = work_orders(plant.site, 600), tickets(plant.site, 40)
    killed: Counter[tuple[str, int | None]] = Counter()
    confirmed: list[int | None] = []

    def fate(arrival: Arrival) -> Fate:
        """Kill whoever has written a chunk that wasn't killed twice yet, and not committed it."""
        chunk = arrival.operation_id, arrival.chunk_no
        if arrival.step != "writing" or killed[chunk] == 2 or len(confirmed) == KILLS:
            return Fate.GO
        confirmed.append(plant.open_change(arrival.pid))
        killed[chunk] += 1
        return Fate.KILL

    plant.gate.decide(fate)
    with plant.worker():
        operations = [
            plant.site.transition(
                "work_order", to="APPROVED", ids=orders[:500], atomic=False, chunk_items=50
            ),
            plant.site.transition("work_order", to="APPROVED", ids=orders[500:]),
            plant.site.transition("ticket", to="OPEN", ids=complaints, atomic=False, chunk_items=8),
        ]
        ends = [plant.end(each) for each in operations]

    assert len([each for each in confirmed if each is not None]) == KILLS
    assert [each["successful_items"] for each in ends] == [500, 100, 40]
    assert plant.site.states("work_order") == {"APPROVED": 600}
    assert plant.site.states("ticket") == {"OPEN": 40}


def test_kills_at_random_steps(plant: Plant) -> None:
    seed = int(os.environ.get("LOCKSIDE_TEST_SEED", "20261122"))
    dice = random.Random(seed)  # noqa: S311 -- chooses victims, no secret
    chosen = set(dice.sample(range(300), RANDOM_KILLS))
    arrived = 0

    def fate(_arrival: Arrival) -> Fate:
        nonlocal arrived
        arrived += 1
        return Fate.KILL if arrived in chosen else Fate.GO

    ids = work_orders(plant.site, 1200) + work_orders(plant.site, 30, vendor=False)
    dice.shuffle(ids)
    settings = plant.settings.model_copy(update={"attempts": RANDOM_KILLS + 1})
    plant.gate.decide(fate)
    with plant.worker(settings=settings):
        operations = [
            plant.site.transition(
                "work_order", to="APPROVED", ids=ids[n::3], atomic=False, chunk_items=20
            )
            for n in range(3)
        ]
        ends = [plant.end(each) for each in operations]

    assert arrived >= max(chosen), seed
    assert sum(each["successful_items"] for each in ends) == 1200, seed


def test_a_whole_worker_is_killed_and_another_one_takes_over(plant: Plant) -> None:
    ids = work_orders(plant.site, 60)
    plant.gate.hold_at("writing")
    with plant.worker() as first:
        operation = plant.site.transition(
            "work_order", to="APPROVED", ids=ids, atomic=False, chunk_items=10
        )
        caught = [plant.gate.next(), plant.gate.next()]
        assert all(plant.open_change(each.pid) for each in caught)
        first.kill()
    plant.gate.open()

    with plant.worker():
        outcome = plant.end(operation)

    assert (outcome["state"], outcome["successful_items"]) == ("SUCCEEDED", 60)
