"""Record the rows of a chunk that were refused for want of a permission."""

from datetime import datetime

from sqlalchemy import Connection

from domain.audit.denial_risk import Denial
from domain.permissions import NOWHERE, Actor, Origin
from engine.access.other_tenants import foreign_ids
from engine.access.permissions import leave_denial
from engine.changes.change import Change
from engine.changes.outcomes import Judged


def log_denials(db: Connection, change: Change, judged: Judged, now: datetime) -> None:
    """Record the rows of a chunk that were refused for want of a permission, as one denial.

    Rows of other tenants, which are not found, are recorded as another.
    """
    operation = change.operation
    origin = Origin(**operation.origin) if operation.origin else NOWHERE
    actor = Actor(operation.tenant_id, operation.actor_id, origin)
    rows = judged.denied()
    if rows:
        required = change.required(rows)
        denial = Denial(
            kind=operation.kind,
            action=" or ".join(sorted(each.partition(".")[2] for each in required)),
            required=frozenset(required),
            held=change.permissions,
            ids=[each.id for each in rows],
        )
        leave_denial(db, actor, denial, now, correlation_id=operation.id)
    foreign = foreign_ids(db, operation.tenant_id, operation.kind, judged.missing())
    if foreign:
        denial = Denial(
            kind=operation.kind,
            action=operation.verb,
            required=frozenset(),
            held=change.permissions,
            ids=foreign,
            is_foreign=True,
        )
        leave_denial(db, actor, denial, now, correlation_id=operation.id)
