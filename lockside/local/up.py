"""`up`: run servers, worker, beat and Flower on this machine, and stop them all at the end."""

import secrets
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn
from urllib.error import URLError
from urllib.parse import urlsplit, urlunsplit
from urllib.request import urlopen

from domain.errors import Unavailable
from lockside.local import embedded
from lockside.local.children import Child, end_leftovers, start_child, stop_all
from lockside.local.data_folder import LEFTOVER_S, alone_in
from lockside.local.setup import create_database, open_first_tenant, upgrade_database
from lockside.local.stop_signals import Stopping, stop_signals
from lockside.session.configuration import Settings, read_settings
from worker.local_servers import Servers
from worker.settings import DATABASE

_POLL_S = 0.05
_READY_S = 120.0
_STOP_S = 40.0  # a statement that a worker waits for takes up to 30
_LOOPBACK = "127.0.0.1"
_OWNED = "owned-by-up"
"""A file in the data folder that marks its servers as started by `up`, which has to stop them."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of everything that runs, without the servers' passwords.

    Attributes:
        flower: The address of Flower's page; empty without Flower.
        flower_password: Random for each run unless it is set.
    """

    database: str
    redis: str
    flower: str
    flower_user: str
    flower_password: str = field(repr=False)


class Running:
    """What `up` has started; it is stopped at the end of the `with` block."""

    def __init__(
        self,
        settings: Settings,
        addresses: Addresses,
        children: list[Child],
        stopping: Stopping,
    ) -> None:
        """Keep what runs; use `up` to start it."""
        self.settings = settings
        self.addresses = addresses
        self.children = children
        self._stopping = stopping

    def wait(self) -> None:
        """Wait until a stop is requested, by Ctrl-C or SIGTERM.

        Raises:
            Unavailable: One of the processes died; the message shows the end of its log.
        """
        with suppress(KeyboardInterrupt):
            while True:
                self._stopping.raise_if_requested()
                _check(self.children)
                time.sleep(_POLL_S)


@contextmanager
def up(
    settings: Settings | None = None, *, flower: bool = True, tell: Tell = lambda _: None
) -> Iterator[Running]:
    """Run everything on this machine while the block runs, and stop it all afterwards.

    Embedded servers are started in the data folder unless both DATABASE_URL and REDIS_URL are
    set; the database is created and upgraded, and a first tenant opened if there is none. SIGTERM
    ends the block as Ctrl-C does; a second signal stops everything at once. To be called from the
    main thread.

    Args:
        settings: From the environment by default.
        flower: Whether to run Flower.
        tell: Called with a sentence for people before each step.

    Raises:
        Unavailable: Something doesn't start, or another `up` runs in the same data folder.
        InvalidInput: A setting is not what was expected.
    """
    resolved = settings or read_settings()
    resolved = resolved.model_copy(update={"home": resolved.home.expanduser().resolve()})
    with ExitStack() as undo:
        stopping = undo.enter_context(stop_signals())
        undo.enter_context(alone_in(resolved.home))
        try:
            end_leftovers(resolved.home, within_s=LEFTOVER_S)
            resolved = _start_servers(resolved, undo, tell)
            upgrade_database(resolved)
            open_first_tenant(resolved)
            children: list[Child] = []
            undo.callback(stop_all, children, within_s=_STOP_S, is_hurried=stopping.is_hurried)
            addresses = _start_children(resolved, children, stopping, flower=flower, tell=tell)
            stopping.raise_if_requested()
            yield Running(resolved, addresses, children, stopping)
        finally:
            stopping.begin()


def _start_servers(settings: Settings, undo: ExitStack, tell: Tell) -> Settings:
    if settings.database_url and settings.redis_url:
        return settings
    tell("Starting PostgreSQL and Valkey")
    home = settings.home
    servers, started = embedded.start_servers(home)
    # Servers that run already have to be stopped by us if a killed `up` left them.
    if started or (home / _OWNED).exists():
        (home / _OWNED).touch()
        undo.callback(_stop_servers, home)
    create_database(servers.database_url, DATABASE)
    return _with_servers(settings, servers)


