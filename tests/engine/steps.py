"""The protocol walked by hand: submit, deliver, crash, let leases run out; no worker needed."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import psycopg
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import text

import lockside
from engine.operations.request import Submission
from engine.operations.run_chunk import run_chunk
from engine.operations.submit import submit
from engine.operations.sweeper import sweep
from engine.ports.locks import Locks
from engine.ports.platform import Platform
from models.base import kinds

Row = dict[str, Any]


class Crash(BaseException):
    """The process dies here, as far as a test within it can."""


def crash_at(platform: Platform, step: str) -> Platform:
    """Return the platform of a process that dies right after a step of the protocol."""

    def die(done: str) -> None:
        if done == step:
            raise Crash(step)

    return replace(platform, step=die)


def then(platform: Platform, step: str, act: Callable[[], object]) -> Platform:
    """Return a platform on which something happens once, right after a step."""
    waiting = [act]

    def watch(done: str) -> None:
        if done == step and waiting:
            waiting.pop()()

    return replace(platform, step=watch)


@dataclass
class Recorder:
    """In the broker's place: keeps the messages that were sent, or is away and takes none."""

    away: bool = False
    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __call__(
        self,
        name: str,
        arguments: Mapping[str, Any],
        *,
        queue: str,
        countdown_s: float = 0.0,
        expires_s: float | None = None,
    ) -> bool:
        if not self.away:
            self.sent.append((name, dict(arguments)))
        return not self.away

    def chunks(self) -> list[int]:
        """Return the chunk numbers of the messages, in the order in which they were sent."""
        return [given["chunk_no"] for name, given in self.sent if name == "bulk.run_chunk"]


def without_redis(platform: Platform) -> Platform:
    """Return a platform whose lock server refuses every connection."""
    return replace(platform, locks=Locks(nobody))


def without_locks(platform: Platform) -> Platform:
    """Return a platform that takes no Redis locks, as if their leases were long over."""
    return replace(platform, locks=Locks(nobody, enabled=False))


def nobody() -> Redis:
    """Return a client of a server that refuses every connection."""
    return Redis(port=9, retry=Retry(NoBackoff(), 0), socket_connect_timeout=0.5)


def ask(site: lockside.Session, ids: Iterable[int], **options: Any) -> UUID:
    """Submit the approval of work orders unless told otherwise; return the operation's id."""
    given = {"kind": "work_order", "target": "APPROVED", "ids": list(ids)} | options
    return submit(site.platform, site.actor, Submission(**given))


def query(site: lockside.Session, statement: str, **names: Any) -> list[Row]:
    """Return what a query finds; a change is committed at once."""
    with site.platform.database.begin() as db:
        found = db.execute(text(statement), names)
        return [dict(each._mapping) for each in found] if found.returns_rows else []


def operation(site: lockside.Session, operation_id: UUID) -> Row:
    """Return an operation as it is stored."""
    return query(site, "SELECT * FROM operation WHERE id = :id", id=operation_id)[0]


def chunks(site: lockside.Session, operation_id: UUID) -> list[Row]:
    """Return the chunks of an operation as they are stored, in order."""
    return query(
        site,
        "SELECT * FROM operation_chunk WHERE operation_id = :id ORDER BY chunk_no",
        id=operation_id,
    )


def rows(site: lockside.Session, kind: str = "work_order") -> dict[int, tuple[str, int]]:
    """Return state and version of every row of a kind, by id."""
    found = query(site, f"SELECT id, state, version FROM {kinds()[kind].__tablename__}")
    return {each["id"]: (each["state"], each["version"]) for each in found}


def outbox(site: lockside.Session) -> list[Row]:
    """Return what waits to be written as records, oldest first."""
    return query(site, "SELECT * FROM outbox ORDER BY id")


def outcomes(site: lockside.Session, operation_id: UUID) -> dict[str, str]:
    """Return what became of each item, by id."""
    done = site.operation(operation_id).results()
    return {each["id"]: each["outcome"] for each in done}


def leases_over(site: lockside.Session) -> None:
    """Let every lease run out now, as if its owner had been gone for long."""
    query(
        site,
        "UPDATE operation_chunk SET lease_until = clock_timestamp() - interval '1 second'"
        " WHERE status = 'RUNNING'",
    )


def due_now(site: lockside.Session) -> None:
    """Make every waiting chunk due now."""
    query(site, "UPDATE operation_chunk SET run_after = created.at FROM (SELECT"
                " clock_timestamp() - interval '1 second' AS at) AS created"
                " WHERE status = 'PENDING'")  # fmt: skip


def drain(site: lockside.Session, operation_id: UUID, platform: Platform | None = None) -> Row:
    """Run an operation to its end, chunk by chunk, in this process; return its result."""
    known = platform or site.platform
    for _ in range(50):
        due_now(site)
        for chunk in chunks(site, operation_id):
            run_chunk(known, operation_id, chunk["chunk_no"])
        stored = operation(site, operation_id)
        if stored["result"] is not None:
            result: Row = stored["result"]
            return result
        sweep(known)
    raise AssertionError(f"never ended: {chunks(site, operation_id)}")


def raw(site: lockside.Session) -> psycopg.Connection[Any]:
    """Return a database session of somebody who doesn't come through Lockside."""
    return psycopg.connect(str(site.settings.database_url).replace("+psycopg", ""))


def at_once(*calls: Callable[[], object]) -> list[object]:
    """Run calls in threads that start together; return what they returned or raised."""
    answers: list[object] = [None] * len(calls)
    barrier = threading.Barrier(len(calls))

    def run(place: int) -> None:
        barrier.wait()
        try:
            answers[place] = calls[place]()
        except Exception as error:  # noqa: BLE001 -- it is handed to the test
            answers[place] = error

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return answers


def until(holds: Callable[[], object], *, within_s: float = 20.0) -> None:
    """Wait for what another thread or process will bring about."""
    paused = threading.Event()
    begun = time.monotonic()
    while not holds():
        assert time.monotonic() - begun < within_s, "it never came about"
        paused.wait(0.005)


def somebody_waits_for_a_row(site: lockside.Session) -> bool:
    """Say whether a session of the test's database waits for another one's lock."""
    found = query(
        site,
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
        " AND wait_event_type = 'Lock'",
    )
    return bool(found)
