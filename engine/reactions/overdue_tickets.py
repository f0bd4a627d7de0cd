"""Overdue tickets: raise a ticket once for each overdue task that a policy closed."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from domain.bulk import Outcome
from domain.permissions import Actor
from engine.audit.outbox import log_entities
from engine.ports.hooks import Hook
from engine.records.inline_operation import nested_inline_operation
from models.field_task import FieldTask
from models.ticket import Ticket

# `o` is the operation that ends: only a policy that closes overdue tasks raises tickets.
_BY_POLICY = f"""
o.kind = '{FieldTask.resource_type}' AND o.verb = 'transition'
AND NOT o.dry_run AND o.actor_id IS NULL
AND EXISTS (SELECT FROM scheduled_run r
             WHERE r.operation_id = o.id AND r.policy ->> 'clock' IN ('due', 'overdue'))
"""

_CLOSED_TASKS = text("""
SELECT t.id
  FROM operation_chunk c, unnest(c.ids, c.outcomes) AS i(id, outcome), field_task t, job j
 WHERE c.operation_id = :operation_id AND i.outcome = :succeeded
   AND t.id = i.id AND j.id = t.job_id AND j.ticket_category_id IS NOT NULL
   AND NOT EXISTS (SELECT FROM ticket k WHERE k.task_id = t.id)
""")

_RAISE = text("""
INSERT INTO ticket (tenant_id, state, state_since, created_at, updated_at, title, description,
                    category_id, site_id, task_id)
SELECT t.tenant_id, :state, :now, :now, :now, left('Overdue: ' || t.title, 10000),
       'Task ' || t.id || ' was due ' ||
         coalesce(to_char(t.due_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC', 'earlier')
         || ' and is ' || t.state || '.',
       j.ticket_category_id, t.site_id, t.id
  FROM field_task t JOIN job j ON j.id = t.job_id
 WHERE t.id = ANY(:ids) AND j.ticket_category_id IS NOT NULL
 ORDER BY t.id
ON CONFLICT (task_id) WHERE task_id IS NOT NULL DO NOTHING
RETURNING id, state, title, description, priority, category_id, site_id, task_id
""")


class RaiseTickets(Hook):
    """Raises tickets for tasks that were overdue, in the category that their job names."""

    name = "overdue_tickets"
    wanted = _BY_POLICY

    def follow(
        self, db: Connection, operation: Row[Any], result: Mapping[str, Any]
    ) -> Sequence[int]:
        """Return the tasks that the operation closed and that have no ticket yet."""
        if not result["successful_items"]:
            return ()
        names = {"operation_id": operation.id, "succeeded": Outcome.SUCCEEDED}
        return list(db.scalars(_CLOSED_TASKS, names))

    def after(
        self, db: Connection, parent_id: UUID, tenant_id: int, ids: Sequence[int], now: datetime
    ) -> None:
        """Raise their tickets, and record it."""
        system = Actor(tenant_id, None)
        about = nested_inline_operation(
            db,
            system,
            now,
            kind=Ticket.resource_type,
            verb="create",
            total=len(ids),
            parent_id=parent_id,
        )
        with about as running:
            names = {"ids": list(ids), "now": now, "state": Ticket.machine.initial}
            raised = db.execute(_RAISE, names).all()
            running.ids = [ticket.id for ticket in raised]
            if raised:
                log_entities(
                    db,
                    event_type="CREATED",
                    kind=Ticket.resource_type,
                    tenant_id=tenant_id,
                    actor_id=None,
                    correlation_id=running.operation_id,
                    reason="hook",
                    ids=running.ids,
                    versions=[1] * len(raised),
                    changes=[_created_changes(ticket) for ticket in raised],
                    now=now,
                )


def _created_changes(ticket: Row[Any]) -> str:
    values = {name: value for name, value in ticket._mapping.items() if name != "id"}
    return json.dumps(
        {
            name: {"before": None, "after": value}
            for name, value in values.items()
            if value is not None
        }
    )
