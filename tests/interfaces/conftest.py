"""One database and one worker for all tests of a module: they only add rows of their own."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from redis import Redis

from tests.workers import Worker
from worker.local_servers import Servers
from worker.settings import Settings


@pytest.fixture(scope="module")
def database_url(servers: Servers, template: str) -> Iterator[str]:
    """Give the module a database of its own."""
    name = f"doors_{uuid4().hex}"
    url = servers.database_url_for("postgres").replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY".encode())
        yield servers.database_url_for(name)
        db.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture(scope="module")
def settings(
    servers: Servers, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    """Point at the module's database and an empty Valkey."""
    with Redis.from_url(servers.redis_url_for(0)) as redis:
        redis.flushall()
    return Settings(
        database_url=database_url,
        redis_url=servers.redis_url_for(0),
        home=tmp_path_factory.mktemp("home") / "data",
        republish_after_s=0.5,
        sweep_every_s=0.5,
    )


@pytest.fixture(scope="module")
def worker(settings: Settings) -> Iterator[Worker]:
    """Run a real Celery worker of two processes for the module."""
    with Worker(settings) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder to start a program in."""
    return tmp_path
