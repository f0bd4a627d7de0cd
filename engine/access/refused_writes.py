"""Refused writes: record a write that was checked against stored data and refused.

The record is written after the refused transaction. Malformed input is refused at the interface
and not recorded; a denial has a record of its own.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError

from domain.audit.denial_risk import FOREIGN_IDS, OUT_OF_HOURS
from domain.errors import LocksideError, NotFound, PermissionDenied
from domain.permissions import Actor
from engine.access.cross_tenant_watch import record_if_cross_tenant
from engine.audit.outbox import log_entity_refused
from engine.calendars import is_out_of_hours
from engine.input.fields import plain
from engine.input.record_types import table_of
from engine.ports.platform import Platform
from models.base import records

_VERBS = {"CREATED": "create", "UPDATED": "update", "DELETED": "delete"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AttemptedWrite:
    """A write that an actor attempts.

    Attributes:
        event_type: What would be recorded: CREATED, UPDATED or DELETED.
        kind: What would be written, e.g. `vendor` or `operation`.
        row_id: The row, if it exists already.
        values: What would be written, by column.
        reason: Why it is written.
        details: What else the record should say about it.
        operation_id: The operation that it would change, or belong to.
    """

    event_type: str
    kind: str
    row_id: int | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    reason: str = "user_action"
    details: Mapping[str, Any] = field(default_factory=dict)
    operation_id: UUID | None = None


@contextmanager
def recorded_if_refused(
    platform: Platform, actor: Actor, attempt: AttemptedWrite
) -> Iterator[None]:
    """Record a refusal of the block in a transaction of its own, and re-raise it.

    The refused transaction must end inside the block: its rollback would undo the record.
    A PermissionDenied is re-raised without a record, because it has one already.
    """
    try:
        yield
    except PermissionDenied:
        raise
    except LocksideError as refused:
        try:
            with platform.database.begin() as db:
                _record_refusal(platform, db, actor, attempt, refused)
        except SQLAlchemyError as trouble:
            # The caller must see the refusal, even if it can't be recorded.
            _log.error(
                "refusal_not_recorded",
                extra={"code": refused.code, "reason": type(trouble).__name__},
            )
        raise


def _record_refusal(
    platform: Platform,
    db: Connection,
    actor: Actor,
    attempt: AttemptedWrite,
    refused: LocksideError,
) -> None:
    now = platform.clock(db)
    version, before = _read_stored_row(db, actor, attempt)
    flags = [OUT_OF_HOURS] if is_out_of_hours(db, actor, now) else []
    if isinstance(refused, NotFound):
        verb = _VERBS[attempt.event_type]
        what, got = refused.facts["what"], refused.facts["got"]
        if record_if_cross_tenant(platform, db, actor, verb, resource_type=what, values=[got]):
            flags.append(FOREIGN_IDS)
    changes = {
        name: {"before": plain(before.get(name)), "after": plain(value)}
        for name, value in attempt.values.items()
    }
    reasons = refused.facts.get("reasons") or [{"code": refused.code}]
    log_entity_refused(
        db,
        actor=actor,
        event_type=attempt.event_type,
        kind=attempt.kind,
        correlation_id=attempt.operation_id,
        reason=attempt.reason,
        details=attempt.details,
        flags=flags,
        row_id=attempt.row_id,
        version=version,
        changes=json.dumps(changes),
        code=reasons[0]["code"],
        message=str(refused),
        now=now,
    )


def _read_stored_row(
    db: Connection, actor: Actor, attempt: AttemptedWrite
) -> tuple[int | None, Mapping[str, Any]]:
    """Return the version of the tenant's row and its columns that would be written, if any."""
    model = records().get(attempt.kind)
    if model is None or attempt.row_id is None:
        return None, {}
    table = table_of(model)
    columns = [table.c[name] for name in attempt.values]
    is_the_row = (table.c.tenant_id == actor.tenant_id, table.c.id == attempt.row_id)
    row = db.execute(select(table.c.version, *columns).where(*is_the_row)).one_or_none()
    return (None, {}) if row is None else (row.version, dict(row._mapping))
