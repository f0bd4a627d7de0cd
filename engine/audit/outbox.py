"""Outbox: write what a change adds to the audit records, in the change's own transaction.

The functions have the names of the system that Lockside replaces. The engine calls them on every
write, so no caller can forget. Personal data is redacted here, so it never reaches the records.
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

_INSERT = insert(Outbox)


@dataclass(frozen=True, slots=True)
class Measured:
    """Timings of a change; spans are milliseconds.

    Attributes:
        execution_ms: From the start of its transaction to its record.
        lock_ms: How long taking the Redis locks took.
        retry: How many earlier attempts failed, on contended rows or serialization failures.
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
    """Record the transitions of one chunk to one state, done and refused, as one outbox row.

    *comments*, if given, holds one entry for each row: first the rows that passed, then the
    refused ones.

    A refused row keeps its version; a done one is recorded with its new version.
    """
    if not passed and not refused:
        return
    ids, states, versions, since = zip(*(row[:4] for row in (*passed, *refused)), strict=True)
    _insert_record(
        db,
        "state_transition",
        operation.tenant_id,
        now,
        {
            **_body_of_operation(operation, measured),
            "to_state": to_state,
            "approved_by": operation.approved_by,
        },
        entity_ids=list(ids),
        versions=_new_versions(versions, len(passed)),
        from_states=list(states),
        states_since=list(since),
        comments=comments,
        **_refusal_arrays(passed, refused, failures),
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
    """Record the updates of one chunk, done and refused, as one outbox row.

    *changes* is JSON by row, `{field: {before, after}}`: first the rows that passed, then the
    refused ones.
    """
    if not passed and not refused:
        return
    rows = (*passed, *refused)
    _insert_record(
        db,
        "audit_log",
        operation.tenant_id,
        now,
        _with_security_flags({**_body_of_operation(operation, measured), "event_type": "UPDATED"}),
        entity_ids=[row.id for row in rows],
        versions=_new_versions([row.version for row in rows], len(passed)),
        changes=list(changes),
        **_refusal_arrays(passed, refused, failures),
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
    """Record that rows were created, updated or deleted inline, as one outbox row.

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
    _insert_record(
        db,
        "audit_log",
        tenant_id,
        now,
        _with_security_flags(body),
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
    """Record that an inline write was refused; the row keeps its version."""
    body = {
        "event_type": event_type,
        "kind": kind,
        "correlation_id": correlation_id and str(correlation_id),
        "actor_id": actor.person_id,
        "reason": reason,
        "metadata": dict(details),
        **actor.origin.as_dict,
    }
    _insert_record(
        db,
        "audit_log",
        actor.tenant_id,
        now,
        _with_security_flags(body, flags),
        entity_ids=[row_id],
        versions=[version],
        changes=[changes],
        error_codes=[code],
        error_messages=[message],
    )


def log_permission_denied(
    db: Connection, *, actor: Actor, correlation_id: UUID | None, denial: Denial, now: datetime
) -> None:
    """Record that an actor was denied a permission; one outbox row for a whole chunk."""
    _insert_record(
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
            # A value that is no bigint would stop the writer: the column holds bigints only.
            "entity_ids": [value for value in denial.ids if is_id(value)],
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
        # Lines of a file that name no row have no id; they are in `failure_details`.
        "failed_ids": [item for item in result["failed_ids"] if item.isdigit()],
    }
    _insert_record(db, "bulk_operation", operation.tenant_id, now, body)


def _insert_record(
    db: Connection,
    record: str,
    tenant_id: int,
    now: datetime,
    body: Mapping[str, Any],
    **arrays: Any,
) -> None:
    # Redaction brings telephone metadata and many patterns; a process that only reads skips it.
    from engine.audit.outbox_redaction import (  # noqa: PLC0415 -- as above
        redacted_arrays,
        redacted_body,
    )

    db.execute(
        _INSERT,
        {
            "tenant_id": tenant_id,
            "event_id": uuid4(),
            "record": record,
            "occurred_at": now,
            "body": redacted_body(body),
            **redacted_arrays(arrays),
        },
    )


def _body_of_operation(operation: Row[Any], measured: Measured) -> dict[str, Any]:
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


def _with_security_flags(body: dict[str, Any], more: Iterable[str] = ()) -> dict[str, Any]:
    flags = flags_of_write(body["kind"], body["reason"], more)
    return body | {"security_flags": flags} if flags else body


def _new_versions(versions: Sequence[int], done: int) -> list[int]:
    return [version + 1 for version in versions[:done]] + list(versions[done:])


def _refusal_arrays(
    passed: Sequence[Row[Any]], refused: Sequence[Row[Any]], failures: Mapping[int, Failure]
) -> dict[str, list[str | None]]:
    if not refused:
        return {}
    none_refused: list[str | None] = [None] * len(passed)
    return {
        "error_codes": none_refused + [failures[row.id].code for row in refused],
        "error_messages": none_refused + [failures[row.id].message for row in refused],
    }
