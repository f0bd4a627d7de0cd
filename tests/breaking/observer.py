"""What a process under test tells the gate: which step it has just taken, and in which chunk."""

import os
import socket
from typing import Any

from celery.signals import task_prerun

LOOPBACK = "127.0.0.1"
GATE = "LOCKSIDE_TEST_GATE"


class Observer:
    """Stops at every step until the gate says go on; without a gate it lets everything pass."""

    def __init__(self) -> None:
        self._port = int(os.environ.get(GATE, "0"))
        self._chunk = "- -"

    def __call__(self, step: str) -> None:
        if not self._port:
            return
        try:
            with socket.create_connection((LOOPBACK, self._port)) as gate:
                gate.sendall(f"{step} {os.getpid()} {self._chunk}\n".encode())
                gate.recv(1)
        except OSError:
            return  # the test is over

    def follow_celery(self) -> None:
        """Tell the operation and chunk, too, of the Celery task that is running."""
        task_prerun.connect(self._note, weak=False)

    def _note(self, **told: Any) -> None:
        given = told.get("kwargs") or {}
        self._chunk = f"{given.get('operation_id', '-')} {given.get('chunk_no', '-')}"
