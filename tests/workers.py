"""Real Celery workers as child processes, observed at the steps of the protocol."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from tests.patience import PATIENCE_S
from worker.settings import Settings

PROJECT = Path(__file__).parent.parent


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment that makes a child process use these settings."""
    given = {
        "DATABASE_URL": str(settings.database_url),
        "REDIS_URL": str(settings.redis_url),
        **{
            f"LOCKSIDE_{name.upper()}": str(value)
            for name, value in settings.model_dump(exclude_defaults=True).items()
            if name not in ("database_url", "redis_url")
        },
    }
    return os.environ | given | {"PYTHONPATH": str(PROJECT)}


class Worker:
    """A Celery worker with its children; whatever is left of it ends with the block."""

    def __init__(
        self,
        settings: Settings,
        *,
        app: str = "worker.main",
        concurrency: int = 2,
        extra: dict[str, str] | None = None,
    ) -> None:
        self._command = [
            sys.executable, "-m", "celery", "-A", app, "worker", "-c", str(concurrency),
            "--without-mingle", "--without-gossip", "-l", "INFO",
        ]  # fmt: skip
        self._environment = environment(settings) | (extra or {})
        self.lines: list[str] = []
        self._printed = threading.Condition()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            cwd=PROJECT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._tree = psutil.Process(self._process.pid)
        ready = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(ready,), daemon=True)
        self._reader.start()
        if not ready.wait(PATIENCE_S) or self._process.poll() is not None:
            raise RuntimeError("the worker did not start:\n" + "".join(self.lines))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """Return the main process."""
        return self._process.pid

    def is_running(self) -> bool:
        """Say whether the main process is still there."""
        return self._process.poll() is None

    def children(self) -> list[psutil.Process]:
        """Return the processes that run Celery tasks."""
        return self._tree.children(recursive=True)

    def terminate(self, timeout: float = PATIENCE_S) -> int:
        """Ask the worker to stop, as `kill` does, and return its exit code."""
        self.send(signal.SIGTERM)
        return self.wait(timeout)

    def send(self, number: signal.Signals) -> None:
        """Send the main process a signal."""
        self._process.send_signal(number)

    def wait(self, timeout: float = PATIENCE_S) -> int:
        """Return the main process's exit code when it has ended."""
        return self._process.wait(timeout)

    def kill(self) -> None:
        """End the whole tree at once, children first held so that none is orphaned."""
        if self._process.poll() is None:
            for each in [*self.children(), self._tree]:
                _signal(each, signal.SIGKILL)
        self._process.wait(PATIENCE_S)
        self._reader.join(10)

    def wait_for(self, words: str, timeout: float = PATIENCE_S) -> None:
        """Return when the worker has printed a line with these words, now or earlier."""
        with self._printed:
            found = self._printed.wait_for(
                lambda: any(words in each for each in self.lines), timeout
            )
        assert found, f"the worker never said {words!r}:\n" + "".join(self.lines)

    def _read(self, ready: threading.Event) -> None:
        if self._process.stdout is None:
            return
        for line in self._process.stdout:
            with self._printed:
                self.lines.append(line)
                self._printed.notify_all()
            if " ready." in line:
                ready.set()
        ready.set()


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
