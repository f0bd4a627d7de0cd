"""Archivers killed for real: the records are in their tables or in archives, and never in both."""

import signal

import pytest

from tests.breaking.gate import Fate
from tests.breaking.plant import Plant
from tests.engine.archives import COLD, archive, archives, files, found, named, record, stored
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.slow

STEPS = ("archive_written", "archive_checked", "archive_noted", "records_archived")


@pytest.mark.parametrize("step", STEPS)
def test_an_archiver_that_is_killed(plant: Plant, step: str) -> None:
    record(plant.site)
    plant.gate.hold_at(step)
    with plant.interface("archive", COLD.isoformat()) as archiver:
        plant.gate.next().kill()
        code = archiver.wait(PATIENCE_S)
    plant.gate.open()
    midway = found(plant.site)

    archive(plant.site)

    assert (code, midway, found(plant.site)) == (-signal.SIGKILL, [], [])
    assert sum(each["records"] for each in archives(plant.site)) == 11
    assert not any(stored(plant.site).values())
    assert files(plant.site) == named(plant.site)


def test_whoever_comes_while_one_archives_leaves_it_alone(plant: Plant) -> None:
    record(plant.site)
    plant.gate.hold_at("archive_checked")
    with plant.interface("archive", COLD.isoformat()) as archiver:
        caught = plant.gate.next()
        beside = archive(plant.site)
        plant.gate.decide(lambda _: Fate.GO)
        caught.go()
        code = archiver.wait(PATIENCE_S)

    assert (code, "state_transition_audit 2026-05: somebody else is at it" in beside.stays) == (
        0,
        True,
    )
    assert sum(each["records"] for each in archives(plant.site)) == 11
    assert found(plant.site) == []
