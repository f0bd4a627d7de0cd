"""Benchmark environment: servers in a temporary folder, template databases, real workers."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from time import monotonic, sleep

import psycopg
from redis import Redis

import lockside
from benchmarks.measure import Run
from benchmarks.ways import add_children, rows_of
from engine.audit.writer import write_records
from engine.records.tenants import open_tenant
from lockside.local import embedded
from models.schema_upgrade import upgrade
from worker.interface_app import InterfaceApp
from worker.local_servers import Servers
from worker.platform_per_process import make_platform
from worker.publisher import Publisher
from worker.settings import Settings

PROJECT = Path(__file__).parents[1]
NOOP = "benchmark.noop"
ONE_ITEM = "benchmark.one_item"
PROCESSES = 2
PATIENCE_S = 120.0
_IMPORTED_AT_ONCE = 10_000
_BASE = "template_base"

Announce = Callable[[str], None]
"""Is called with a sentence on what is measured now."""


class House:
    """A pair of servers, with template databases that hold the rows of a round.

    Attributes:
        quick: Whether it only matters that everything runs, not how fast.
        warm_up_rows: How many additional rows a round needs for its warm-up.
        measured: Earlier results of `bulk.operate`, by its arguments.
    """

    def __init__(self, servers: Servers, *, quick: bool) -> None:
        self.quick = quick
        self.warm_up_rows = 4 if quick else 40
        self.measured: dict[Hashable, Run] = {}
        self._servers = servers
        self._rounds = 0
        self._templates: set[str] = set()
        self._template = ""

    def build(self, **counts: int) -> None:
        """Choose the template of the next rounds: a tenant with so many rows of each kind."""
        self._template = "template_" + "_".join(f"{kind}_{n}" for kind, n in counts.items())
        if self._template in self._templates:
            return
        if not self._templates:
            self._build_base()
        self._maintain(f"CREATE DATABASE {self._template} TEMPLATE {_BASE}")
        self._templates.add(self._template)
        settings = self._settings(self._template)
        platform = make_platform(settings, Publisher(InterfaceApp(settings)))
        with (
            lockside.connect(settings=settings) as site,
            psycopg.connect(libpq(settings.database_url), autocommit=True) as db,
        ):
            for kind, count in counts.items():
                rows = rows_of(site, kind, count)
                while batch := list(islice(rows, _IMPORTED_AT_ONCE)):
                    site.import_work(kind, batch)
                add_children(db, kind)
        write_records(platform)
        platform.database.dispose()
        self._maintain("VACUUM ANALYZE", database=self._template)

    @contextmanager
    def database(self) -> Iterator[Settings]:
        """Yield the settings of a round: its own copy of the template, and an empty Valkey."""
        self._rounds += 1
        name = f"round_{self._rounds}"
        self._maintain(f"CREATE DATABASE {name} TEMPLATE {self._template} STRATEGY file_copy")
        with Redis.from_url(self._servers.redis_url_for(0)) as redis:
            redis.flushall()
        # Everything written so far is on disk before time is taken.
        self._maintain("VACUUM ANALYZE", database=name)
        self._maintain("CHECKPOINT")
        try:
            yield self._settings(name)
        finally:
            self._maintain(f"DROP DATABASE {name} WITH (FORCE)")

    def versions(self) -> dict[str, str]:
        """Return the versions of the servers."""
        url = libpq(self._servers.database_url_for("postgres"))
        with psycopg.connect(url) as db, Redis.from_url(self._servers.redis_url_for(0)) as redis:
            row = db.execute("SHOW server_version").fetchone()
            valkey = redis.info("server")
        return {"postgres": str(row and row[0]), "valkey": str(valkey.get("valkey_version"))}

    def _build_base(self) -> None:
        self._maintain(f"CREATE DATABASE {_BASE}")
        settings = self._settings(_BASE)
        platform = make_platform(settings, Publisher(InterfaceApp(settings)))
        upgrade(platform.database)
        open_tenant(platform, "demo", {"admin": ["admin", "manager"]})
        platform.database.dispose()

    def _settings(self, name: str) -> Settings:
        return Settings(
            database_url=self._servers.database_url_for(name),
            redis_url=self._servers.redis_url_for(0),
            concurrency=PROCESSES,
        )

    def _maintain(self, *statements: str, database: str = "postgres") -> None:
        url = libpq(self._servers.database_url_for(database))
        with psycopg.connect(url, autocommit=True) as db:
            for statement in statements:
                db.execute(statement.encode())


@contextmanager
def open_house(*, quick: bool) -> Iterator[House]:
    """Run a pair of servers in a temporary folder, which is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="lockside-benchmark-") as name:
        folder = Path(name) / "servers"
        servers, _ = embedded.start_servers(folder)
        try:
            yield House(servers, quick=quick)
        finally:
            embedded.stop(folder)


@contextmanager
def workers(settings: Settings, extra: Mapping[str, str] | None = None) -> Iterator[int]:
    """Run a Celery worker of two processes and yield its process id.

    Raises:
        RuntimeError: It didn't start; the message is its log.
    """
    variables = {
        "DATABASE_URL": str(settings.database_url),
        "REDIS_URL": str(settings.redis_url),
        "LOCKSIDE_CONCURRENCY": str(PROCESSES),
        "LOCKSIDE_REDIS_LOCKS": str(settings.redis_locks),
        "PYTHONPATH": str(PROJECT),
    }
    with tempfile.NamedTemporaryFile("r", prefix="lockside-benchmark-") as log:
        command = [
            *(sys.executable, "-m", "celery", "-A", "benchmarks.worker", "worker"),
            *("-c", str(PROCESSES), "--without-mingle", "--without-gossip", "-l", "INFO"),
        ]
        process = subprocess.Popen(
            [*command, "-f", log.name],
            cwd=PROJECT,
            env=os.environ | variables | dict(extra or {}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        try:
            until(lambda: " ready." in Path(log.name).read_text() or process.poll() is not None)
            if process.poll() is not None:
                raise RuntimeError("the worker did not start:\n" + Path(log.name).read_text())
            yield process.pid
        finally:
            # Everything is measured and the database is dropped: there is nothing to wait for.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(PATIENCE_S)


def until(done: Callable[[], bool], pause_s: float = 0.05) -> None:
    """Wait until a condition holds.

    Raises:
        TimeoutError: It didn't hold within two minutes.
    """
    deadline = monotonic() + PATIENCE_S
    while not done():
        if monotonic() > deadline:
            raise TimeoutError("the work that is measured did not end")
        sleep(pause_s)


def libpq(url: str | None) -> str:
    """Return an address of SQLAlchemy in the form for psycopg."""
    return str(url).replace("+psycopg", "")
