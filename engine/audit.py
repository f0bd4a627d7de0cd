"""Records written from the outbox, set-based; a crash leaves the outbox as it was."""

from sqlalchemy import text

from engine.hints import WRITE_AUDIT
from engine.platform import Platform
from models.schema import MAKE_PARTITIONS

_BATCH = 50
"""Outbox rows, each of a whole chunk, that one transaction turns into records."""

_BATCH_ITEMS = 50_000
"""No more rows are taken beyond so many items, so that a statement stays within its time."""

# Rows leave the outbox in the transaction that writes their records; SKIP LOCKED lets
# several writers share the work. An item's event id is its chunk's with the item's number as
# the last twelve digits, so that neighbours lie together in the index.
_WRITE = text("""
WITH free AS MATERIALIZED (
  SELECT id, coalesce(cardinality(entity_ids), 1) AS items FROM outbox
   ORDER BY id LIMIT :most FOR UPDATE SKIP LOCKED
), counted AS MATERIALIZED (
  SELECT id, sum(items) OVER (ORDER BY id) - items AS before FROM free
), taken AS (
  DELETE FROM outbox WHERE id IN (SELECT id FROM counted WHERE before < :items)
  RETURNING *
), transitions AS (
  INSERT INTO state_transition_audit (event_id, occurred_at, tenant_id, correlation_id, actor_id,
    kind, entity_id, version, from_state, to_state, approved_by, time_in_previous_state_s, reason,
    comments, metadata, success, error_code, error_message, execution_time_ms,
    lock_acquisition_time_ms, lock_key, isolation_level, retry_attempt)
  SELECT CAST(b.event_prefix || lpad(to_hex(i.n), 12, '0') AS uuid), b.occurred_at, b.tenant_id,
         b.correlation_id, b.actor_id, b.kind, i.id, i.version, i.from_state, b.to_state,
         b.approved_by, extract(epoch FROM b.occurred_at - i.since), b.reason,
         coalesce(i.comments, b.comments), b.metadata, i.error_code IS NULL, i.error_code,
         i.error_message, b.execution_time_ms, b.lock_acquisition_time_ms,
         b.lock_prefix || i.id, b.isolation_level, b.retry_attempt
    FROM taken t
    CROSS JOIN LATERAL (
      SELECT t.occurred_at, t.tenant_id, left(CAST(t.event_id AS text), 24) AS event_prefix,
             'lockside:lock:' || t.tenant_id || ':' || (t.body ->> 'kind') || ':' AS lock_prefix,
             r.*
        FROM jsonb_to_record(t.body) AS r(kind text, to_state text, correlation_id uuid,
          actor_id bigint, approved_by bigint, reason text, comments text, metadata jsonb,
          execution_time_ms float8, lock_acquisition_time_ms float8, isolation_level text,
          retry_attempt int) OFFSET 0) AS b
    CROSS JOIN LATERAL unnest(t.entity_ids, t.versions, t.from_states, t.states_since,
      t.error_codes, t.error_messages, t.comments) WITH ORDINALITY
      AS i(id, version, from_state, since, error_code, error_message, comments, n)
   WHERE t.record = 'state_transition'
), entities AS (
  INSERT INTO audit_log (event_id, occurred_at, tenant_id, correlation_id, actor_id, event_type,
    kind, entity_id, version, reason, comments, changes, metadata, success, error_code,
    error_message, execution_time_ms, lock_acquisition_time_ms)
  SELECT CAST(left(CAST(t.event_id AS text), 24) || lpad(to_hex(i.n), 12, '0') AS uuid),
         t.occurred_at, t.tenant_id, b.correlation_id, b.actor_id, b.event_type, b.kind, i.id,
         i.version, b.reason, b.comments, CAST(i.changes AS jsonb), b.metadata,
         i.error_code IS NULL, i.error_code, i.error_message, b.execution_time_ms,
         b.lock_acquisition_time_ms
    FROM taken t
    CROSS JOIN LATERAL (
      SELECT * FROM jsonb_to_record(t.body) AS r(kind text, event_type text, correlation_id uuid,
        actor_id bigint, reason text, comments text, metadata jsonb, execution_time_ms float8,
        lock_acquisition_time_ms float8) OFFSET 0) AS b
    CROSS JOIN LATERAL unnest(t.entity_ids, t.versions, t.changes, t.error_codes,
      t.error_messages) WITH ORDINALITY AS i(id, version, changes, error_code, error_message, n)
   WHERE t.record = 'audit_log'
), denials AS (
  INSERT INTO permission_denial_audit (event_id, occurred_at, tenant_id, correlation_id, actor_id,
    kind, attempted_action, items, entity_ids, required_permissions, user_permissions,
    is_suspicious, risk_score)
  SELECT t.event_id, t.occurred_at, t.tenant_id, r.*
    FROM taken t
    CROSS JOIN LATERAL (
      SELECT * FROM jsonb_to_record(t.body) AS b(correlation_id uuid, actor_id bigint, kind text,
        attempted_action text, items int, entity_ids bigint[], required_permissions text[],
        user_permissions text[], is_suspicious boolean, risk_score int)) AS r
   WHERE t.record = 'permission_denial'
), operations AS (
  INSERT INTO bulk_operation_audit (event_id, occurred_at, tenant_id, correlation_id, actor_id,
    kind, operation_type, state, total_items, successful_items, failed_items, successful_ids,
    failed_ids, failure_details, was_rolled_back, rollback_reason)
  SELECT t.event_id, t.occurred_at, t.tenant_id, r.*
    FROM taken t
    CROSS JOIN LATERAL (
      SELECT * FROM jsonb_to_record(t.body) AS b(correlation_id uuid, actor_id bigint, kind text,
        operation_type text, state text, total_items int, successful_items int,
        failed_items int, successful_ids bigint[], failed_ids bigint[], failure_details jsonb,
        was_rolled_back boolean, rollback_reason text)) AS r
   WHERE t.record = 'bulk_operation'
)
SELECT count(*) FROM taken
""")


def write_records(platform: Platform) -> int:
    """Turn the outbox into records until it is empty; return how many of its rows it was."""
    platform.locks.forget(WRITE_AUDIT)
    written = 0
    while True:
        with platform.database.begin() as db:
            taken = db.scalar(_WRITE, {"most": _BATCH, "items": _BATCH_ITEMS}) or 0
            platform.step("records_written")
        written += taken
        if not taken:
            return written


def make_partitions(platform: Platform) -> None:
    """Make the months that records will need, ahead of time."""
    with platform.database.begin() as db:
        db.execute(MAKE_PARTITIONS)
