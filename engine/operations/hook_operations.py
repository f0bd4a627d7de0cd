"""Hook operations: store the operations of hooks in the transaction that ends their parent."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, Row, text

from engine.changes.hook_run import VERB
from engine.ports.hooks import Hook, naming_hook
from engine.ports.platform import Platform

_INSERT = text("""
WITH followed AS (
  INSERT INTO operation (id, tenant_id, actor_id, kind, verb, operation_type, state, reason,
    hook, parent_id, details, atomic, dry_run, isolation_level, max_retries, lease_seconds,
    wait_seconds, queue, total)
  VALUES (:id, :tenant_id, NULL, 'hook', 'hook', :operation_type, 'QUEUED', 'hook', :hook,
    :parent_id, CAST(:details AS jsonb), false, false, 'READ COMMITTED', :max_retries,
    :lease_seconds, :wait_seconds, 'bulk', :total)
  ON CONFLICT (parent_id, hook) WHERE hook IS NOT NULL DO NOTHING
  RETURNING id
)
INSERT INTO operation_chunk (operation_id, chunk_no, ids)
SELECT followed.id, first / :chunk_items, given.ids[first + 1 : first + :chunk_items]
  FROM followed, (SELECT CAST(:ids AS bigint[]) AS ids) AS given,
       generate_series(0, :total - 1, :chunk_items) AS first
""")


def add_followups(
    platform: Platform, db: Connection, operation: Row[Any], result: Mapping[str, Any]
) -> list[UUID]:
    """Store the operations that hooks ask for after this one, in its last transaction.

    `operation.wanted` has a boolean for each hook that may follow: whether to call it.

    Returns:
        Their ids.
    """
    added: list[UUID] = []
    if operation.verb == VERB:
        return added
    pace = platform.pace
    for hook, is_wanted in zip(hooks_that_follow(platform), operation.wanted or (), strict=True):
        if not is_wanted:
            continue
        with naming_hook(hook):
            ids = sorted(hook.follow(db, operation, result) or ())
        if not ids:
            continue
        names = {
            "id": uuid4(),
            "tenant_id": operation.tenant_id,
            "operation_type": f"{VERB}_{hook.name}",
            "hook": hook.name,
            "parent_id": operation.id,
            "details": json.dumps({}),
            "max_retries": pace.retries,
            "lease_seconds": pace.lease_s,
            "wait_seconds": pace.wait_s,
            "total": len(ids),
            "ids": ids,
            "chunk_items": pace.chunk_items,
        }
        if db.execute(_INSERT, names).rowcount:
            added.append(names["id"])
    return added


def hooks_that_follow(platform: Platform) -> tuple[Hook, ...]:
    """Return the hooks that may add an operation when another one ends."""
    return tuple(hook for hook in platform.hooks if hook.wanted is not None)
