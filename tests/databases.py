"""Databases of tests: copies of one template, on a server that only has to outlive the tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import psycopg
from psycopg import sql
from redis import Redis
from sqlalchemy import text

from domain.permissions import Actor
from engine.records.tenants import add_named, open_tenant
from models.schema_upgrade import upgrade
from worker.interface_app import InterfaceApp
from worker.local_servers import Servers
from worker.platform_per_process import make_engine, make_platform
from worker.publisher import Publisher
from worker.settings import Settings

QUICK_TO_MEND: dict[str, Any] = {
    "lease_s": 1.0,
    "person_lease_s": 1.0,
    "republish_after_s": 0.5,
    "sweep_every_s": 0.5,
}
"""Settings under which everything is found and mended within a second or two."""

_TEMPLATE = "lockside_template"

_PEOPLE = {
    "admin": ["admin", "manager"],
    "asha": ["manager"],
    "dora": ["dispatcher"],
    "samuel": ["supervisor"],
    "tomas": ["technician"],
    "pay": ["payroll"],
    "victor": ["viewer"],
}

# What is lost when the whole machine stops, and what a short life doesn't need.
_OFF = ("fsync", "full_page_writes", "autovacuum")

_KNOWS_SCRAM_ITERATIONS = 160000
"""PostgreSQL 16, as `server_version` has it."""


class Databases:
    """The databases of one test process, made and dropped over one connection."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._redis = Redis.from_url(servers.redis_url_for(0))

    def __enter__(self) -> Self:
        """Connect, and make the template: two tenants, their people, empty books."""
        url = self._servers.database_url_for("postgres").replace("+psycopg", "")
        self._db = psycopg.connect(url, autocommit=True)
        for name in _OFF:
            self._do("ALTER SYSTEM SET {} = off", name)
        self._db.execute("SELECT pg_reload_conf()")
        if self._db.info.server_version >= _KNOWS_SCRAM_ITERATIONS:
            # Thousands of rounds of hashing a connection would be a tenth of all tests' time.
            self._db.execute("SET scram_iterations = 1")
            password = sql.Literal(self._db.info.password)
            self._db.execute(sql.SQL("ALTER ROLE postgres PASSWORD {}").format(password))
        self._do("CREATE DATABASE {}", _TEMPLATE)
        self._fill()
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()
        self._redis.close()

    @contextmanager
    def copy(self) -> Iterator[str]:
        """Make a copy of the template, yield its address, and drop it."""
        name = f"test_{uuid4().hex}"
        # Copying the files takes half the time of writing each block to the log.
        self._do("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", name, _TEMPLATE)
        try:
            yield self._servers.database_url_for(name)
        finally:
            self._do("DROP DATABASE {} WITH (FORCE)", name)

    @contextmanager
    def settings(self, home: Path, **more: Any) -> Iterator[Settings]:
        """Yield the settings of a platform on a copy of the template and an empty Valkey.

        What goes wrong is found and mended within a second or two; *more* changes that.
        """
        self._redis.flushall()
        with self.copy() as url:
            yield Settings(
                database_url=url,
                redis_url=self._servers.redis_url_for(0),
                home=home,
                **QUICK_TO_MEND | more,
            )

    def _do(self, statement: str, *names: str) -> None:
        self._db.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def _fill(self) -> None:
        url = self._servers.database_url_for(_TEMPLATE)
        settings = Settings(database_url=url, redis_url=self._servers.redis_url_for(0))
        engine = make_engine(url)
        upgrade(engine)
        app = InterfaceApp(settings)
        platform = make_platform(settings, Publisher(app))
        for tenant in ("demo", "other"):
            system = Actor(open_tenant(platform, tenant, _PEOPLE), None)
            add_named(platform, system, "vendor", ["Acme Lifts", "Bright Clean"])
        with engine.begin() as db:
            db.execute(text("TRUNCATE outbox, operation, operation_chunk, scheduled_run, alert"))
        platform.database.dispose()
        app.close()
        engine.dispose()
