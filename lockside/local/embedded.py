"""Embedded servers: run a PostgreSQL and a Valkey where no addresses of servers are set.

Both listen on loopback only and keep everything in one data folder, which belongs to the
user who starts them:

    lock             locked while the pair is started or stopped
    password         of both servers; kept, because PostgreSQL's data depend on it
    servers.json     ports and process ids of the pair, while it runs
    postgres-data/   postgres.log
    valkey-data/     valkey.log   valkey.conf
"""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

from lockside.local.embedded_postgres import Postgres
from lockside.local.embedded_server import EmbeddedServer, server_trouble, write_secret
from lockside.local.embedded_valkey import Valkey
from worker.local_servers import Address, Servers, data_of, read_addresses, servers_at, usable


def start_servers(folder: Path) -> tuple[Servers, bool]:
    """Return a pair of servers that answer: adopt those that run in *folder*, start the others.

    A server that died starts again with its data and its old password, on its old port unless
    that is taken. If one of the two fails, whatever this call started is stopped again.

    Returns:
        The addresses, and whether this call started a server: then the caller owns the pair and
        has to `stop` it.

    Raises:
        Unavailable: The folder isn't ours to use, or a server doesn't answer.
    """
    folder = _claim(folder)
    with _locked(folder), ExitStack() as undo:
        password = _keep_password(folder)
        addresses = read_addresses(folder)
        started = False
        for server in _pair(folder, password):
            if not server.adopt(addresses.get(server.name)):
                started = True
                undo.callback(server.end)
                for address in server.launch(addresses.get(server.name)):
                    addresses[server.name] = address
                    _write_addresses(folder, addresses)
        undo.pop_all()
    return servers_at(folder, password, addresses), started


def stop(folder: Path) -> None:
    """Stop both servers of *folder* and wait until they have ended; no-op if none runs.

    Data, logs and the password are kept for the next `start_servers`.

    Raises:
        Unavailable: A server didn't stop; the other one is stopped all the same.
    """
    folder = folder.expanduser().resolve()
    with usable(folder):
        if not (folder / "lock").exists():
            return
    with _locked(folder):
        with ExitStack() as steps:
            for server in _pair(folder, password=""):
                steps.callback(server.end)
        (folder / "servers.json").unlink(missing_ok=True)


def _claim(folder: Path) -> Path:
    folder = folder.expanduser().resolve()
    with usable(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid != os.geteuid():
            raise PermissionError("it belongs to another user")
        if folder.stat().st_mode & 0o077:
            _make_private(folder)
    return folder


def _make_private(folder: Path) -> None:
    # It may be "/tmp" or "$HOME": making that private would break everything else in it.
    if any(folder.iterdir()) and not (folder / "lock").exists():
        raise server_trouble(
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
        if data_of(folder, "postgres").exists():
            raise server_trouble(
                f"{path} is missing, and without it the data beside it cannot be opened.",
                advice="Bring it back, or choose another data folder.",
            )
        write_secret(path, secrets.token_hex(16))
    return path.read_text()


def _write_addresses(folder: Path, addresses: Mapping[str, Address]) -> None:
    entries = {name: asdict(address) for name, address in addresses.items()}
    write_secret(folder / "servers.json", json.dumps(entries, indent=2))


def _pair(folder: Path, password: str) -> tuple[EmbeddedServer, EmbeddedServer]:
    return Postgres(folder, password), Valkey(folder, password)
