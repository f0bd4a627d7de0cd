"""Record the rows of a chunk that were refused for want of a permission."""

from datetime import datetime

from sqlalchemy import Connection

from domain.audit.denial_risk import Denial
from domain.permissions import NOWHERE, Actor, Origin
from engine.access.other_tenants import ids_of_other_tenants
from engine.access.permissions import record_denial
from engine.changes.change import Change
from engine.changes.outcomes import Outcomes


def log_denials(db: Connection, change: Change, outcomes: Outcomes, now: datetime) -> None:
    """Record the rows of a chunk that were refused for want of a permission, as one denial.

    Rows of other tenants, which are not found, are recorded as another.
    """
    operation = change.operation
    origin = Origin(**operation.origin) if operation.origin else NOWHERE
    actor = Actor(operation.tenant_id, operation.actor_id, origin)
    rows = outcomes.denied()
    if rows:
        required = change.required(rows)
        denial = Denial(
            kind=operation.kind,
            action=" or ".join(sorted(each.partition(".")[2] for each in required)),
            required=frozenset(required),
            held=change.permissions,
            ids=[each.id for each in rows],
        )
        record_denial(db, actor, denial, now, correlation_id=operation.id)
    foreign = ids_of_other_tenants(db, operation.tenant_id, operation.kind, outcomes.missing())
    if foreign:
        denial = Denial(
            kind=operation.kind,
            action=operation.verb,
            required=frozenset(),
            held=change.permissions,
            ids=foreign,
            is_cross_tenant=True,
        )
        record_denial(db, actor, denial, now, correlation_id=operation.id)
