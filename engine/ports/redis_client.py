"""Redis client: import the library and connect at the first use only."""

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redis import Redis
    from redis.commands.core import Script
    from redis.exceptions import RedisError


class RedisClient:
    """A Redis client that is made at its first use, so commands that don't need it never do."""

    def __init__(self, connect: "Callable[[], Redis]") -> None:
        """Keep *connect*, which makes the client."""
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
    """Return the base class of the client's errors; an `except` calls this only on an error."""
    from redis.exceptions import RedisError  # noqa: PLC0415 -- the library is imported at its first use

    return RedisError
