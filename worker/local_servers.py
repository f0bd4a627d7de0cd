"""Local servers: find the PostgreSQL and Valkey that `lockside up` runs, by the data folder.

It only reads: it starts nothing, connects to nothing, takes no lock and writes nothing.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from domain.errors import Unavailable

LOOPBACK = "127.0.0.1"
PROGRAMS: Mapping[str, str] = {"postgres": "postgres", "valkey": "valkey-server"}
"""The program of each server, by the server's name."""


@dataclass(frozen=True)
class Address:
    """The port on loopback and the process of a server that was started."""

    port: int
    pid: int


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


def find_running(folder: Path) -> Servers | None:
    """Return the servers that run in *folder*, or None unless both run.

    A server that runs may still be starting, so connecting to it may fail.

    Raises:
        Unavailable: The folder belongs to another user.
    """
    folder = folder.expanduser().resolve()
    with usable(folder):
        if not (folder / "servers.json").exists():
            return None
        password = (folder / "password").read_text()
        addresses = read_addresses(folder)
    if all(name in addresses and _listens(folder, name, addresses[name]) for name in PROGRAMS):
        return servers_at(folder, password, addresses)
    return None


def servers_at(folder: Path, password: str, addresses: Mapping[str, Address]) -> Servers:
    """Return the pair of a data folder by its password and addresses."""
    postgres, valkey = addresses["postgres"], addresses["valkey"]
    return Servers(
        database_url=f"postgresql+psycopg://postgres:{password}@{LOOPBACK}:{postgres.port}/postgres",
        redis_url=f"redis://:{password}@{LOOPBACK}:{valkey.port}",
        postgres_pid=postgres.pid,
        valkey_pid=valkey.pid,
        postgres_data=data_of(folder, "postgres"),
    )


def data_of(folder: Path, name: str) -> Path:
    """Return the folder in which a server keeps its data."""
    return folder / f"{name}-data"


def read_addresses(folder: Path) -> dict[str, Address]:
    """Return the stored addresses by the server's name; none if the file is missing or broken."""
    try:
        entries = json.loads((folder / "servers.json").read_text())
        return {
            name: Address(int(entry["port"]), int(entry["pid"])) for name, entry in entries.items()
        }
    except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def is_server(folder: Path, name: str, command_line: list[str]) -> bool:
    """Say whether a process is a server of *folder*: its command line names the data folder."""
    programs = {Path(word).name for word in command_line}
    return PROGRAMS[name] in programs and str(data_of(folder, name)) in command_line


def listening_ports(pid: int) -> set[int]:
    """Return the ports on which a process listens: another process there would get a password.

    Raises:
        psutil.Error: There is no such process, or it is another user's.
    """
    import psutil  # noqa: PLC0415 -- with addresses in the environment nobody needs it

    sockets = psutil.Process(pid).net_connections("tcp4")
    return {socket.laddr.port for socket in sockets if socket.status == psutil.CONN_LISTEN}


def _listens(folder: Path, name: str, address: Address) -> bool:
    import psutil  # noqa: PLC0415 -- as above

    with suppress(psutil.Error, ValueError):
        if not is_server(folder, name, psutil.Process(address.pid).cmdline()):
            return False
        try:
            return address.port in listening_ports(address.pid)
        except psutil.AccessDenied:
            # Root runs PostgreSQL as nobody, and where it may not trace (as in a container) it
            # may not look at its sockets either. SCRAM shows a stranger no password; Valkey's
            # protocol would.
            return name == "postgres"
    return False


@contextmanager
def usable(folder: Path) -> Iterator[None]:
    """Turn an error of the file system in the block into one that names the folder.

    Raises:
        Unavailable: There was such an error.
    """
    try:
        yield
    except OSError as error:
        raise Unavailable(
            message=f"The data folder {folder} can't be used: {error}. "
            "Run as the user who owns it, or choose another data folder."
        ) from error
