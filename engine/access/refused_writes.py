"""What somebody wanted to write at once and was refused: recorded after the refused transaction.

Held against what is stored, that is: what is malformed is told at the interface and forgotten, and
a denial has a record of its own.
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
from engine.access.cross_tenant_watch import leave_probe
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
    """A write that somebody wants.

    Attributes:
        event_type: What would be recorded: CREATED, UPDATED or DELETED.
        kind: Of what, e.g. `vendor` or `operation`.
        row_id: Of which row, if it is there already.
        values: What would be written, by column.
        reason: Why.
        details: What else is to be told of it.
        operation_id: What it would be done to, or under.
    """

    event_type: str
    kind: str
    row_id: int | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    reason: str = "user_action"
    details: Mapping[str, Any] = field(default_factory=dict)
    operation_id: UUID | None = None


@contextmanager
def recorded_if_refused(platform: Platform, actor: Actor, wanted: AttemptedWrite) -> Iterator[None]:
    """Let a refusal through as it is, and leave its record in a transaction of its own.

    The refused transaction has to be over by then: it would take the record with it.
    """
    try:
        yield
    except PermissionDenied:
        raise
    except LocksideError as refused:
        try:
            with platform.database.begin() as db:
                _leave(platform, db, actor, wanted, refused)
        except SQLAlchemyError as trouble:
            # Whoever asked is told why they were refused, whatever became of the record.
            _log.error(
                "refusal_not_recorded",
                extra={"code": refused.code, "reason": type(trouble).__name__},
            )
        raise


def _leave(
    platform: Platform, db: Connection, actor: Actor, wanted: AttemptedWrite, refused: LocksideError
) -> None:
    now = platform.clock(db)
    version, before = _kept(db, actor, wanted)
    flags = [OUT_OF_HOURS] if is_out_of_hours(db, actor, now) else []
    if isinstance(refused, NotFound):
        verb = _VERBS[wanted.event_type]
        what, got = refused.facts["what"], refused.facts["got"]
        if leave_probe(platform, db, actor, verb, resource_type=what, given=[got]):
            flags.append(FOREIGN_IDS)
    changes = {
        name: {"before": plain(before.get(name)), "after": plain(value)}
        for name, value in wanted.values.items()
    }
    reasons = refused.facts.get("reasons") or [{"code": refused.code}]
    log_entity_refused(
        db,
        actor=actor,
        event_type=wanted.event_type,
        kind=wanted.kind,
        correlation_id=wanted.operation_id,
        reason=wanted.reason,
        details=wanted.details,
        flags=flags,
        row_id=wanted.row_id,
        version=version,
        changes=json.dumps(changes),
        code=reasons[0]["code"],
        message=str(refused),
        now=now,
    )


def _kept(
    db: Connection, actor: Actor, wanted: AttemptedWrite
) -> tuple[int | None, Mapping[str, Any]]:
    """Return the version of the tenant's row and what it holds, if there is such a row."""
    model = records().get(wanted.kind)
    if model is None or wanted.row_id is None:
        return None, {}
    table = table_of(model)
    columns = [table.c[name] for name in wanted.values]
    mine = (table.c.tenant_id == actor.tenant_id, table.c.id == wanted.row_id)
    row = db.execute(select(table.c.version, *columns).where(*mine)).one_or_none()
    return (None, {}) if row is None else (row.version, dict(row._mapping))
