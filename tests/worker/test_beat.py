"""Beat shows that it is alive."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import PATIENCE_S
from tests.workers import PROJECT, environment
from worker.settings import Settings

SHOWS_LIFE_WITHIN_S = PATIENCE_S


@pytest.mark.slow
def test_beat_touches_its_heartbeat_file(settings: Settings, tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    command = [sys.executable, "-m", "celery", "-A", "worker.main", "beat", "--pidfile="]

    with subprocess.Popen(
        [*command, "--schedule", str(tmp_path / "schedule"), "-l", "DEBUG"],
        cwd=PROJECT,
        env=environment(settings) | {"LOCKSIDE_HEARTBEAT_FILE": str(alive)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as beat:
        # Beat logs before it sleeps until its next tick, which is after the look itself.
        said = next((line for line in beat.stderr or [] if "Waking up" in line), "")
        touched = alive.exists()
        beat.terminate()
        beat.wait(SHOWS_LIFE_WITHIN_S)

    assert (bool(said), touched) == (True, True)
