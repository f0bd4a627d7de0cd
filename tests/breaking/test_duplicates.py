"""Messages that come more than once, and replies that never come."""

from typing import Any

import pytest

import lockside
from tests.breaking.plant import Plant
from tests.breaking.proxy import Proxy
from tests.factories import work_orders

pytestmark = pytest.mark.slow

COPIES = 3
LOST = 5


def test_every_message_comes_three_times(plant: Plant) -> None:
    ids = work_orders(plant.site, 70)
    send = plant.site.app.send_task

    def send_copies(*words: Any, **options: Any) -> Any:
        return [send(*words, **options) for _ in range(COPIES)][-1]

    plant.site.app.send_task = send_copies  # type: ignore[method-assign]  # every dispatch message passes here
    with plant.worker(extra={"LOCKSIDE_TEST_COPIES": str(COPIES)}) as worker:
        bulk = plant.site.transition(
            "work_order", to="APPROVED", ids=ids[:60], atomic=False, chunk_items=5
        )
        singles = [plant.site.transition("work_order", to="APPROVED", ids=n) for n in ids[60:]]
        ends = [plant.end(each) for each in (bulk, *singles)]

    received = [each for each in worker.lines if "bulk.run_chunk" in each and "received" in each]
    assert len(received) >= COPIES * (12 + 10)
    assert [each["successful_items"] for each in ends] == [60] + [1] * 10


def test_the_reply_to_a_published_hint_is_lost(plant: Plant) -> None:
    with Proxy(str(plant.settings.redis_url), "LPUSH", LOST) as redis:
        through = {"redis_url": redis.url}

        outcome = approved_through(plant, through, at_the_interface=True)

        assert redis.swallowed == LOST
    assert outcome["successful_items"] == 60


def test_the_reply_to_a_lock_is_lost(plant: Plant) -> None:
    with Proxy(str(plant.settings.redis_url), "EVALSHA", LOST) as redis:
        outcome = approved_through(plant, {"redis_url": redis.url})

        assert redis.swallowed == LOST
    assert outcome["successful_items"] == 60


def test_the_reply_to_a_commit_is_lost(plant: Plant) -> None:
    with Proxy(str(plant.settings.database_url), "COMMIT\x00", LOST) as postgres:
        outcome = approved_through(plant, {"database_url": postgres.url})

        assert postgres.swallowed == LOST
    assert outcome["successful_items"] == 60


def approved_through(
    plant: Plant, addresses: dict[str, str], *, at_the_interface: bool = False
) -> dict[str, Any]:
    """Approve sixty rows with a worker, and perhaps an interface, that know other addresses."""
    ids = work_orders(plant.site, 60)
    settings = plant.settings.model_copy(update=addresses)
    with lockside.connect(settings=settings if at_the_interface else plant.settings) as interface:
        operation = interface.transition(
            "work_order", to="APPROVED", ids=ids, atomic=False, chunk_items=5
        )
    with plant.worker(settings=settings):
        return plant.end(plant.site.operation(operation.id))
