"""Denials of a chunk: record the rows that were refused because a permission was missing."""

from datetime import datetime

from sqlalchemy import Connection

from domain.audit.denial_risk import Denial
from domain.permissions import NOWHERE, Actor, Origin
from engine.access.other_tenants import ids_of_other_tenants
from engine.access.permissions import record_denial
from engine.changes.change import Change
from engine.changes.outcomes import Outcomes


def log_denials(db: Connection, change: Change, outcomes: Outcomes, now: datetime) -> None:
    """Record the rows of a chunk that were refused because a permission was missing, as one denial.

    Ids that belong to other tenants, which are "not found" to the actor, are a second denial.
    """
    operation = change.operation
    origin = Origin(**operation.origin) if operation.origin else NOWHERE
    actor = Actor(operation.tenant_id, operation.actor_id, origin)
    rows = outcomes.denied_rows()
    if rows:
        required = change.required(rows)
        denial = Denial(
            kind=operation.kind,
            action=" or ".join(sorted(permission.partition(".")[2] for permission in required)),
            required=frozenset(required),
            held=change.permissions,
            ids=[row.id for row in rows],
        )
        record_denial(db, actor, denial, now, correlation_id=operation.id)
    missing = outcomes.missing_ids()
    cross_tenant_ids = ids_of_other_tenants(db, operation.tenant_id, operation.kind, missing)
    if cross_tenant_ids:
        denial = Denial(
            kind=operation.kind,
            action=operation.verb,
            required=frozenset(),
            held=change.permissions,
            ids=cross_tenant_ids,
            is_cross_tenant=True,
        )
        record_denial(db, actor, denial, now, correlation_id=operation.id)
