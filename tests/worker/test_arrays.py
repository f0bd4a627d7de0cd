"""Whatever a list holds, PostgreSQL gets just that."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest

from worker.arrays import QuickListDumper
from worker.local_servers import Servers

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ODD = datetime(2026, 11, 22, 12, 0, 0, 1, tzinfo=timezone(timedelta(hours=5, minutes=30)))

LISTS: list[tuple[str, list[Any]]] = [
    ("bigint[]", []),
    ("bigint[]", [1, -2, 2**63 - 1]),
    ("bigint[]", [1, None, 3]),
    ("bigint[]", [None, None]),
    ("text[]", ["a"]),
    ("text[]", [""]),
    ("text[]", ["", None, ""]),
    ("text[]", ["NULL", "null", None]),
    ("text[]", ['"', "\\", '\\"', "{", "}", ",", "a,b", " a ", "'", "%s", "ä€😀"]),
    ("text[]", ["a\nb", "\r\n", "\t", "\x01"]),
    ("text[]", ["\x1f", "\x1e", None]),
    ("text[]", ["a\x1fb", "c"]),
    ("text[]", ["a\x1eb", None]),
    ("text[]", ['{"a": {"before": null, "after": "x\\"y"}}'] * 5),
    ("timestamptz[]", [NOON, ODD]),
    ("timestamptz[]", [NOON, None, NOON]),
    ("boolean[]", [True, False, None]),
    ("float8[]", [1.5, None]),
    ("bigint[]", [[1, 2], [3, 4]]),
]


@pytest.fixture
def quick(servers: Servers) -> Any:
    url = servers.database_url_for("postgres").replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as db:
        db.adapters.register_dumper(list, QuickListDumper)
        yield db


@pytest.mark.parametrize(("sort", "given"), LISTS)
def test_a_list_comes_back_as_it_went(
    quick: psycopg.Connection[Any], sort: str, given: list[Any]
) -> None:
    found = quick.execute(f"SELECT %s::{sort}".encode(), [given]).fetchone()

    assert found == (given,)


@pytest.mark.parametrize("given", [["a\x00b"], ["\ud800"]])
def test_what_cannot_be_stored_is_refused_as_by_the_driver(
    quick: psycopg.Connection[Any], given: list[Any]
) -> None:
    with pytest.raises((psycopg.DataError, UnicodeEncodeError)):
        quick.execute(b"SELECT %s::text[]", [given])
