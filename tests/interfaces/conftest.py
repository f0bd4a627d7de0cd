"""One database and one worker for all tests of a module: they only add rows of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import Databases
from tests.workers import Worker
from worker.settings import Settings


@pytest.fixture(scope="module")
def settings(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Point at the module's database and an empty Valkey."""
    # Nobody waits for a lease to end here, and none may end on a busy machine.
    leases = {"lease_s": 45.0, "person_lease_s": 45.0}
    with databases.settings(tmp_path_factory.mktemp("home") / "data", **leases) as made:
        yield made


@pytest.fixture(scope="module")
def worker(settings: Settings) -> Iterator[Worker]:
    """Run a real Celery worker of two processes for the module."""
    with Worker(settings) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder to start a program in."""
    return tmp_path
