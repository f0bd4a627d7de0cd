"""Notifications: tell the subscribers of a resource type once what an operation did."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from engine.ports.hooks import Hook

# `o` is the operation that ends. Not told: who did it, and people who were deleted.
_SUBSCRIBERS = """
FROM subscription s JOIN person r ON r.id = s.person_id AND r.deleted_at IS NULL
 WHERE s.tenant_id = o.tenant_id AND s.kind = o.kind AND s.deleted_at IS NULL
   AND (s.target_state IS NULL OR s.target_state = o.target_state)
   AND s.person_id IS DISTINCT FROM o.actor_id
"""

_FIND_SUBSCRIBERS = text(f"""
SELECT DISTINCT f.person_id
  FROM operation o, LATERAL (SELECT s.person_id {_SUBSCRIBERS}) AS f
 WHERE o.id = :operation_id
""")  # noqa: S608 -- made of the constants above

_NOTIFY = text("""
INSERT INTO notification (operation_id, person_id, tenant_id, body, created_at)
SELECT o.id, person_id, o.tenant_id, jsonb_build_object(
         'kind', o.kind, 'operation_type', o.operation_type, 'state', o.state,
         'by', (SELECT name FROM person p WHERE p.id = o.actor_id),
         'total', o.total, 'succeeded', o.result -> 'successful_items',
         'failed', o.result -> 'failed_items', 'ids', o.result -> 'successful_ids'), :now
  FROM operation o, unnest(CAST(:people AS bigint[])) AS person_id
 WHERE o.id = :parent_id
ON CONFLICT DO NOTHING
""")


class Notifications(Hook):
    """Tells the subscribers of a resource type: one notification an operation and person."""

    name = "digest"
    wanted = f"o.verb <> 'hook' AND NOT o.dry_run AND EXISTS (SELECT {_SUBSCRIBERS})"

    def follow(
        self, db: Connection, operation: Row[Any], result: Mapping[str, Any]
    ) -> Sequence[int]:
        """Return the people to notify; nobody if the operation changed nothing."""
        if not result["successful_items"]:
            return ()
        return list(db.scalars(_FIND_SUBSCRIBERS, {"operation_id": operation.id}))

    def after(
        self, db: Connection, parent_id: UUID, tenant_id: int, ids: Sequence[int], now: datetime
    ) -> None:
        """Store their notifications."""
        db.execute(_NOTIFY, {"parent_id": parent_id, "people": list(ids), "now": now})
