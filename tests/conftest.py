"""Real servers for every test: one PostgreSQL and one Valkey a test process, a database a test."""

import os
import shutil
import signal
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from redis import Redis
from sqlalchemy import text

import lockside
from domain.permissions import Actor
from engine.records.tenants import add_named, open_tenant
from lockside.local import embedded
from models.schema_upgrade import upgrade
from tests.sentences import Sentences
from tests.system_postgres import postgres_of
from tests.workers import Worker
from worker.interface_app import InterfaceApp
from worker.local_servers import Servers
from worker.platform_per_process import make_engine, make_platform
from worker.publisher import Publisher
from worker.settings import Settings

TEMPLATE = "lockside_template"
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
def template(servers: Servers) -> str:
    """Make the database that every test's own is copied from: two tenants, their people."""
    _maintain(servers, f"CREATE DATABASE {TEMPLATE}")
    url = servers.database_url_for(TEMPLATE)
    engine = make_engine(url)
    upgrade(engine)
    settings = Settings(database_url=url, redis_url=servers.redis_url_for(0))
    app = InterfaceApp(settings)
    platform = make_platform(settings, Publisher(app))
    people = {
        "admin": ["admin", "manager"],
        "asha": ["manager"],
        "dora": ["dispatcher"],
        "samuel": ["supervisor"],
        "tomas": ["technician"],
        "pay": ["payroll"],
        "victor": ["viewer"],
    }
    for tenant in ("demo", "other"):
        system = Actor(open_tenant(platform, tenant, people), None)
        add_named(platform, system, "vendor", ["Acme Lifts", "Bright Clean"])
    # Tests begin with empty books: no operation, no record.
    with engine.begin() as db:
        db.execute(text("TRUNCATE outbox, operation, operation_chunk, scheduled_run, alert"))
    platform.database.dispose()
    app.close()
    engine.dispose()
    return TEMPLATE


@pytest.fixture
def says(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sentences]:
    """Compare sentences with those of the golden file."""
    path = request.node.path.relative_to(Path(__file__).parent).with_suffix("")
    sentences = Sentences(f"{path}: {request.node.name.removeprefix('test_')}", str(tmp_path))
    yield sentences
    if request.node.stash.get(PASSED, False):
        sentences.end()


@pytest.fixture
def database_url(servers: Servers, template: str) -> Iterator[str]:
    """Give the test a database of its own."""
    name = f"test_{uuid4().hex}"
    # Copying the files takes half the time of writing each block to the log.
    _maintain(servers, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    yield servers.database_url_for(name)
    _maintain(servers, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def settings(servers: Servers, database_url: str, tmp_path: Path) -> Settings:
    """Point at the test's database and an empty Valkey, with short leases."""
    with Redis.from_url(servers.redis_url_for(0)) as redis:
        redis.flushall()
    return Settings(
        database_url=database_url,
        redis_url=servers.redis_url_for(0),
        home=tmp_path / "home",
        lease_s=1.0,
        person_lease_s=1.0,
        republish_after_s=0.5,
        sweep_every_s=0.5,
    )


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


def _maintain(servers: Servers, statement: str) -> None:
    url = servers.database_url_for("postgres").replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(statement.encode())
