"""A fifth kind of work is one machine, one table, one migration: everything else finds it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from models.base import kinds
from tests.databases import Databases
from tests.patience import PATIENCE_S
from tests.workers import PROJECT, environment

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def told(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    """Run the script with the fifth kind on a database of its own; give what it printed."""
    with databases.settings(tmp_path_factory.mktemp("home")) as settings:
        ran = subprocess.run(
            [sys.executable, "-m", "tests.engine.fifth_kind"],
            cwd=PROJECT,
            env=environment(settings),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
        assert ran.returncode == 0, ran.stderr
        yield json.loads(ran.stdout.splitlines()[-1])


def test_the_kind_is_not_here() -> None:
    assert "inspection" not in kinds()


def test_its_rows_come_in_and_move_in_bulk(told: dict[str, Any]) -> None:
    assert (told["verbs"]["bulk"], told["verbs"]["states"]) == (3, {"DONE": 3, "FILED": 1})


def test_its_rules_hold(told: dict[str, Any]) -> None:
    done = told["verbs"]
    assert (done["rule"], done["comments"]) == ({"grade_missing": 1}, {"comments_required": 1})


def test_its_verbs_lead_where_its_machine_says(told: dict[str, Any]) -> None:
    assert (told["machine"], told["verbs"]["performed"]) == (
        ["carry_out", "file", "repeat"],
        "transition_to_DONE",
    )


def test_it_is_assigned_and_updated(told: dict[str, Any]) -> None:
    done = told["verbs"]
    assert (done["assigned"], done["updated"], done["filed"]) == ("SUCCEEDED",) * 3
    assert (done["locked"], done["wrong grade"]) == ({"record_locked": 1}, "invalid_input")


def test_it_is_explained(told: dict[str, Any]) -> None:
    assert told["verbs"]["explained"] == [
        ["file", ["comments_required"]],
        ["repeat", ["comments_required"]],
    ]
    assert told["verbs"]["selection"] == 1


def test_it_is_created_read_changed_and_deleted(told: dict[str, Any]) -> None:
    assert told["records"] == {
        "state": "PLANNED",
        "versions": [1, 2],
        "stale": "concurrency_conflict",
        "deleted": 3,
        "gone": "not_found",
        "timeline": ["CREATED", "UPDATED", "DELETED", "DELETED"],
        "listed": 4,
    }


def test_the_database_guards_it(told: dict[str, Any]) -> None:
    allowed = told["guard"].pop("an override along an arrow")

    assert allowed is None
    assert set(told["guard"].values()) == {"LS001"}


def test_its_every_version_is_recorded(told: dict[str, Any]) -> None:
    assert told["trail"]["timeline"] == [
        ["CREATED", 1, None],
        ["STATE_CHANGED", 2, None],
        ["UPDATED", 3, None],
        ["UPDATED", 4, None],
        ["UPDATED", 5, None],
        ["STATE_CHANGED", 5, "permission_denied"],
    ]


def test_its_permissions_are_held_by_the_standard_roles(told: dict[str, Any]) -> None:
    trail = told["trail"]
    assert (trail["denied"], trail["denial"]) == (
        {"permission_denied": 1},
        ["inspection", ["inspection.file"]],
    )
    assert (trail["viewer sees"], trail["foreign"]) == ("DONE", "not_found")
