"""Plants to break: one a test, on the servers of the test process."""

from collections.abc import Iterator

import pytest

import lockside
from tests.breaking.gate import Gate
from tests.breaking.plant import Plant
from worker.settings import Settings


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Let every process pass until the test says otherwise."""
    with Gate() as opened:
        yield opened


@pytest.fixture
def plant(settings: Settings, site: lockside.Session, gate: Gate) -> Plant:
    """Return a plant without workers, on a database of the test's own."""
    return Plant(settings, site, gate)
