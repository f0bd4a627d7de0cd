"""A chunk that kills its worker whenever it is run."""

import pytest

from tests.breaking.gate import Arrival, Fate
from tests.breaking.plant import Plant
from tests.factories import work_orders

pytestmark = pytest.mark.slow

KILLER = 2
ATTEMPTS = 3


def test_a_chunk_that_kills_its_worker_is_given_up_and_the_others_are_done(plant: Plant) -> None:
    ids = work_orders(plant.site, 50)
    victims = []

    def fate(arrival: Arrival) -> Fate:
        if (arrival.step, arrival.chunk_no) != ("claimed", KILLER):
            return Fate.GO
        victims.append(arrival.pid)
        return Fate.KILL

    plant.gate.decide(fate)
    settings = plant.settings.model_copy(update={"attempts": ATTEMPTS})
    with plant.worker(settings=settings) as worker:
        operation = plant.site.transition(
            "work_order", to="APPROVED", ids=ids, atomic=False, chunk_items=10
        )
        outcome = plant.end(operation)
        assert worker.is_running()

    assert (outcome["state"], outcome["successful_items"]) == ("COMPLETED_WITH_ERRORS", 40)
    assert outcome["failed_ids"] == [str(each) for each in ids[20:30]]
    assert outcome["failure_codes"] == {"unavailable": 10}
    assert len(victims) == ATTEMPTS
    assert plant.ask("SELECT chunk_no FROM operation_chunk WHERE status = 'DEAD'") == KILLER
