"""A PostgreSQL and a Valkey of our own, for when nobody gave Lockside any.

Both listen on loopback only and keep everything in one data folder, which belongs to the
user who starts them:

    lock             held while a pair is started or stopped
    password         of both servers; stays, because PostgreSQL's data know it
    servers.json     ports and process ids of the pair, while it runs
    postgres-data/   postgres.log
    valkey-data/     valkey.log   valkey.conf
"""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import quote

from worker.embedded_postgres import Postgres
from worker.embedded_server import (
    LOOPBACK,
    Address,
    EmbeddedServer,
    EmbeddedServerError,
    write_secret,
)
from worker.embedded_valkey import Valkey

__all__ = ["EmbeddedServerError", "Servers", "find", "start", "stop"]

# The addresses in servers.json, by the server's name.
Book = dict[str, Address]


@dataclass(frozen=True)
class Servers:
    """Addresses of a running pair; their passwords are kept out of the repr.

    Attributes:
        database_url: SQLAlchemy URL of the database `postgres`, as superuser.
        redis_url: URL without a database number.
        postgres_data: Folder that PostgreSQL itself writes to.
    """

    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    postgres_pid: int
    valkey_pid: int
    postgres_data: Path

    def database_url_for(self, name: str) -> str:
        """Return the URL of the database *name*, which need not exist yet."""
        return f"{self.database_url.removesuffix('/postgres')}/{quote(name, safe='')}"

    def redis_url_for(self, db: int) -> str:
        """Return the URL of database number *db*, 0 to 15."""
        return f"{self.redis_url}/{db}"


def start(folder: Path) -> tuple[Servers, bool]:
    """Return a pair that answers: adopt what runs in *folder*, start what doesn't.

    A server that died comes back with its data and its old password, on its old port
    unless somebody took that. If one of the two fails, whatever this call started is
    stopped again.

    Returns:
        The addresses, and whether this call started a server: then the caller owns the
        pair and is to `stop` it.

    Raises:
        EmbeddedServerError: The folder isn't ours to use, or a server doesn't answer.
    """
    folder = _claim(folder)
    with _locked(folder), ExitStack() as undo:
        password = _keep_password(folder)
        book = _read_book(folder)
        started = False
        for server in _pair(folder, password):
            if not server.adopt(book.get(server.name)):
                started = True
                undo.callback(server.end)
                for address in server.launch(book.get(server.name)):
                    book[server.name] = address
                    _write_book(folder, book)
        undo.pop_all()
    return _servers(folder, password, book), started


def find(folder: Path) -> Servers | None:
    """Return the pair that runs in *folder*, or None unless both servers answer.

    Only looks: takes no lock and writes nothing.

    Raises:
        EmbeddedServerError: The folder belongs to another user.
    """
    folder = folder.expanduser().resolve()
    with _usable(folder):
        if not (folder / "servers.json").exists():
            return None
        password = (folder / "password").read_text()
        book = _read_book(folder)
    servers = _pair(folder, password)
    if all(server.serves(book.get(server.name)) for server in servers):
        return _servers(folder, password, book)
    return None


def stop(folder: Path) -> None:
    """Stop both servers of *folder* and return when they are gone; no-op if none runs.

    Data, logs and the password stay for the next `start`.

    Raises:
        EmbeddedServerError: A server didn't stop; the other one is stopped all the same.
    """
    folder = folder.expanduser().resolve()
    with _usable(folder):
        if not (folder / "lock").exists():
            return
    with _locked(folder):
        with ExitStack() as steps:
            for server in _pair(folder, password=""):
                steps.callback(server.end)
        (folder / "servers.json").unlink(missing_ok=True)


@contextmanager
def _usable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EmbeddedServerError(
            f"The data folder {folder} can't be used: {error}.",
            advice="Run as the user who owns it, or choose another data folder.",
        ) from error


def _claim(folder: Path) -> Path:
    folder = folder.expanduser().resolve()
    with _usable(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid != os.geteuid():
            raise PermissionError("it belongs to another user")
        if folder.stat().st_mode & 0o077:
            _make_private(folder)
    return folder


def _make_private(folder: Path) -> None:
    # Somebody may have said "/tmp" or "$HOME": closing that would break everything else in it.
    if any(folder.iterdir()) and not (folder / "lock").exists():
        raise EmbeddedServerError(
            f"The data folder {folder} is open to other users and holds other files.",
            advice="Choose an empty folder, or close this one yourself with `chmod 700`.",
        )
    folder.chmod(0o700)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _keep_password(folder: Path) -> str:
    path = folder / "password"
    if not path.exists():
        if Postgres(folder, password="").data.exists():
            raise EmbeddedServerError(
                f"{path} is missing, and without it the data beside it cannot be opened.",
                advice="Bring it back, or choose another data folder.",
            )
        write_secret(path, secrets.token_hex(16))
    return path.read_text()


def _read_book(folder: Path) -> Book:
    try:
        entries = json.loads((folder / "servers.json").read_text())
        return {name: Address(int(of["port"]), int(of["pid"])) for name, of in entries.items()}
    except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _write_book(folder: Path, book: Book) -> None:
    entries = {name: asdict(address) for name, address in book.items()}
    write_secret(folder / "servers.json", json.dumps(entries, indent=2))


def _pair(folder: Path, password: str) -> tuple[EmbeddedServer, EmbeddedServer]:
    return Postgres(folder, password), Valkey(folder, password)


def _servers(folder: Path, password: str, book: Book) -> Servers:
    postgres, valkey = book[Postgres.name], book[Valkey.name]
    return Servers(
        database_url=f"postgresql+psycopg://postgres:{password}@{LOOPBACK}:{postgres.port}/postgres",
        redis_url=f"redis://:{password}@{LOOPBACK}:{valkey.port}",
        postgres_pid=postgres.pid,
        valkey_pid=valkey.pid,
        postgres_data=Postgres(folder, password).data,
    )
