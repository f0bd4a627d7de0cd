"""Sessions of somebody who comes to the database without Lockside."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

import lockside
from tests.databases import Databases

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
def shared(databases: Databases) -> Iterator[str]:
    """Make a database for tests that commit nothing."""
    with databases.copy() as url:
        yield url


@pytest.fixture
def passing(shared: str) -> Iterator[Session]:
    """Open a session on the shared database; it never commits."""
    with _connect(shared) as session:
        yield session
        session.rollback()