def _stop_servers(home: Path) -> None:
    embedded.stop(home)
    (home / _OWNED).unlink(missing_ok=True)


def _with_servers(settings: Settings, servers: Servers) -> Settings:
    return settings.model_copy(
        update={
            "database_url": settings.database_url or servers.database_url_for(DATABASE),
            "redis_url": settings.redis_url or servers.redis_url_for(0),
        }
    )


def _start_children(
    settings: Settings, children: list[Child], stopping: Stopping, *, flower: bool, tell: Tell
) -> Addresses:
    home = settings.home
    common = _environment(settings)
    alive = home / "worker.alive"
    alive.unlink(missing_ok=True)
    tell(f"Starting a worker of {settings.concurrency} processes, beat" + ", Flower" * flower)

    def add(name: str, words: list[str], **more: str) -> None:
        with stopping.deferred():
            children.append(start_child(name, words, home=home, environment={**common, **more}))

    size = f"{settings.concurrency}"
    # SIGTERM keeps its usual meaning here: finish running tasks and exit. The soft shutdown of
    # production (REMAP_SIGTERM=SIGQUIT) sleeps for all of its 30 s if any task runs.
    words = ["worker", "-c", size, "--without-mingle", "--without-gossip", "-l", "INFO"]
    add("worker", words, LOCKSIDE_HEARTBEAT_FILE=str(alive))
    add("beat", ["beat", "--schedule", str(home / "beat-schedule"), "--pidfile=", "-l", "INFO"])
    port = _free_port(settings) if flower else 0
    password = settings.flower_password or secrets.token_urlsafe(12)
    if flower:
        words = ["flower", f"--address={_LOOPBACK}", f"--port={port}", "--read-only"]
        # By the environment: every process of the machine can see arguments.
        add("flower", words, FLOWER_BASIC_AUTH=f"{settings.flower_user}:{password}")
    page = f"http://{_LOOPBACK}:{port}" if flower else ""
    _wait_for(children, lambda: alive.exists() and (not page or _answers(f"{page}/healthcheck")))
    return Addresses(
        _without_password(str(settings.database_url)),
        _without_password(str(settings.redis_url)),
        page,
        settings.flower_user,
        password,
    )


def _environment(settings: Settings) -> Mapping[str, str]:
    values = settings.model_dump(exclude_defaults=True, exclude={"flower_password"})
    variables = {f"LOCKSIDE_{name.upper()}": str(value) for name, value in values.items()}
    return variables | {
        "DATABASE_URL": str(settings.database_url),
        "REDIS_URL": str(settings.redis_url),
        "LOCKSIDE_HOME": str(settings.home),
    }


def _wait_for(children: list[Child], is_ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _READY_S
    while not is_ready():
        _check(children)
        if time.monotonic() > deadline:
            _give_up(children[0], f"is not ready after {_READY_S:.0f} s")
        time.sleep(_POLL_S)


def _check(children: list[Child]) -> None:
    for child in children:
        if not child.is_alive:
            _give_up(child, "has died")


def _give_up(child: Child, what: str) -> NoReturn:
    raise Unavailable(
        message=f"{child.name} {what}. The end of its log, {child.log}:\n{child.log_tail()}"
    )


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=1) as answer:  # noqa: S310 -- our own loopback address
            return bool(answer.status == 200)  # noqa: PLR2004 -- HTTP's own number
    except (URLError, OSError):
        return False


def _free_port(settings: Settings) -> int:
    """Return Flower's port; a free one if it is taken and wasn't set explicitly."""
    for port in (settings.flower_port, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((_LOOPBACK, port))
            return int(probe.getsockname()[1])
        if "flower_port" in settings.model_fields_set:
            break
    raise Unavailable(
        message=f"Port {settings.flower_port} is taken; choose another one for Flower with "
        "LOCKSIDE_FLOWER_PORT."
    )


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")
    user = place[0].partition(":")[0]
    return urlunsplit(parts._replace(netloc=f"{user}@{place[2]}" if user else place[2]))
