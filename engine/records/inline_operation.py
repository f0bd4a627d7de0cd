"""Inline operations: change rows at once, under an operation that ends with its transaction.

Such an operation has no chunks and nobody polls for it; it says who did what, and shows the
database's guard that the change has an operation.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, insert, text, update
from sqlalchemy.exc import DBAPIError

from domain.bulk import Counts, result
from domain.permissions import Actor
from engine.input.database_errors import refusal_of_database_error
from engine.ports.platform import Platform
from models.operation import OperationRow

QUEUE = "none"
_CURRENT_ID = text("SELECT current_setting('lockside.operation_id', true)")
_SET_CURRENT_ID = text("SELECT set_config('lockside.operation_id', :id, true)")


@dataclass(slots=True)
class InlineOperation:
    """A transaction and the operation under which it writes.

    Attributes:
        db: The open transaction.
        now: When the operation began.
        ids: The rows that were created or changed, for the operation's result.
    """

    db: Connection
    operation_id: UUID
    now: datetime
    ids: Sequence[int] = field(default_factory=list)


@contextmanager
def inline_operation(
    platform: Platform,
    actor: Actor,
    *,
    kind: str,
    verb: str,
    reason: str = "user_action",
    total: int = 1,
    idempotency_key: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> Iterator[InlineOperation]:
    """Open a transaction under its own operation; without any `ids` nothing is stored.

    Raises:
        InvalidInput: A constraint of the database refuses a value; the message names it.
        LockBusy: Another session held a row for longer than the lock timeout, or waited for one
            that this transaction holds.
    """
    shared = {
        "kind": kind,
        "verb": verb,
        "operation_type": verb,
        "reason": reason,
        "total": total,
        "idempotency_key": idempotency_key,
        "details": dict(details or {}),
    }
    try:
        with platform.database.begin() as db:
            running = InlineOperation(db, uuid4(), platform.clock(db))
            _open(running, actor, shared)
            yield running
            if running.ids:
                _close(running, platform.clock(db), verb, total)
            else:
                db.rollback()
    except DBAPIError as error:
        refusal = refusal_of_database_error(error)
        if refusal is None:
            raise
        raise refusal from error


@contextmanager
def nested_inline_operation(
    db: Connection,
    actor: Actor,
    now: datetime,
    *,
    kind: str,
    verb: str,
    total: int,
    parent_id: UUID,
) -> Iterator[InlineOperation]:
    """Open an operation within the transaction of another one; without any `ids` nothing is stored.

    So a hook can write rows of another resource type than those of the operation that it follows.
    """
    shared = {"kind": kind, "verb": verb, "operation_type": verb, "reason": "hook", "total": total}
    outer = db.scalar(_CURRENT_ID)
    with db.begin_nested() as nested:
        running = InlineOperation(db, uuid4(), now)
        _open(running, actor, shared | {"parent_id": parent_id})
        yield running
        if running.ids:
            _close(running, now, verb, total)
        else:
            nested.rollback()
    db.execute(_SET_CURRENT_ID, {"id": outer})


def _open(running: InlineOperation, actor: Actor, shared: Mapping[str, Any]) -> None:
    running.db.execute(insert(OperationRow), _row(running, actor) | dict(shared))
    running.db.execute(_SET_CURRENT_ID, {"id": str(running.operation_id)})


def _row(running: InlineOperation, actor: Actor) -> dict[str, Any]:
    return {
        "id": running.operation_id,
        "tenant_id": actor.tenant_id,
        "actor_id": actor.person_id,
        "state": "RUNNING",
        "atomic": True,
        "dry_run": False,
        "isolation_level": "READ COMMITTED",
        "max_retries": 0,
        "lease_seconds": 0.0,
        "wait_seconds": 0.0,
        "queue": QUEUE,
        "started_at": running.now,
        "origin": actor.origin.as_dict or None,
    }


def _close(running: InlineOperation, now: datetime, verb: str, total: int) -> None:
    done = list(running.ids)
    ended_result = result(
        operation_id=str(running.operation_id),
        operation_type=verb,
        state="SUCCEEDED",
        counts=Counts(total, succeeded=len(done), skipped=total - len(done)),
        succeeded_ids=done,
        failures=(),
        failure_codes={},
        warnings=[],
        started_at=running.now,
        finished_at=now,
    )
    # The caller has the answer already; nobody polls for it.
    running.db.execute(
        update(OperationRow)
        .where(OperationRow.id == running.operation_id)
        .values(state="SUCCEEDED", finished_at=now, result=ended_result, result_stored_at=now)
    )
