"""The benchmarks run end to end, on sizes that are too small to mean anything."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import PATIENCE_S
from tests.workers import PROJECT

pytestmark = pytest.mark.slow


@pytest.mark.timeout(1500)  # other tests run beside it
def test_every_benchmark_does_its_work_and_tells_a_ratio(tmp_path: Path) -> None:
    running = subprocess.Popen(
        [sys.executable, "-m", "benchmarks", "--quick", "--into", tmp_path],
        cwd=PROJECT,
        # Its databases beside those of all tests, which are in memory where there is room.
        env=os.environ | {"PYTHONPATH": str(PROJECT), "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        said, _ = running.communicate()
    finally:
        # Asked to stop it takes its servers with it; killed it would leave them behind.
        running.terminate()
        running.wait(PATIENCE_S)

    assert running.returncode == 0, said
    told = json.loads((tmp_path / "results.json").read_text())
    assert list(told) == [
        *("F1", "F10", "F1k", "F1s", "F2a", "F2b", "F3a", "F3b", "F4", "F5", "F6a", "F6b"),
        *("F9a", "F9b", "R1", "R2", "R3", "T1", "T2"),
    ]
    assert all(
        each["ratio"] is not None and {"goal", "ok", "detail"} <= each.keys()
        for each in told.values()
    )
    assert "| F6b |" in (tmp_path / "results.md").read_text()


def test_a_benchmark_that_does_not_exist_is_refused() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--only", "F99"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 2
    assert "F99" in ended.stderr
