"""Child processes: start and stop the worker, beat and Flower of `up`, each with its own log.

On Linux the kernel sends each a SIGTERM when `up` dies, however it dies. It watches the *thread*
that started them, so `up` must be called in one that lives as long as the program, such as the
main thread. On other systems, and for processes that hang, the next `up` ends what is left: a
leftover runs `worker.main` with the data folder as its working directory.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

_APP = "worker.main"
_ROOT = Path(__file__).parents[2]
_PR_SET_PDEATHSIG = 1
_POLL_S = 0.05
_TAIL_LINES = 15
_TAIL_BYTES = 8_000


class Child:
    """One process of `up`; `name` is for people, `log` is the file with its output."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        """Keep a process that was started; use `start_child` to start one."""
        self.name = name
        self.log = log
        self._process = process

    @property
    def pid(self) -> int:
        """Return the id of the process."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Say whether the process runs."""
        return self._process.poll() is None

    def log_tail(self) -> str:
        """Return the last lines of its log."""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - _TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:])

    def ask_to_stop(self) -> None:
        """Send SIGTERM; a worker then finishes short work and returns the rest to the queue."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it and the processes that it started, at once; no work is lost."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


def start_child(
    name: str, words: Sequence[str], *, home: Path, environment: Mapping[str, str]
) -> Child:
    """Start `celery -A worker.main …` with its log in the data folder."""
    log = home / "logs" / f"{name}.log"
    log.parent.mkdir(mode=0o700, exist_ok=True)
    if log.exists():
        log.replace(log.with_suffix(".log.1"))
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 -- the words are our own
            [sys.executable, "-m", "celery", "-A", _APP, *words],
            cwd=home,
            env={**os.environ, **environment, "PYTHONPATH": str(_ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a terminal's Ctrl-C is for `up` alone
            preexec_fn=_end_with_parent(),  # noqa: PLW1509 -- two system calls, no lock taken
        )
    return Child(name, process, log)


def stop_all(children: Sequence[Child], *, within_s: float, is_hurried: Callable[[], bool]) -> None:
    """Stop all at the same time; kill all that don't end in time, or immediately if hurried."""
    for child in children:
        child.ask_to_stop()
    deadline = time.monotonic() + within_s
    while any(child.is_alive for child in children):
        if time.monotonic() > deadline or is_hurried():
            for child in children:
                child.kill()
        time.sleep(_POLL_S)


def end_leftovers(home: Path, *, within_s: float) -> None:
    """End the processes that an earlier `up` in this data folder left behind when killed."""
    left = [process for process in psutil.process_iter() if _is_leftover(home, process)]
    for process in left:
        with suppress(psutil.Error):
            process.terminate()
    _, stubborn = psutil.wait_procs(left, timeout=within_s)
    for process in stubborn:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(stubborn, timeout=within_s)


def _is_leftover(home: Path, process: psutil.Process) -> bool:
    try:
        return _APP in process.cmdline() and Path(process.cwd()) == home
    except (psutil.Error, OSError):
        return False


def _end_with_parent() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def set_death_signal() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)  # the parent died before the call

    return set_death_signal
