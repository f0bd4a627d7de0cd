"""Start-up: what a command imports before it answers; what it doesn't need stays away."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

import lockside
from tests.factories import work_orders
from tests.workers import environment

pytestmark = pytest.mark.slow

# What these bring takes longer to import than most commands take to answer.
SERVER_SIDE = {"celery", "kombu", "redis", "alembic", "psutil", "flower"}
FOR_WRITES = {"phonenumbers", "stdnum", "domain.redaction.redact", "engine.audit.outbox_redaction"}
FOR_SOME = {"pygments", "holidays", "lark", "zstandard", "structlog"}
HEAVY = SERVER_SIDE | FOR_WRITES | FOR_SOME
DATABASE = {"sqlalchemy", "psycopg", "pydantic"}

READING = [
    "records list work-order",
    "records show work-order {id}",
    "records history work-order {id}",
    "explain work-order {id}",
    "operations list",
    "export work-order",
    "audit trail",
    "audit times work-order",
    "autoclose policies",
    "autoclose history",
    "tenants list",
]
SHOW = "import json, sys; sys.stderr.write(json.dumps(sorted(sys.modules)))"
PROGRAM = f"""
import atexit
atexit.register(lambda: exec({SHOW!r}))
from cli.main import main
main()
"""


def imported(code: str, words: Sequence[str] = (), **variables: str) -> set[str]:
    """Return the modules that a process has imported when it ends."""
    ended = subprocess.run(
        [sys.executable, "-c", code, *words],
        env=dict(os.environ) | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    said = ended.stderr.splitlines()
    assert ended.returncode == 0, ended.stderr
    return set(json.loads(said[-1][said[-1].index("[") :]))


def test_import_lockside_brings_neither_a_driver_nor_a_framework() -> None:
    modules = imported(f"import lockside; {SHOW}")

    assert modules & (HEAVY | DATABASE | {"rich", "click"}) == set()


@pytest.mark.parametrize("words", ["--help", "records --help", "records list --help", "--version"])
def test_help_waits_for_no_platform(words: str) -> None:
    modules = imported(PROGRAM, words.split())

    assert modules & (HEAVY | DATABASE) == set()


@pytest.mark.parametrize("words", READING)
def test_a_command_that_reads_imports_nothing_that_writes_or_sends(
    site: lockside.Session, words: str
) -> None:
    row_id = work_orders(site, 1)[0]

    modules = imported(PROGRAM, words.format(id=row_id).split(), **environment(site.settings))

    assert modules & HEAVY == set()


def test_a_filter_brings_its_parser_and_nothing_more(site: lockside.Session) -> None:
    words = ["records", "list", "work-order", "--where", "state=DRAFT"]

    modules = imported(PROGRAM, words, **environment(site.settings))

    assert modules & HEAVY == {"lark"}


def test_what_is_imported_late_is_listed_all_the_same() -> None:
    assert set(lockside.__all__) <= set(dir(lockside))
