"""Redis or PostgreSQL fails in the middle of a run: it ends right, and its pollers learn it.

One worker lives through all of it, on servers of its own.
"""

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from redis import Redis

import lockside
from domain.permissions import Actor
from engine.records.tenants import add_named, open_tenant
from lockside.local import embedded
from models.schema_upgrade import upgrade
from tests.breaking.gate import Arrival, Fate, Gate
from tests.breaking.plant import Plant, eventually
from tests.databases import QUICK_TO_MEND
from tests.engine.archives import COLD, archive, archives, files, found, named, record, stored
from tests.factories import work_orders
from tests.patience import PATIENCE_S
from worker.interface_app import InterfaceApp
from worker.local_servers import Servers, find_running
from worker.platform_per_process import make_platform
from worker.publisher import Publisher
from worker.settings import Settings

pytestmark = pytest.mark.slow

AWAY_S = float(os.environ.get("LOCKSIDE_TEST_REDIS_AWAY_S", "30"))

PAUSED_S = 6.0
"""Above the 5 s after which a worker gives a silent Redis up."""

DOWN_S = 2.5
"""Above the 1 s after which a poller that hears nothing from Redis asks PostgreSQL."""

ITEMS, CHUNK_ITEMS = 80, 10


@dataclass(frozen=True)
class Ground:
    """A pair of servers to be broken, and the plant that stands on it."""

    folder: Path
    plant: Plant

    def mend(self) -> Servers:
        """Start what is down, where it was before; return both."""
        return embedded.start_servers(self.folder)[0]

    def redis(self) -> Redis:
        return Redis.from_url(str(self.plant.settings.redis_url))


class Run:
    """A run in its middle: one chunk is claimed, the change of another one is open.

    Both pollers are asked for the result: one who waits since before, one who asks at the end.
    """

    def __init__(self, plant: Plant) -> None:
        def fate(arrival: Arrival) -> Fate:
            caught_at = "claimed" if arrival.chunk_no == 0 else "writing"
            return Fate.HOLD if arrival.step == caught_at else Fate.GO

        self._plant = plant
        ids = work_orders(plant.site, ITEMS)
        plant.gate.decide(fate)
        self._operation = plant.site.transition(
            "work_order", to="APPROVED", ids=ids, atomic=False, chunk_items=CHUNK_ITEMS
        )
        caught = [plant.gate.next(), plant.gate.next()]
        self.writer = next(each for each in caught if each.step == "writing")
        self._caught = caught
        with_patience = PATIENCE_S + AWAY_S
        self._waiting = ThreadPoolExecutor(1).submit(self._operation.wait, with_patience)

    def go_on(self) -> None:
        """Let the workers go on, into whatever was broken meanwhile."""
        self._plant.gate.open()
        for each in self._caught:
            each.go()

    def end(self) -> dict[str, Any]:
        """Return the result."""
        self.go_on()
        told = self._waiting.result()
        assert self._plant.end(self._operation) == told
        return told


@contextmanager
def raised(folder: Path) -> Iterator[Ground]:
    """Build a plant without workers on servers of its own."""
    servers, _ = embedded.start_servers(folder)
    try:
        postgres = servers.database_url.replace("+psycopg", "")
        with psycopg.connect(postgres, autocommit=True) as db:
            db.execute("CREATE DATABASE lockside")
        settings = Settings(
            database_url=servers.database_url_for("lockside"),
            redis_url=servers.redis_url_for(0),
            home=folder / "home",
            **QUICK_TO_MEND,
        )
        platform = make_platform(settings, Publisher(InterfaceApp(settings)))
        upgrade(platform.database)
        tenant = open_tenant(platform, "demo", {"admin": ["admin", "manager"]})
        add_named(platform, Actor(tenant, None), "vendor", ["Acme Lifts"])
        platform.database.dispose()
        with lockside.connect(settings=settings) as site, Gate() as gate:
            yield Ground(folder, Plant(settings, site, gate))
    finally:
        embedded.stop(folder)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with raised(tmp_path_factory.mktemp("fragile")) as ground, ground.plant.worker():
        yield ground


