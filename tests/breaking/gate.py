"""A gate: real processes stop at steps of the protocol until the test says what becomes of them."""

import os
import queue
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Self

from tests.breaking.observer import GATE, LOOPBACK
from tests.patience import PATIENCE_S


class Fate(Enum):
    """What becomes of a process that has taken a step."""

    GO = "goes on"
    HOLD = "waits for the test"
    KILL = "is killed there and then"


@dataclass(frozen=True)
class Arrival:
    """A process that stands right behind a step, and its chunk."""

    step: str
    pid: int
    operation_id: str
    chunk_no: int | None
    _line: socket.socket = field(repr=False, compare=False)

    def go(self) -> None:
        """Let the process go on."""
        with suppress(OSError):
            self._line.sendall(b"!")
        self._line.close()

    def kill(self) -> None:
        """Send SIGKILL and return when the process is gone: the kernel closes its line."""
        os.kill(self.pid, signal.SIGKILL)
        self._line.settimeout(PATIENCE_S)
        with suppress(ConnectionError):
            assert self._line.recv(1) == b""
        self._line.close()


class Gate:
    """Asks *fate* about every process at every step; all go on until it is told otherwise."""

    def __init__(self) -> None:
        self._server = socket.create_server((LOOPBACK, 0), backlog=64)
        self._arrivals: queue.Queue[Arrival] = queue.Queue()
        self._fate: Callable[[Arrival], Fate] = lambda _: Fate.GO
        self._turn = threading.Lock()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._server.close()
        self.open()

    @property
    def environment(self) -> dict[str, str]:
        """Return what makes a process report to this gate."""
        return {GATE: str(self._server.getsockname()[1])}

    def decide(self, fate: Callable[[Arrival], Fate]) -> None:
        """Decide by *fate*, which is called for one arrival at a time."""
        with self._turn:
            self._fate = fate

    def hold_if(self, wanted: Callable[[Arrival], bool]) -> None:
        """Hold every process of which *wanted* is true."""
        self.decide(lambda each: Fate.HOLD if wanted(each) else Fate.GO)

    def hold_at(self, *steps: str) -> None:
        """Hold every process that comes to one of these steps."""
        self.hold_if(lambda each: each.step in steps)

    def open(self) -> None:
        """Let everybody pass, those that wait included."""
        self.decide(lambda _: Fate.GO)
        with suppress(queue.Empty):
            while True:
                self._arrivals.get_nowait().go()

    def next(self, timeout: float = 30) -> Arrival:
        """Return the next process that is held."""
        return self._arrivals.get(timeout=timeout)

    def _serve(self) -> None:
        with suppress(OSError):  # the socket was shut: the test is over
            while True:
                self._receive(self._server.accept()[0])

    def _receive(self, line: socket.socket) -> None:
        words = line.makefile("r").readline().split()
        if len(words) != 4:
            line.close()  # killed from outside before it could speak
            return
        step, pid, operation_id, chunk_no = words
        arrival = Arrival(
            step, int(pid), operation_id, None if chunk_no == "-" else int(chunk_no), line
        )
        with self._turn:
            fate = self._fate(arrival)
            if fate is Fate.HOLD:
                self._arrivals.put(arrival)
        if fate is Fate.GO:
            arrival.go()
        elif fate is Fate.KILL:
            arrival.kill()
