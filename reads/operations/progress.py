"""Progress: follow an operation to its end, by the result backend and by PostgreSQL."""

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from reads.operations.operations import find_operation

_QUERY_EVERY_S = 1.0

_log = logging.getLogger(__name__)

WaitForMessage = Callable[[str, str, float], tuple[str, dict[str, Any] | None]]
"""Waits for the next message of the result backend; see `engine.ports.result_backend`."""


def follow(
    database: Engine,
    wait_for_message: WaitForMessage,
    tenant_id: int,
    operation_id: UUID,
    timeout_s: float,
    *,
    is_known: bool = False,
) -> Iterator[dict[str, Any]]:
    """Yield an operation's progress whenever it changes, and finally its result.

    The result backend reports it at once; PostgreSQL is queried once a second, so that a lost
    result is found all the same. Either may be away for a while; only the first query needs
    PostgreSQL. An operation that *is_known* to exist isn't queried first: that would cost a single
    transition more than anything else that its interface does.

    Yields:
        Dicts with `done` and `percent`, and `paused_by` while it is paused (it is `held` if that
        was its canary); the last one is the result, with a `state`. If no result comes, the time is
        over; the work goes on.

    Raises:
        NotFound: The tenant has no such operation.
    """
    begun = time.monotonic()
    queried_at = begun
    done, paused_by, last_message = -1, None, ""
    status = {} if is_known else _read_status(database, tenant_id, operation_id)
    while "state" not in status:
        # Only PostgreSQL knows of a pause; the result backend only knows how far it is.
        pause_changed = status.get("paused_by", paused_by) != paused_by
        if status.get("done", -1) > done or pause_changed:
            done, paused_by = max(done, status["done"]), status.get("paused_by", paused_by)
            yield status
        now = time.monotonic()
        if now - begun > timeout_s:
            return
        last_message, message = wait_for_message(
            str(operation_id), last_message, max(0.0, begun + timeout_s - now)
        )
        status = message or status
        now = time.monotonic()
        if "state" not in status and now - queried_at >= _QUERY_EVERY_S:
            queried_at = now
            status = _read_status_if_up(database, tenant_id, operation_id) or status
    yield status


def _read_status_if_up(
    database: Engine, tenant_id: int, operation_id: UUID
) -> dict[str, Any] | None:
    try:
        return _read_status(database, tenant_id, operation_id)
    except OperationalError as error:
        # The operation outlives a restart of PostgreSQL, and so does whoever follows it.
        _log.debug("database_away", extra={"at": "follow", "error": str(error.orig)})
        return None


def _read_status(database: Engine, tenant_id: int, operation_id: UUID) -> dict[str, Any]:
    with database.connect() as db:
        operation = find_operation(db, tenant_id, operation_id)
    status: dict[str, Any] = operation["result"]
    if not status:
        is_paused = operation["state"] == "PAUSED"
        paused_by = operation["paused_by"] if is_paused else None
        held = is_paused and operation["held"]
        status = operation["progress"] | {"paused_by": paused_by, "held": held}
        if is_paused:
            # What is paused has no rate, and nobody can say when it ends.
            status |= {"rate_per_s": 0, "eta_s": None}
    return status
