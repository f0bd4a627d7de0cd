"""Result backend: store progress and results of operations for pollers, in Celery's format.

The key is Celery's own (`celery-task-meta-<id>`), so that `AsyncResult(operation_id)` reads it.
One script writes it and only moves forward: more items done replace fewer, and an end replaces
everything.
"""

import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from engine.ports.redis_client import RedisClient, redis_errors

if TYPE_CHECKING:
    from redis import Redis

_LONGEST_WAIT_S = 0.25
"""Less than the client's own timeout, so that a server that doesn't answer is noticed."""

_log = logging.getLogger(__name__)

# KEYS: the result's key, the stream that pollers wait on. ARGV: the meta as JSON, its status,
# items done, seconds to keep.
_STORE_IF_NEWER = """
local old = redis.call('GET', KEYS[1])
if old then
  local known = cjson.decode(old)
  if known.status ~= 'PROGRESS' then return 0 end
  if ARGV[2] == 'PROGRESS' and known.result.done >= tonumber(ARGV[3]) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[4])
redis.call('PUBLISH', KEYS[1], ARGV[1])
redis.call('XADD', KEYS[2], 'MAXLEN', '1', '*', 'meta', ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[4])
return 1
"""


class Results:
    """The result backend, over a Redis client of the backend's database."""

    def __init__(self, connect: "Callable[[], Redis]", *, keep_s: int = 86_400) -> None:
        self._client = RedisClient(connect)
        self._keep_s = keep_s

    def store_progress(self, operation_id: str, progress: Mapping[str, Any]) -> bool:
        """Store the progress of an operation for pollers; return False if Redis is away."""
        return self._store(operation_id, "PROGRESS", progress, progress["done"])

    def store_result(self, operation_id: str, result: Mapping[str, Any]) -> bool:
        """Store the result of an operation for pollers; return False if Redis is away.

        The status is Celery's `SUCCESS` whatever became of the items, and `FAILURE` only if the
        operation itself could not run.
        """
        failed = result["state"] == "FAILED"
        if failed:
            # Celery rebuilds an exception from this form when a poller reads it.
            meta_result: Mapping[str, Any] = {
                "exc_type": "RuntimeError",
                "exc_module": "builtins",
                "exc_message": [f"operation {operation_id} could not run"],
            }
        else:
            meta_result = result
        return self._store(operation_id, "FAILURE" if failed else "SUCCESS", meta_result, 0)

    def read(self, operation_id: str) -> dict[str, Any] | None:
        """Return the progress or the result that is stored for pollers, if there is one.

        The result of a failed operation is in PostgreSQL only: here it is Celery's exception.
        """
        try:
            raw: Any = self._client.redis.get(_key(operation_id))
        except redis_errors() as error:
            _log.debug("redis_away", extra={"at": "read", "error": str(error)})
            return None
        return _result_of_meta(raw)

    def hear(
        self, operation_id: str, after: str, within_s: float
    ) -> tuple[str, dict[str, Any] | None]:
        """Wait for the next progress or result, without polling in short intervals.

        Args:
            operation_id: The operation.
            after: The position in the stream that the last call returned; empty to begin with
                what is stored already.
            within_s: How long to wait at most; the call may return earlier.

        Returns:
            The position, for the next call's *after*; and the progress or result as `read`
            returns it, None if there was nothing new.
        """
        wait_s = min(within_s, _LONGEST_WAIT_S)
        try:
            block: Any = max(1, round(wait_s * 1000))
            heard: Any = self._client.redis.xread({_stream(operation_id): after or "0"}, 1, block)
        except redis_errors() as error:
            _log.debug("redis_away", extra={"at": "hear", "error": str(error)})
            # Wait here instead: the caller reads PostgreSQL until the server is back.
            time.sleep(wait_s)
            return after, None
        for _, entries in heard or ():
            for entry, fields in entries:
                return entry.decode(), _result_of_meta(fields[b"meta"])
        return after, None

    def _store(self, operation_id: str, status: str, result: Mapping[str, Any], done: int) -> bool:
        meta: dict[str, Any] = {
            "task_id": operation_id,
            "status": status,
            "result": result,
            "traceback": None,
            "children": [],
        }
        try:
            self._client.script(_STORE_IF_NEWER)(
                keys=[_key(operation_id), _stream(operation_id)],
                args=[json.dumps(meta), status, done, self._keep_s],
            )
        except redis_errors() as error:
            _log.warning("redis_away", extra={"at": "results", "error": str(error)})
            return False
        return True


def _key(operation_id: str) -> str:
    return f"celery-task-meta-{operation_id}"


def _stream(operation_id: str) -> str:
    return f"lockside:progress:{operation_id}"


def _result_of_meta(raw: Any) -> dict[str, Any] | None:
    meta = json.loads(raw) if raw else {}
    result: dict[str, Any] | None = meta.get("result")
    return None if meta.get("status") == "FAILURE" else result
