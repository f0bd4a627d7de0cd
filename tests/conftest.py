"""Real servers for every test: one PostgreSQL and one Valkey a test process, a database a test."""

import logging
import os
import shutil
import signal
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import lockside
from lockside.local import embedded
from tests.databases import Databases
from tests.sentences import Sentences
from tests.system_postgres import postgres_of
from tests.workers import Worker
from worker.local_servers import Servers
from worker.logs import LOGGERS
from worker.settings import Settings

PASSED = pytest.StashKey[bool]()
MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 4 * 2**30


def pytest_configure() -> None:
    """Heed Ctrl-C, and keep the servers' files in memory where there is room for them."""
    # A shell's background job ignores it, and so would all programs that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # A database a test is a thousand files a test: making them takes a disk 20 times as long.
    if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH_BYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
    # What a terminal shows doesn't depend on where the tests run.
    os.environ["TERM"] = "xterm"
    # The programs that tests start would compile all modules anew each time.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest, so that all test processes end at about the same time."""
    items.sort(key=_patience, reverse=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note whether a test passed, for fixtures that end after it."""
    report = yield
    if report.when == "call":
        item.stash[PASSED] = report.passed
    return report


def _patience(item: pytest.Item) -> float:
    mark = item.get_closest_marker("timeout")
    return float(mark.args[0]) if mark else float(item.get_closest_marker("slow") is not None)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Bring a pair of servers up for this test process, and stop it at the end."""
    folder = tmp_path_factory.mktemp("servers")
    with ExitStack() as stack:
        if programs := os.environ.get("POSTGRES_BIN"):
            stack.enter_context(postgres_of(Path(programs)))
        running, _ = embedded.start_servers(folder)
        stack.callback(embedded.stop, folder)
        yield running


@pytest.fixture(scope="session")
def databases(servers: Servers) -> Iterator[Databases]:
    """Make databases on the servers of this test process."""
    with Databases(servers) as made:
        yield made


@pytest.fixture
def says(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sentences]:
    """Compare sentences with those of the golden file."""
    path = request.node.path.relative_to(Path(__file__).parent).with_suffix("")
    sentences = Sentences(f"{path}: {request.node.name.removeprefix('test_')}", str(tmp_path))
    yield sentences
    if request.node.stash.get(PASSED, False):
        sentences.end()


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Catch what the platform logs, also after a command has taken its loggers from the root."""
    apart = [each for each in map(logging.getLogger, LOGGERS) if not each.propagate]
    for each in apart:
        each.addHandler(caplog.handler)
    yield caplog
    for each in apart:
        each.removeHandler(caplog.handler)


@pytest.fixture
def settings(databases: Databases, tmp_path: Path) -> Iterator[Settings]:
    """Point at the test's own database and an empty Valkey, with short leases."""
    with databases.settings(tmp_path / "home") as made:
        yield made


@pytest.fixture
def site(settings: Settings) -> Iterator[lockside.Session]:
    """Connect as the tenant's administrator, who is a manager too."""
    with lockside.connect(settings=settings) as connected:
        yield connected


@pytest.fixture
def worker(settings: Settings) -> Iterator[Worker]:
    """Run a real Celery worker of two processes for the test."""
    with Worker(settings) as running:
        yield running
