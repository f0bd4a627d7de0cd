"""A plant: servers, a site, a gate, and workers that are watched; what these tests break."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil
from sqlalchemy import text

import lockside
from engine.audit.writer import write_records
from tests.breaking.gate import Gate
from tests.checker import check_invariants
from tests.patience import PATIENCE_S
from tests.workers import PROJECT, Worker, environment
from worker.settings import Settings

# The transaction has written and is open, and it is that of the process with these ports.
_OPEN_CHANGE = text("""
SELECT pid FROM pg_stat_activity
 WHERE datname = current_database() AND client_port = ANY(:ports)
   AND state = 'idle in transaction' AND backend_xid IS NOT NULL
""")

_UNSETTLED = """
SELECT (SELECT count(*) FROM operation WHERE result_stored_at IS NULL)
     + (SELECT count(*) FROM outbox)
"""


@dataclass(frozen=True)
class Plant:
    """Everything of one Lockside: what is set, an interface, and the gate its workers report to."""

    settings: Settings
    site: lockside.Session
    gate: Gate

    def worker(self, **more: Any) -> Worker:
        """Return a worker that reports to the gate; options as in `Worker`."""
        extra = self.gate.environment | more.pop("extra", {})
        return Worker(more.pop("settings", self.settings), app="tests.breaking.worker_main",
                      extra=extra, **more)  # fmt: skip

    def interface(self, verb: str, argument: Any) -> "subprocess.Popen[bytes]":
        """Start an interface that reports to the gate."""
        given = argument if isinstance(argument, str) else json.dumps(argument)
        return subprocess.Popen(
            [sys.executable, "-m", "tests.breaking.interface", verb, given],
            cwd=PROJECT,
            env=environment(self.settings) | self.gate.environment,
        )

    def open_change(self, pid: int) -> int | None:
        """Return the database session in which process *pid* has a change open, if it has."""
        ports = [each.laddr.port for each in psutil.Process(pid).net_connections("tcp")]
        with self.site.platform.database.connect() as db:
            session: int | None = db.scalar(_OPEN_CHANGE, {"ports": ports})
        return session

    def end(self, operation: lockside.Operation, timeout_s: float = PATIENCE_S) -> dict[str, Any]:
        """Return the result that both pollers get, and make sure that the database is whole."""
        waited = operation.wait(timeout_s)
        polled = self.site.app.AsyncResult(operation.id).get(timeout=timeout_s)
        assert polled == waited
        # A worker may still be about to note that the result is stored, or be writing records.
        eventually(self._is_settled)
        check_invariants(self.site)
        return waited

    def _is_settled(self) -> bool:
        write_records(self.site.platform)
        return not self.ask(_UNSETTLED)

    def ask(self, query: str, **names: Any) -> Any:
        """Return the first value that a query gives."""
        with self.site.platform.database.connect() as db:
            return db.scalar(text(query), names)


def eventually(condition: Callable[[], object], timeout_s: float = PATIENCE_S) -> None:
    """Return when *condition* holds; for what nobody tells, such as a row's new state."""
    deadline = time.monotonic() + timeout_s
    never = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "it never came to hold"
        never.wait(0.05)