@pytest.fixture
def still(tmp_path: Path) -> Iterator[Ground]:
    """Give servers without a worker, so that records are written when the test says so."""
    with raised(tmp_path / "fragile") as ground:
        yield ground


@pytest.fixture
def ground(built: Ground) -> Iterator[Ground]:
    """Give each test servers that run, even if the test before left them in ruins."""
    built.mend()
    yield built
    built.plant.gate.open()


def test_redis_is_flushed(ground: Ground) -> None:
    run = Run(ground.plant)

    with ground.redis() as redis:
        redis.flushall()

    assert run.end()["successful_items"] == ITEMS


def test_redis_is_killed_and_comes_back(ground: Ground) -> None:
    run = Run(ground.plant)

    os.kill(ground.mend().valkey_pid, signal.SIGKILL)
    run.go_on()
    ground.mend()

    assert run.end()["successful_items"] == ITEMS


def test_redis_is_away_for_long(ground: Ground) -> None:
    site = ground.plant.site
    late = work_orders(site, 3)
    run = Run(ground.plant)

    os.kill(ground.mend().valkey_pid, signal.SIGKILL)
    run.go_on()
    promised = site.transition("work_order", to="APPROVED", ids=late)
    threading.Event().wait(AWAY_S)  # the absence itself is what is tested
    ground.mend()

    assert run.end()["successful_items"] == ITEMS
    assert ground.plant.end(promised)["successful_items"] == 3


def test_every_connection_to_redis_is_cut(ground: Ground) -> None:
    run = Run(ground.plant)

    with ground.redis() as redis:
        redis.client_kill_filter(_type="normal", skipme=True)
        redis.client_kill_filter(_type="pubsub", skipme=True)

    assert run.end()["successful_items"] == ITEMS


def test_redis_is_silent_for_longer_than_anybody_waits(ground: Ground) -> None:
    run = Run(ground.plant)

    with ground.redis() as redis:
        redis.client_pause(round(PAUSED_S * 1000))

    assert run.end()["successful_items"] == ITEMS


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(signal.SIGINT, id="fast"),
        pytest.param(signal.SIGQUIT, id="immediate"),
        pytest.param(signal.SIGKILL, id="killed"),
    ],
)
def test_postgresql_is_restarted(ground: Ground, how: signal.Signals) -> None:
    run = Run(ground.plant)
    postmaster = ground.mend().postgres_pid

    os.kill(postmaster, how)
    eventually(lambda: find_running(ground.folder) is None)
    run.go_on()
    threading.Event().wait(DOWN_S)  # the absence itself is what is tested
    ground.mend()

    assert run.end()["successful_items"] == ITEMS


def test_the_session_of_an_open_change_is_terminated(ground: Ground) -> None:
    run = Run(ground.plant)
    session = ground.plant.open_change(run.writer.pid)
    assert session is not None

    assert ground.plant.ask("SELECT pg_terminate_backend(:session, 5000)", session=session)

    assert run.end()["successful_items"] == ITEMS


@pytest.mark.parametrize(
    "how", [pytest.param(signal.SIGINT, id="fast"), pytest.param(signal.SIGKILL, id="killed")]
)
@pytest.mark.parametrize("step", ["archive_written", "archive_noted", "records_archived"])
def test_postgresql_is_restarted_while_records_are_archived(
    still: Ground, step: str, how: signal.Signals
) -> None:
    site, gate = still.plant.site, still.plant.gate
    record(site)
    before = sum(map(len, stored(site).values()))
    gate.hold_at(step)
    with still.plant.interface("archive", COLD.isoformat()) as archiver:
        caught = gate.next()
        os.kill(still.mend().postgres_pid, how)
        eventually(lambda: find_running(still.folder) is None)
        still.mend()
        gate.decide(lambda _: Fate.GO)
        caught.go()
        archiver.wait(PATIENCE_S)
    midway = found(site)

    archive(site)

    # Whether it died of it depends on whether its connection was in use at that moment.
    assert (midway, found(site)) == ([], [])
    assert sum(each["records"] for each in archives(site)) == before
    assert not any(stored(site).values())
    assert files(site) == named(site)
