"""Platform per process: each process opens its own connections, which no fork may share."""

import os
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DisconnectionError

from engine.policies.recheck import Recheck
from engine.ports.anchor_file import AnchorFile
from engine.ports.locks import Locks
from engine.ports.platform import Clock, Platform, Publish, database_clock, unobserved
from engine.ports.result_backend import Results
from engine.reactions.notifications import Notifications
from engine.reactions.overdue_tickets import RaiseTickets
from worker.arrays import QuickListDumper
from worker.settings import Settings

if TYPE_CHECKING:
    from redis import Redis

_PING_AFTER_S = 0.5


class PlatformPerProcess:
    """Returns the platform of the calling process, made at the first call after a fork."""

    def __init__(
        self,
        settings: Settings,
        publish: Publish,
        step: Callable[[str], None] = unobserved,
        clock: Clock = database_clock,
    ) -> None:
        """Store how to make it; connect nothing."""
        self._settings = settings
        self._publish = publish
        self._step = step
        self._clock = clock
        self._made: tuple[int, Platform] | None = None

    def __call__(self) -> Platform:
        """Return this process's platform."""
        if self._made is None or self._made[0] != os.getpid():
            platform = make_platform(self._settings, self._publish, self._step, self._clock)
            self._made = (os.getpid(), platform)
        return self._made[1]


def make_platform(
    settings: Settings,
    publish: Publish,
    step: Callable[[str], None] = unobserved,
    clock: Clock = database_clock,
) -> Platform:
    """Return a platform on the servers of *settings*.

    Args:
        settings: With the addresses of the servers.
        publish: Sends messages.
        step: Called with each step of the protocol right after it.
        clock: Returns the time by which work is judged.
    """
    return Platform(
        database=make_engine(
            str(settings.database_url), size=settings.pool_size, overflow=settings.pool_overflow
        ),
        locks=Locks(partial(_redis, settings.redis_database(2)), enabled=settings.redis_locks),
        results=Results(partial(_redis, settings.redis_database(1))),
        publish=publish,
        anchors=AnchorFile(settings.anchors),
        pace=settings.pace,
        step=step,
        clock=clock,
        hooks=(Recheck(), RaiseTickets(), Notifications()),
        retention=settings.retention,
        archives=settings.archives,
    )


def make_engine(database_url: str, *, size: int = 2, overflow: int = 3) -> Engine:
    """Return an engine with a small pool, and with limits for whatever hangs.

    Args:
        database_url: As SQLAlchemy takes it.
        size: Connections that stay open.
        overflow: Connections beyond them while they are needed.
    """
    engine = create_engine(
        database_url,
        pool_size=size,
        max_overflow=overflow,
        # Comments and names have no place in logs.
        hide_parameters=True,
        connect_args={
            "connect_timeout": 3,
            "application_name": "lockside",
            # Digests are over what PostgreSQL sends, which depends on the encoding.
            "client_encoding": "UTF8",
            # A server that vanished silently is noticed in a minute, not in two hours.
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "tcp_user_timeout": 60_000,
            "options": "-c lock_timeout=5s -c statement_timeout=30s"
            " -c idle_in_transaction_session_timeout=60s -c timezone=UTC",
        },
    )
    event.listen(engine, "connect", _register_lists)
    event.listen(engine, "checkin", _store_time)
    event.listen(engine, "checkout", _ping_if_idle)
    return engine


def _register_lists(connection: Any, _record: object) -> None:
    connection.adapters.register_dumper(list, QuickListDumper)


def _store_time(_connection: object, record: Any) -> None:
    record.info["idle_since"] = time.monotonic()


def _ping_if_idle(connection: Any, record: Any, _proxy: object) -> None:
    # SQLAlchemy's own pre-ping queries at every checkout, a tenth of a short transition; a query
    # after a pause notices a restarted server just as reliably.
    idle_s = time.monotonic() - record.info.get("idle_since", time.monotonic())
    if idle_s < _PING_AFTER_S:
        return
    try:
        connection.execute("SELECT 1")
        connection.rollback()
    except psycopg.OperationalError as error:
        raise DisconnectionError from error


def _redis(url: str) -> "Redis":
    from redis import Redis  # noqa: PLC0415 -- commands that only read need none
    from redis.backoff import NoBackoff  # noqa: PLC0415 -- the same
    from redis.retry import Retry  # noqa: PLC0415 -- the same

    # Locks and progress only help: going on without them is better than waiting. The default of
    # ten retries costs 4 s on a refused and 26 s on a half-open port.
    return Redis.from_url(
        url,
        socket_timeout=0.5,
        socket_connect_timeout=0.5,
        retry=Retry(NoBackoff(), 0),
    )
