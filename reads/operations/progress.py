"""Following an operation: Redis tells soon, PostgreSQL tells surely."""

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from reads.operations.operations import find_operation

_ASK_DATABASE_EVERY_S = 1.0

_log = logging.getLogger(__name__)

Hear = Callable[[str, str, float], tuple[str, dict[str, Any] | None]]
"""Waits for the next message of the result backend; see `engine.ports.result_backend`."""


def follow(
    database: Engine,
    hear: Hear,
    tenant_id: int,
    operation_id: UUID,
    timeout_s: float,
    *,
    is_known: bool = False,
) -> Iterator[dict[str, Any]]:
    """Yield an operation's progress whenever it moved, and at last its result.

    The result backend tells it as soon as it is there; PostgreSQL is asked once a second, so
    that a lost result is found all the same.
    Either may be away for a while; only at the first question PostgreSQL has to be there. Of an
    operation that *is_known* to be there it isn't asked at once: that would cost a single
    transition more than anything else that its interface does.

    Yields:
        Dicts with `done` and `percent`, and `paused_by` while it is paused (it is `held` if that
        was its canary); the last one is the result, with a `state`. Without a last one the time
        is over; the work goes on.

    Raises:
        NotFound: The tenant has no such operation.
    """
    begun = time.monotonic()
    asked_at = begun
    done, paused_by, heard = -1, None, ""
    told = {} if is_known else _stored(database, tenant_id, operation_id)
    while "state" not in told:
        # Only PostgreSQL knows of a pause; the result backend tells how far it is.
        is_news = told.get("paused_by", paused_by) != paused_by
        if told.get("done", -1) > done or is_news:
            done, paused_by = max(done, told["done"]), told.get("paused_by", paused_by)
            yield told
        now = time.monotonic()
        if now - begun > timeout_s:
            return
        heard, news = hear(str(operation_id), heard, max(0.0, begun + timeout_s - now))
        told = news or told
        now = time.monotonic()
        if "state" not in told and now - asked_at >= _ASK_DATABASE_EVERY_S:
            asked_at = now
            told = _stored_if_there(database, tenant_id, operation_id) or told
    yield told


def _stored_if_there(database: Engine, tenant_id: int, operation_id: UUID) -> dict[str, Any] | None:
    try:
        return _stored(database, tenant_id, operation_id)
    except OperationalError as error:
        # The operation outlives a restart of PostgreSQL, and so does waiting for it.
        _log.debug("database_away", extra={"at": "follow", "error": str(error.orig)})
        return None


def _stored(database: Engine, tenant_id: int, operation_id: UUID) -> dict[str, Any]:
    with database.connect() as db:
        operation = find_operation(db, tenant_id, operation_id)
    told: dict[str, Any] = operation["result"]
    if not told:
        is_paused = operation["state"] == "PAUSED"
        paused_by = operation["paused_by"] if is_paused else None
        held = is_paused and operation["held"]
        told = operation["progress"] | {"paused_by": paused_by, "held": held}
        if is_paused:
            # What stands still has no pace, and its end is in nobody's sight.
            told |= {"rate_per_s": 0, "eta_s": None}
    return told
