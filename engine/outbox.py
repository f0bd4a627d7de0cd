"""The outbox: what a change leaves for the records, in the change's own transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Row, insert

from domain.bulk import Failure
from models.audit import Outbox

_OUTBOX = insert(Outbox)


def log_state_transition(
    db: Connection,
    *,
    operation: Row[Any],
    passed: Sequence[Row[Any]],
    refused: Sequence[Row[Any]],
    failures: Mapping[int, Failure],
    now: datetime,
    execution_time_ms: float,
    lock_acquisition_time_ms: float,
    retry_attempt: int,
) -> None:
    """Record the transitions of one chunk, done and refused, as one row.

    A refused row keeps its version; a done one is recorded with its new version.
    """
    if not passed and not refused:
        return
    ids, states, versions, since = zip(*(each[:4] for each in (*passed, *refused)), strict=True)
    done = len(passed)
    codes: list[str | None] | None = None
    messages: list[str | None] | None = None
    if refused:
        codes = [None] * done + [failures[each.id].code for each in refused]
        messages = [None] * done + [failures[each.id].message for each in refused]
    db.execute(
        _OUTBOX,
        {
            "tenant_id": operation.tenant_id,
            "event_id": uuid4(),
            "record": "state_transition",
            "occurred_at": now,
            "body": {
                "kind": operation.kind,
                "to_state": operation.target_state,
                "correlation_id": str(operation.id),
                "actor_id": operation.actor_id,
                "approved_by": operation.approved_by,
                "reason": operation.reason,
                "comments": operation.comments,
                "metadata": operation.details,
                "execution_time_ms": execution_time_ms,
                "lock_acquisition_time_ms": lock_acquisition_time_ms,
                "isolation_level": operation.isolation_level,
                "retry_attempt": retry_attempt,
            },
            "entity_ids": list(ids),
            "versions": [each + 1 for each in versions[:done]] + list(versions[done:]),
            "from_states": list(states),
            "states_since": list(since),
            "error_codes": codes,
            "error_messages": messages,
        },
    )


def log_bulk_operation(
    db: Connection, *, operation: Row[Any], result: Mapping[str, Any], now: datetime
) -> None:
    """Record the end of a bulk operation; *result* is what its pollers get."""
    db.execute(
        _OUTBOX,
        {
            "tenant_id": operation.tenant_id,
            "event_id": uuid4(),
            "record": "bulk_operation",
            "occurred_at": now,
            "body": {
                "kind": operation.kind,
                "correlation_id": str(operation.id),
                "actor_id": operation.actor_id,
                **{name: value for name, value in result.items() if name != "operation_id"},
            },
        },
    )
