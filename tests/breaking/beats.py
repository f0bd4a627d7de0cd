"""Real beats, ticking fast."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.breaking.plant import Plant
from tests.workers import PROJECT, environment

Process = subprocess.Popen[bytes]


@contextmanager
def beat(
    plant: Plant, schedule: Path, *, ticks: str = "sweep", extra: Mapping[str, str] | None = None
) -> Iterator[Process]:
    """Run Celery's beat, ticking twice a second; the entry *ticks* was sent when it begins."""
    with subprocess.Popen(
        [
            sys.executable, "-m", "celery", "-A", "tests.breaking.worker_main", "beat",
            "--schedule", str(schedule), "--pidfile", "", "-l", "INFO",
        ],
        cwd=PROJECT,
        env=environment(plant.settings) | {"LOCKSIDE_TEST_TICK_S": "0.5"} | dict(extra or {}),
        stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            log = process.stderr or ()
            asked = f"Sending due task {ticks}".encode()
            assert any(asked in line for line in log), "beat never ticked"
            yield process
        finally:
            process.kill()
