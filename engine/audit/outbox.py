"""The outbox: what a change leaves for the records, in the change's own transaction.

The names are those of the system that Lockside replaces; the engine calls them on every
write, so no caller can forget. Personal data goes here: what isn't in the outbox can't come into
the records.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, Row, insert

from domain.audit.denial_risk import Denial, flags_of_write
from domain.bulk import Failure
from domain.permissions import Actor
from engine.input.checks import is_id
from models.audit import Outbox

_OUTBOX = insert(Outbox)


@dataclass(frozen=True, slots=True)
class Measured:
    """What is measured on every change; spans are milliseconds.

    Attributes:
        execution_ms: From the start of its transaction to its record.
        lock_ms: What taking the Redis locks took.
        retry: How often it was tried before, for contended rows or a failed serialization.
    """

    execution_ms: float = 0.0
    lock_ms: float = 0.0
    retry: int = 0


def log_state_transition(
    db: Connection,
    *,
    operation: Row[Any],
    passed: Sequence[Row[Any]],
    refused: Sequence[Row[Any]],
    failures: Mapping[int, Failure],
    to_state: str,
    comments: Sequence[str | None] | None = None,
    now: datetime,
    measured: Measured,
) -> None:
    """Record the transitions of one chunk to one state, done and refused, as one row.

    With *comments* each has its own, those that passed first.

    A refused row keeps its version; a done one is recorded with its new version.
    """
    if not passed and not refused:
        return
    ids, states, versions, since = zip(*(each[:4] for each in (*passed, *refused)), strict=True)
    _put(
        db,
        "state_transition",
        operation.tenant_id,
        now,
        {
            **_body(operation, measured),
            "to_state": to_state,
            "approved_by": operation.approved_by,
        },
        entity_ids=list(ids),
        versions=_new_versions(versions, len(passed)),
        from_states=list(states),
        states_since=list(since),
        comments=comments,
        **_refusals(passed, refused, failures),
    )


def log_entity_updated(
    db: Connection,
    *,
    operation: Row[Any],
    passed: Sequence[Row[Any]],
    refused: Sequence[Row[Any]],
    failures: Mapping[int, Failure],
    changes: Sequence[str],
    now: datetime,
    measured: Measured,
) -> None:
    """Record the updates of one chunk, done and refused, as one row.

    *changes* is JSON by row, those that passed first: `{field: {before, after}}`.
    """
    if not passed and not refused:
        return
    rows = (*passed, *refused)
    _put(
        db,
        "audit_log",
        operation.tenant_id,
        now,
        _flagged({**_body(operation, measured), "event_type": "UPDATED"}),
        entity_ids=[each.id for each in rows],
        versions=_new_versions([each.version for each in rows], len(passed)),
        changes=list(changes),
        **_refusals(passed, refused, failures),
    )


def log_entities(
    db: Connection,
    *,
    event_type: str,
    kind: str,
    tenant_id: int,
    actor_id: int | None,
    correlation_id: UUID | None,
    reason: str,
    ids: Sequence[int | None],
    versions: Sequence[int | None],
    changes: Sequence[str],
    details: Mapping[str, Any] | None = None,
    now: datetime,
    origin: Mapping[str, str] | None = None,
) -> None:
    """Record that rows were created, updated or deleted at once by an interface, as one row.

    *origin* is where the request came from.
    """
    body = {
        "event_type": event_type,
        "kind": kind,
        "correlation_id": correlation_id and str(correlation_id),
        "actor_id": actor_id,
        "reason": reason,
        "metadata": details or {},
        **(origin or {}),
    }
    _put(
        db,
        "audit_log",
        tenant_id,
        now,
        _flagged(body),
        entity_ids=list(ids),
        versions=list(versions),
        changes=list(changes),
    )


def log_entity_refused(
    db: Connection,
    *,
    actor: Actor,
    event_type: str,
    kind: str,
    correlation_id: UUID | None,
    reason: str,
    details: Mapping[str, Any],
    flags: Iterable[str],
    row_id: int | None,
    version: int | None,
    changes: str,
    code: str,
    message: str,
    now: datetime,
) -> None:
    """Record that a write made at once was refused; the row keeps its version."""
    body = {
        "event_type": event_type,
        "kind": kind,
        "correlation_id": correlation_id and str(correlation_id),
        "actor_id": actor.person_id,
        "reason": reason,
        "metadata": dict(details),
        **actor.origin.as_dict,
    }
    _put(
        db,
        "audit_log",
        actor.tenant_id,
        now,
        _flagged(body, flags),
        entity_ids=[row_id],
        versions=[version],
        changes=[changes],
        error_codes=[code],
        error_messages=[message],
    )


def log_permission_denied(
    db: Connection, *, actor: Actor, correlation_id: UUID | None, denial: Denial, now: datetime
) -> None:
    """Record that somebody asked for what they may not do; one row for a whole chunk."""
    _put(
        db,
        "permission_denial",
        actor.tenant_id,
        now,
        {
            "kind": denial.kind,
            "correlation_id": correlation_id and str(correlation_id),
            "actor_id": actor.person_id,
            **actor.origin.as_dict,
            "attempted_action": denial.action,
            "items": len(denial.ids),
            # What isn't an id at all would stop everybody's records: the column holds numbers.
            "entity_ids": [each for each in denial.ids if is_id(each)],
            "required_permissions": sorted(denial.required),
            "user_permissions": sorted(denial.held),
            "is_suspicious": denial.is_suspicious,
            "risk_score": denial.risk_score,
            "security_flags": denial.flags or None,
        },
    )


def log_bulk_operation(
    db: Connection, *, operation: Row[Any], result: Mapping[str, Any], now: datetime
) -> None:
    """Record the end of a bulk operation; *result* is what its pollers get."""
    body = {
        "kind": operation.kind,
        "correlation_id": str(operation.id),
        "actor_id": operation.actor_id,
        **{name: value for name, value in result.items() if name != "operation_id"},
        # Lines of a file that name no row are told in the details.
        "failed_ids": [each for each in result["failed_ids"] if each.isdigit()],
    }
    _put(db, "bulk_operation", operation.tenant_id, now, body)


def _put(
    db: Connection,
    record: str,
    tenant_id: int,
    now: datetime,
    body: Mapping[str, Any],
    **arrays: Any,
) -> None:
    # The first write of a process compiles the patterns; whoever only reads doesn't wait for it.
    from engine.audit.outbox_redaction import (  # noqa: PLC0415 -- as above
        redacted_arrays,
        redacted_body,
    )

    db.execute(
        _OUTBOX,
        {
            "tenant_id": tenant_id,
            "event_id": uuid4(),
            "record": record,
            "occurred_at": now,
            "body": redacted_body(body),
            **redacted_arrays(arrays),
        },
    )


def _body(operation: Row[Any], measured: Measured) -> dict[str, Any]:
    return {
        "kind": operation.kind,
        "correlation_id": str(operation.id),
        "actor_id": operation.actor_id,
        "reason": operation.reason,
        "comments": operation.comments,
        "metadata": operation.details,
        "execution_time_ms": measured.execution_ms,
        "lock_acquisition_time_ms": measured.lock_ms,
        "isolation_level": operation.isolation_level,
        "retry_attempt": measured.retry,
        **(operation.origin or {}),
    }


def _flagged(body: dict[str, Any], more: Iterable[str] = ()) -> dict[str, Any]:
    flags = flags_of_write(body["kind"], body["reason"], more)
    return body | {"security_flags": flags} if flags else body


def _new_versions(versions: Sequence[int], done: int) -> list[int]:
    return [each + 1 for each in versions[:done]] + list(versions[done:])


def _refusals(
    passed: Sequence[Row[Any]], refused: Sequence[Row[Any]], failures: Mapping[int, Failure]
) -> dict[str, list[str | None]]:
    if not refused:
        return {}
    nothing: list[str | None] = [None] * len(passed)
    return {
        "error_codes": nothing + [failures[each.id].code for each in refused],
        "error_messages": nothing + [failures[each.id].message for each in refused],
    }
