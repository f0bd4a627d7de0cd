"""Sessions of somebody who comes to the database without Lockside."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

import lockside
from worker.local_servers import Servers

Session = psycopg.Connection[Any]


def _connect(database_url: str) -> Session:
    return psycopg.connect(database_url.replace("+psycopg", ""))


@pytest.fixture
def raw(site: lockside.Session) -> Iterator[Session]:
    """Open a session beside Lockside; what the test leaves open is rolled back."""
    with _connect(str(site.settings.database_url)) as session:
        yield session
        session.rollback()


@pytest.fixture(scope="module")
def shared(servers: Servers, template: str) -> Iterator[str]:
    """Make a database for tests that commit nothing."""
    name = f"shared_{uuid4().hex}"
    made = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    with _connect(servers.database_url_for("postgres")) as admin:
        admin.autocommit = True
        admin.execute(made.format(sql.Identifier(name), sql.Identifier(template)))
        yield servers.database_url_for(name)
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def passing(shared: str) -> Iterator[Session]:
    """Open a session on the shared database; it never commits."""
    with _connect(shared) as session:
        yield session
        session.rollback()
