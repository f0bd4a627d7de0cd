"""Platform: the outside world as one frozen value, the first argument of every use case."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, func, select

from domain.audit.retention import Retention
from engine.ports.anchor_file import AnchorFile
from engine.ports.hooks import Hook
from engine.ports.locks import Locks
from engine.ports.result_backend import Results


class Publish(Protocol):
    """Sends one message; doesn't raise if the broker is away, because the row is authoritative."""

    def __call__(
        self,
        name: str,
        arguments: Mapping[str, Any],
        *,
        queue: str,
        countdown_s: float = 0.0,
        expires_s: float | None = None,
    ) -> bool:
        """Return whether the broker took the message; if not, the sweeper sends it again."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Sizes and times of the chunk protocol, of files and of deletion; spans are seconds.

    A lease lasts longer than the statement timeout, so that a claim outlives its change.
    `in_flight_limit` is a tenant's in-flight limit: how many of its chunks may be in the queue at a
    time. Expired rows are deleted in at most `forget_batches` batches a call, each of `forget_rows`
    rows, and of operations at most those of `forget_items` items.
    """

    chunk_items: int = 1000
    atomic_items: int = 100_000
    operation_items: int = 1_000_000
    in_flight_limit: int = 4
    attempts: int = 5
    lease_s: float = 45.0
    statement_s: float = 30.0
    wait_s: float = 300.0
    person_lease_s: float = 10.0
    person_statement_s: float = 5.0
    person_wait_s: float = 10.0
    retries: int = 3
    republish_after_s: float = 10.0
    import_rows: int = 5_000
    export_rows: int = 2_000
    forget_rows: int = 500
    forget_items: int = 100_000
    forget_batches: int = 200


Clock = Callable[[Connection], datetime]
"""Returns the time by which work is judged; tests use one of their own."""

_CLOCK = select(func.clock_timestamp())


def database_clock(db: Connection) -> datetime:
    """Return PostgreSQL's present time, not that of the transaction's start."""
    now: datetime = db.execute(_CLOCK).scalar_one()
    return now


def unobserved(_step: str) -> None:
    """Ignore a step of the protocol; the default of `Platform.step`."""


@dataclass(frozen=True)
class Platform:
    """Database, locks, results, messages, anchors and clock of a process.

    Attributes:
        step: Called with the name of each step of the protocol right after it, e.g. `claimed`.
        hooks: Code that runs with changes of work.
        retention: How long records are kept, and how.
        archives: The folder of the archives, the same for every process.
    """

    database: Engine
    locks: Locks
    results: Results
    publish: Publish
    anchors: AnchorFile
    pace: Pace = field(default_factory=Pace)
    clock: Clock = database_clock
    step: Callable[[str], None] = unobserved
    hooks: tuple[Hook, ...] = ()
    retention: Retention = field(default_factory=Retention)
    archives: Path = Path("archive")

    @cached_property
    def single(self) -> Engine:
        """The database for transactions of one statement, which need no BEGIN and no COMMIT."""
        return self.database.execution_options(isolation_level="AUTOCOMMIT")
