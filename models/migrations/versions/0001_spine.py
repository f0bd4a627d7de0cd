"""The tables of the spine: people, work orders, tickets, operations, records."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision: str | None = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take the step."""
    op.create_table(
        "bulk_operation_audit",
        sa.Column("event_id", sa.UUID(), nullable=False),
        sa.Column("occurred_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("correlation_id", sa.UUID(), nullable=False),
        sa.Column("actor_id", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("operation_type", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("total_items", sa.Integer(), nullable=False),
        sa.Column("successful_items", sa.Integer(), nullable=False),
        sa.Column("failed_items", sa.Integer(), nullable=False),
        sa.Column("successful_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("failed_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("failure_details", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("was_rolled_back", sa.Boolean(), nullable=False),
        sa.Column("rollback_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("event_id", "occurred_at", name=op.f("pk_bulk_operation_audit")),
        postgresql_partition_by="RANGE (occurred_at)",
    )
    op.create_index(
        "ix_bulk_operation_audit_tenant_id_occurred_at",
        "bulk_operation_audit",
        ["tenant_id", "occurred_at"],
        unique=False,
    )
    op.create_table(
        "machine_arrow",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("undo", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "source", "target", name=op.f("pk_machine_arrow")),
    )
    op.create_table(
        "state_transition_audit",
        sa.Column("event_id", sa.UUID(), nullable=False),
        sa.Column("occurred_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("correlation_id", sa.UUID(), nullable=True),
        sa.Column("actor_id", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("from_state", sa.Text(), nullable=True),
        sa.Column("to_state", sa.Text(), nullable=False),
        sa.Column("approved_by", sa.BigInteger(), nullable=True),
        sa.Column("time_in_previous_state_s", sa.Double(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("comments", sa.Text(), nullable=True),
        sa.Column("metadata", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("success", sa.Boolean(), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("execution_time_ms", sa.Double(), nullable=True),
        sa.Column("lock_acquisition_time_ms", sa.Double(), nullable=True),
        sa.Column("lock_key", sa.Text(), nullable=True),
        sa.Column("isolation_level", sa.Text(), nullable=True),
        sa.Column("retry_attempt", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("event_id", "occurred_at", name=op.f("pk_state_transition_audit")),
        postgresql_partition_by="RANGE (occurred_at)",
    )
    op.create_index(
        "ix_state_transition_audit_actor",
        "state_transition_audit",
        ["tenant_id", "actor_id", "occurred_at"],
        unique=False,
    )
    op.create_index(
        "ix_state_transition_audit_entity",
        "state_transition_audit",
        ["tenant_id", "kind", "entity_id", sa.literal_column("version DESC")],
        unique=False,
    )
    op.create_index(
        "ix_state_transition_audit_failure",
        "state_transition_audit",
        ["tenant_id", "occurred_at"],
        unique=False,
        postgresql_where=sa.text("NOT success"),
    )
    op.create_index(
        "ix_state_transition_audit_to_state",
        "state_transition_audit",
        ["tenant_id", "kind", "to_state", "occurred_at"],
        unique=False,
    )
    op.create_table(
        "tenant",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenant")),
        sa.UniqueConstraint("name", name=op.f("uq_tenant_name")),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.UUID(), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("occurred_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("entity_ids", postgresql.ARRAY(sa.BigInteger()), nullable=True),
        sa.Column("versions", postgresql.ARRAY(sa.Integer()), nullable=True),
        sa.Column("from_states", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column(
            "states_since", postgresql.ARRAY(postgresql.TIMESTAMP(timezone=True)), nullable=True
        ),
        sa.Column("error_codes", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("error_messages", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.CheckConstraint(
            "record IN ('state_transition', 'bulk_operation')", name=op.f("ck_outbox_record_known")
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_outbox_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    op.create_table(
        "person",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_person_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_person_tenant_id_id")),
        sa.UniqueConstraint("tenant_id", "name", name=op.f("uq_person_tenant_id_name")),
    )
    op.create_table(
        "role",
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("permissions", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_role_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "name", name=op.f("pk_role")),
    )
    op.create_table(
        "vendor",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_vendor_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vendor")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_vendor_tenant_id_id")),
        sa.UniqueConstraint("tenant_id", "name", name=op.f("uq_vendor_tenant_id_name")),
    )
    op.create_table(
        "operation",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("actor_id", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("verb", sa.Text(), nullable=False),
        sa.Column("operation_type", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("target_state", sa.Text(), nullable=True),
        sa.Column("approved_by", sa.BigInteger(), nullable=True),
        sa.Column("comments", sa.Text(), nullable=True),
        sa.Column(
            "details",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("atomic", sa.Boolean(), nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("isolation_level", sa.Text(), nullable=False),
        sa.Column("max_retries", sa.Integer(), nullable=False),
        sa.Column("lease_seconds", sa.Double(), nullable=False),
        sa.Column("wait_seconds", sa.Double(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=True),
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("started_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("finished_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("result_stored_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('PLANNED', 'QUEUED', 'CANCELLED', 'RUNNING', 'PAUSED', 'CANCELLING', 'SUCCEEDED', 'COMPLETED_WITH_ERRORS', 'ROLLED_BACK', 'FAILED')",
            name=op.f("ck_operation_state_known"),
        ),
        sa.CheckConstraint(
            "(finished_at IS NULL) = (result IS NULL)",
            name=op.f("ck_operation_finished_with_its_result"),
        ),
        sa.CheckConstraint("total > 0", name=op.f("ck_operation_has_items")),
        sa.ForeignKeyConstraint(["actor_id"], ["person.id"], name=op.f("fk_operation_actor_id")),
        sa.ForeignKeyConstraint(
            ["approved_by"], ["person.id"], name=op.f("fk_operation_approved_by")
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_operation_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operation")),
    )
    op.create_index(
        "ix_operation_open",
        "operation",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text(
            "state IN ('PLANNED', 'QUEUED', 'RUNNING', 'PAUSED', 'CANCELLING')"
        ),
    )
    op.create_index(
        "ix_operation_result_not_stored",
        "operation",
        ["finished_at"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NOT NULL AND result_stored_at IS NULL"),
    )
    op.create_index(
        "ix_operation_tenant_id_created_at", "operation", ["tenant_id", "created_at"], unique=False
    )
    op.create_index(
        "uq_operation_idempotency_key",
        "operation",
        ["tenant_id", "actor_id", "idempotency_key"],
        unique=True,
        postgresql_where=sa.text("idempotency_key IS NOT NULL"),
        postgresql_nulls_not_distinct=True,
    )
    op.create_table(
        "person_role",
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("role_name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "person_id"],
            ["person.tenant_id", "person.id"],
            name=op.f("fk_person_role_tenant_id_person_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "role_name"],
            ["role.tenant_id", "role.name"],
            name=op.f("fk_person_role_tenant_id_role_name"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "person_id", "role_name", name=op.f("pk_person_role")),
    )
    op.create_table(
        "ticket",
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("priority", sa.Text(), server_default="MEDIUM", nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("uuid", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column(
            "state_since",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        sa.Column(
            "updated_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("updated_by", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "priority IN ('LOW', 'MEDIUM', 'HIGH', 'CRITICAL')",
            name=op.f("ck_ticket_priority_known"),
        ),
        sa.ForeignKeyConstraint(["created_by"], ["person.id"], name=op.f("fk_ticket_created_by")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_ticket_tenant_id")),
        sa.ForeignKeyConstraint(["updated_by"], ["person.id"], name=op.f("fk_ticket_updated_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ticket")),
        sa.UniqueConstraint("uuid", name=op.f("uq_ticket_uuid")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index("ix_ticket_tenant_id_state", "ticket", ["tenant_id", "state"], unique=False)
    op.create_index(
        "uq_ticket_tenant_id_reference",
        "ticket",
        ["tenant_id", "reference"],
        unique=True,
        postgresql_where=sa.text("reference IS NOT NULL"),
    )
    op.create_table(
        "work_order",
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("remarks", sa.Text(), nullable=True),
        sa.Column("vendor_id", sa.BigInteger(), nullable=True),
        sa.Column("due_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("uuid", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column(
            "state_since",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        sa.Column(
            "updated_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("updated_by", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["created_by"], ["person.id"], name=op.f("fk_work_order_created_by")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "vendor_id"],
            ["vendor.tenant_id", "vendor.id"],
            name=op.f("fk_work_order_tenant_id_vendor_id"),
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_work_order_tenant_id")),
        sa.ForeignKeyConstraint(
            ["updated_by"], ["person.id"], name=op.f("fk_work_order_updated_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_order")),
        sa.UniqueConstraint("uuid", name=op.f("uq_work_order_uuid")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index(
        "ix_work_order_tenant_id_state", "work_order", ["tenant_id", "state"], unique=False
    )
    op.create_index(
        "uq_work_order_tenant_id_reference",
        "work_order",
        ["tenant_id", "reference"],
        unique=True,
        postgresql_where=sa.text("reference IS NOT NULL"),
    )
    op.create_table(
        "operation_chunk",
        sa.Column("operation_id", sa.UUID(), nullable=False),
        sa.Column("chunk_no", sa.Integer(), nullable=False),
        sa.Column("ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("expected_versions", postgresql.ARRAY(sa.BigInteger()), nullable=True),
        sa.Column("status", sa.Text(), server_default="PENDING", nullable=False),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("claim", sa.UUID(), nullable=True),
        sa.Column("lease_until", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column(
            "run_after",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("busy_since", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("published_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("published", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("outcomes", postgresql.ARRAY(sa.SmallInteger()), nullable=True),
        sa.Column("versions", postgresql.ARRAY(sa.BigInteger()), nullable=True),
        sa.Column("failures", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("failure_codes", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("succeeded", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("skipped", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("cancelled", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("retries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(status = 'RUNNING') = (claim IS NOT NULL) AND (claim IS NULL) = (lease_until IS NULL)",
            name=op.f("ck_operation_chunk_running_under_a_claim"),
        ),
        sa.CheckConstraint(
            "status IN ('PENDING', 'RUNNING') OR succeeded + skipped + failed + cancelled = cardinality(ids)",
            name=op.f("ck_operation_chunk_ended_with_all_outcomes"),
        ),
        sa.CheckConstraint(
            "status IN ('PENDING', 'RUNNING', 'DONE', 'DEAD', 'CANCELLED')",
            name=op.f("ck_operation_chunk_status_known"),
        ),
        sa.ForeignKeyConstraint(
            ["operation_id"], ["operation.id"], name=op.f("fk_operation_chunk_operation_id")
        ),
        sa.PrimaryKeyConstraint("operation_id", "chunk_no", name=op.f("pk_operation_chunk")),
        sa.UniqueConstraint("claim", name=op.f("uq_operation_chunk_claim")),
    )
    op.create_index(
        "ix_operation_chunk_running",
        "operation_chunk",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("status = 'RUNNING'"),
    )
    op.create_index(
        "ix_operation_chunk_waiting",
        "operation_chunk",
        ["run_after"],
        unique=False,
        postgresql_where=sa.text("status = 'PENDING'"),
    )
    op.create_table(
        "work_order_line",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("work_order_id", sa.BigInteger(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["work_order_id"], ["work_order.id"], name=op.f("fk_work_order_line_work_order_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_order_line")),
    )
    op.create_index(
        op.f("ix_work_order_line_work_order_id"), "work_order_line", ["work_order_id"], unique=False
    )
