"""Redis on demand: neither the client library nor a connection is there before its first use."""

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redis import Redis
    from redis.commands.core import Script
    from redis.exceptions import RedisError


class RedisClient:
    """A Redis client that is made at its first use; commands that only read never need one."""

    def __init__(self, connect: "Callable[[], Redis]") -> None:
        """Remember how to make it."""
        self._connect = connect
        self._scripts: dict[str, Script] = {}

    @cached_property
    def redis(self) -> "Redis":
        """Return the client."""
        return self._connect()

    def script(self, text: str) -> "Script":
        """Return a Lua script, registered at its first use."""
        if text not in self._scripts:
            self._scripts[text] = self.redis.register_script(text)
        return self._scripts[text]


def redis_errors() -> "type[RedisError]":
    """Return the root of the client's errors, for an `except` that looks it up when one came."""
    from redis.exceptions import RedisError  # noqa: PLC0415 -- as the module says

    return RedisError
