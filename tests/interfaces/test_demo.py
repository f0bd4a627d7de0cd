"""`lockside demo` keeps its promises and leaves nothing behind."""

import json
import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.interfaces.commands import spawn
from tests.interfaces.test_up import ROOT, processes_of
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.slow

LASTS_AT_MOST_S = PATIENCE_S


def variables(home: Path) -> dict[str, str]:
    # What the environment names isn't touched: the demo brings its own servers.
    somebody_elses = {
        "DATABASE_URL": "postgresql+psycopg://nobody@127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }
    return os.environ | somebody_elses | {"LOCKSIDE_HOME": str(home), "PYTHONPATH": str(ROOT)}


def test_it_does_what_it_says_and_is_gone(tmp_path: Path) -> None:
    home = tmp_path / "home"

    demo = spawn(variables(home), tmp_path, "demo", "--json")
    told, said = demo.communicate(timeout=LASTS_AT_MOST_S)

    shown = json.loads(told)
    assert demo.returncode == 0, (said, shown)
    assert shown["as_promised"] == dict.fromkeys(shown["as_promised"], True)
    assert shown["approved"]["successful_items"] > 7_000
    assert shown["approved"]["failure_codes"].keys() == {"vendor_missing"}
    assert shown["all_or_nothing"]["was_rolled_back"]
    assert (list(tmp_path.iterdir()), processes_of(home)) == ([], [])


def test_stopped_midway_it_is_gone_as_well(tmp_path: Path) -> None:
    home = tmp_path / "home"
    demo = spawn(variables(home), tmp_path, "demo")
    assert demo.stdout is not None
    line = next(line for line in demo.stdout if "Starting a worker" in line)

    demo.send_signal(signal.SIGINT)
    _, said = demo.communicate(timeout=LASTS_AT_MOST_S)

    assert line
    assert demo.returncode == 130
    assert "Traceback" not in said
    assert (list(tmp_path.iterdir()), processes_of(home)) == ([], [])
    assert not psutil.pid_exists(demo.pid)
