"""One trail over the four records, and what they come to by the hour."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# Each branch has the same columns of the same types, so that the planner goes into the view.
_TRAIL = """
CREATE VIEW audit_trail AS
SELECT event_id, occurred_at, tenant_id, 'state_transition'::text AS record,
       'STATE_CHANGED'::text AS event_type, kind, entity_id, version, actor_id, correlation_id,
       reason, comments, success, error_code, error_message, from_state, to_state, approved_by,
       time_in_previous_state_s, NULL::jsonb AS changes, metadata, execution_time_ms,
       lock_acquisition_time_ms, lock_key, isolation_level, retry_attempt,
       NULL::text AS session_id, NULL::text AS ip_address, NULL::text[] AS security_flags,
       seal_no, erased_by
  FROM state_transition_audit
UNION ALL
SELECT event_id, occurred_at, tenant_id, 'audit_log'::text,
       event_type, kind, entity_id, version, actor_id, correlation_id,
       reason, comments, success, error_code, error_message, NULL::text, NULL::text, NULL::bigint,
       NULL::double precision, changes, metadata, execution_time_ms,
       lock_acquisition_time_ms, NULL::text, NULL::text, NULL::integer,
       session_id, ip_address, security_flags,
       seal_no, erased_by
  FROM audit_log
UNION ALL
SELECT event_id, occurred_at, tenant_id, 'bulk_operation'::text,
       'BULK_OPERATION'::text, kind, NULL::bigint, NULL::integer, actor_id, correlation_id,
       NULL::text, NULL::text, state = 'SUCCEEDED', NULL::text, rollback_reason, NULL::text,
       NULL::text, NULL::bigint,
       NULL::double precision, NULL::jsonb, jsonb_build_object(
         'operation_type', operation_type, 'state', state, 'total_items', total_items,
         'successful_items', successful_items, 'failed_items', failed_items,
         'successful_ids', successful_ids, 'failed_ids', failed_ids,
         'failure_details', failure_details, 'was_rolled_back', was_rolled_back), NULL::double precision,
       NULL::double precision, NULL::text, NULL::text, NULL::integer,
       NULL::text, NULL::text, NULL::text[],
       seal_no, erased_by
  FROM bulk_operation_audit
UNION ALL
SELECT event_id, occurred_at, tenant_id, 'permission_denial'::text,
       'PERMISSION_DENIED'::text, kind, NULL::bigint, NULL::integer, actor_id, correlation_id,
       NULL::text, NULL::text, false, 'permission_denied'::text, NULL::text, NULL::text,
       NULL::text, NULL::bigint,
       NULL::double precision, NULL::jsonb, jsonb_build_object(
         'attempted_action', attempted_action, 'items', items, 'entity_ids', entity_ids,
         'required_permissions', required_permissions, 'user_permissions', user_permissions,
         'risk_score', risk_score), NULL::double precision,
       NULL::double precision, NULL::text, NULL::text, NULL::integer,
       NULL::text, NULL::text, CASE WHEN is_suspicious THEN ARRAY['suspicious'] END,
       seal_no, erased_by
  FROM permission_denial_audit
"""

_RECORDS = (
    "state_transition_audit",
    "bulk_operation_audit",
    "audit_log",
    "permission_denial_audit",
)


def upgrade() -> None:
    """Unite the records, let them be found by time and operation, and add the hours."""
    op.execute(_TRAIL)
    for table in ("state_transition_audit", "audit_log"):
        op.create_index(
            f"ix_{table}_occurred", table, ["tenant_id", "occurred_at", "event_id"], unique=False
        )
    for table in _RECORDS:
        op.create_index(
            f"ix_{table}_correlation",
            table,
            ["tenant_id", "correlation_id", "occurred_at"],
            unique=False,
        )
    op.create_index(
        "ix_audit_log_failure",
        "audit_log",
        ["tenant_id", "occurred_at"],
        unique=False,
        postgresql_where=sa.text("NOT success"),
    )
    numbers = ("succeeded", "failed", "changed", "refused", "denials", "retried")
    op.create_table(
        "audit_rollup",
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("hour", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.BigInteger(), autoincrement=False, nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in numbers),
        sa.Column("execution_ms", sa.Double(), nullable=False),
        sa.Column("lock_ms", sa.Double(), nullable=False),
        sa.CheckConstraint(
            "hour = date_trunc('hour', hour, 'UTC')", name=op.f("ck_audit_rollup_whole_hour")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_audit_rollup_tenant_id")
        ),
        sa.PrimaryKeyConstraint(
            "tenant_id", "hour", "kind", "actor_id", name=op.f("pk_audit_rollup")
        ),
    )
    op.create_table(
        "audit_rollup_mark",
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("seal_no", sa.BigInteger(), server_default=sa.text("-1"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_audit_rollup_mark_tenant_id")
        ),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_audit_rollup_mark")),
    )
