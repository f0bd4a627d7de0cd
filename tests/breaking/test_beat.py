"""Beat's ticks mean nothing by themselves: two at once, or one killed, change nothing."""

import os
import signal
from pathlib import Path

import pytest

import lockside
from tests.breaking.beats import beat
from tests.breaking.plant import Plant
from tests.factories import work_orders
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.slow

NEVER_S = 3600.0


def test_sweeps_go_on_with_two_beats_and_with_the_one_that_is_left(
    plant: Plant, tmp_path: Path
) -> None:
    ids = work_orders(plant.site, 40)
    settings = plant.settings.model_copy(update={"sweep_every_s": NEVER_S})
    with plant.worker(settings=settings) as worker:
        worker.wait_for("upkeep.sweep", 30)  # the only one that it asks for by itself
        with beat(plant, tmp_path / "one") as first, beat(plant, tmp_path / "two"):
            with_two = plant.end(forgotten(plant, ids[:20]))
            os.kill(first.pid, signal.SIGKILL)
            first.wait(PATIENCE_S)
            with_one = plant.end(forgotten(plant, ids[20:]))

    assert (with_two["successful_items"], with_one["successful_items"]) == (20, 20)


def forgotten(plant: Plant, ids: list[int]) -> lockside.Operation:
    """Submit an operation whose dispatch messages are lost: only a sweep finds it."""
    site = plant.site
    publish_nowhere = site.settings.model_copy(update={"redis_url": "redis://127.0.0.1:1"})
    with lockside.connect(settings=publish_nowhere) as interface:
        operation = interface.transition(
            "work_order", to="APPROVED", ids=ids, atomic=False, chunk_items=5
        )
    return site.operation(operation.id)
