"""Field tasks and attendance; every record has its version; the other two audit records."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables, then protect them."""
    op.create_table(
        "audit_log",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("occurred_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("correlation_id", sa.Uuid(), nullable=True),
        sa.Column("actor_id", sa.BigInteger(), nullable=True),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("comments", sa.Text(), nullable=True),
        sa.Column("changes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("metadata", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("success", sa.Boolean(), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("execution_time_ms", sa.Double(), nullable=True),
        sa.Column("lock_acquisition_time_ms", sa.Double(), nullable=True),
        sa.Column("session_id", sa.Text(), nullable=True),
        sa.Column("ip_address", sa.Text(), nullable=True),
        sa.Column("security_flags", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("retention_until", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint(
            "event_type IN ('CREATED', 'UPDATED', 'DELETED', 'STATE_CHANGED', 'BULK_OPERATION')",
            name=op.f("ck_audit_log_event_type_known"),
        ),
        sa.PrimaryKeyConstraint("event_id", "occurred_at", name=op.f("pk_audit_log")),
        postgresql_partition_by="RANGE (occurred_at)",
    )
    op.create_index(
        "ix_audit_log_actor", "audit_log", ["tenant_id", "actor_id", "occurred_at"], unique=False
    )
    op.create_index(
        "ix_audit_log_entity",
        "audit_log",
        ["tenant_id", "kind", "entity_id", sa.literal_column("version DESC")],
        unique=False,
    )
    op.create_table(
        "permission_denial_audit",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("occurred_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("correlation_id", sa.Uuid(), nullable=True),
        sa.Column("actor_id", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("attempted_action", sa.Text(), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("entity_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("required_permissions", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("user_permissions", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("is_suspicious", sa.Boolean(), nullable=False),
        sa.Column("risk_score", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "risk_score BETWEEN 0 AND 100", name=op.f("ck_permission_denial_audit_risk_in_range")
        ),
        sa.PrimaryKeyConstraint("event_id", "occurred_at", name=op.f("pk_permission_denial_audit")),
        postgresql_partition_by="RANGE (occurred_at)",
    )
    op.create_index(
        "ix_permission_denial_audit_actor",
        "permission_denial_audit",
        ["tenant_id", "actor_id", "occurred_at"],
        unique=False,
    )
    op.create_index(
        "ix_permission_denial_audit_tenant_id_occurred_at",
        "permission_denial_audit",
        ["tenant_id", "occurred_at"],
        unique=False,
    )
    op.create_table(
        "work_warning",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column(
            "noted_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_work_warning_tenant_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_warning")),
    )
    op.create_index(
        "ix_work_warning_entity", "work_warning", ["tenant_id", "kind", "entity_id"], unique=False
    )
    op.create_table(
        "notification",
        sa.Column("operation_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("read_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "person_id"],
            ["person.tenant_id", "person.id"],
            name=op.f("fk_notification_tenant_id_person_id"),
        ),
        sa.PrimaryKeyConstraint("operation_id", "person_id", name=op.f("pk_notification")),
    )
    op.create_index(
        "ix_notification_unread",
        "notification",
        ["tenant_id", "person_id", "created_at"],
        unique=False,
        postgresql_where=sa.text("read_at IS NULL"),
    )
    op.create_table(
        "payroll_period",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("cutoff_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("closed_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
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
        sa.Column("deleted_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        postgresql.ExcludeConstraint(
            (sa.literal_column("int8range(tenant_id, tenant_id, '[]')"), "&&"),
            (sa.literal_column("daterange(starts_on, ends_on, '[]')"), "&&"),
            where=sa.text("deleted_at IS NULL"),
            using="gist",
            name="ex_payroll_period_days",
        ),
        sa.CheckConstraint("starts_on <= ends_on", name=op.f("ck_payroll_period_in_order")),
        sa.ForeignKeyConstraint(
            ["created_by"], ["person.id"], name=op.f("fk_payroll_period_created_by")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_payroll_period_tenant_id")
        ),
        sa.ForeignKeyConstraint(
            ["updated_by"], ["person.id"], name=op.f("fk_payroll_period_updated_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payroll_period")),
    )
    op.create_index(
        "uq_payroll_period_tenant_id_name",
        "payroll_period",
        ["tenant_id", "name"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "site",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("latitude", sa.Double(), nullable=True),
        sa.Column("longitude", sa.Double(), nullable=True),
        sa.Column("radius_m", sa.Double(), nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
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
        sa.Column("deleted_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint("latitude BETWEEN -90 AND 90", name=op.f("ck_site_latitude_in_range")),
        sa.CheckConstraint(
            "longitude BETWEEN -180 AND 180", name=op.f("ck_site_longitude_in_range")
        ),
        sa.CheckConstraint(
            "num_nulls(latitude, longitude, radius_m) IN (0, 3)", name=op.f("ck_site_whole_fence")
        ),
        sa.CheckConstraint("radius_m > 0", name=op.f("ck_site_radius_positive")),
        sa.ForeignKeyConstraint(["created_by"], ["person.id"], name=op.f("fk_site_created_by")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_site_tenant_id")),
        sa.ForeignKeyConstraint(["updated_by"], ["person.id"], name=op.f("fk_site_updated_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_site_tenant_id_id")),
    )
    op.create_index(
        "uq_site_tenant_id_name",
        "site",
        ["tenant_id", "name"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "subscription",
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("target_state", sa.Text(), nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
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
        sa.Column("deleted_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["created_by"], ["person.id"], name=op.f("fk_subscription_created_by")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "person_id"],
            ["person.tenant_id", "person.id"],
            name=op.f("fk_subscription_tenant_id_person_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_subscription_tenant_id")
        ),
        sa.ForeignKeyConstraint(
            ["updated_by"], ["person.id"], name=op.f("fk_subscription_updated_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscription")),
    )
    op.create_index(
        "uq_subscription_tenant_id_kind",
        "subscription",
        ["tenant_id", "kind", "person_id", "target_state"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
        postgresql_nulls_not_distinct=True,
    )
    op.create_table(
        "team",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
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
        sa.Column("deleted_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["created_by"], ["person.id"], name=op.f("fk_team_created_by")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_team_tenant_id")),
        sa.ForeignKeyConstraint(["updated_by"], ["person.id"], name=op.f("fk_team_updated_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_team")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_team_tenant_id_id")),
    )
    op.create_index(
        "uq_team_tenant_id_name",
        "team",
        ["tenant_id", "name"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "ticket_category",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
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
        sa.Column("deleted_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["created_by"], ["person.id"], name=op.f("fk_ticket_category_created_by")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_ticket_category_tenant_id")
        ),
        sa.ForeignKeyConstraint(
            ["updated_by"], ["person.id"], name=op.f("fk_ticket_category_updated_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ticket_category")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_ticket_category_tenant_id_id")),
    )
    op.create_index(
        "uq_ticket_category_tenant_id_name",
        "ticket_category",
        ["tenant_id", "name"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "attendance",
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("site_id", sa.BigInteger(), nullable=True),
        sa.Column("datefor", sa.Date(), nullable=False),
        sa.Column("punchintime", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("punchouttime", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("ctzoffset", sa.Integer(), nullable=False),
        sa.Column("punchin_latitude", sa.Double(), nullable=True),
        sa.Column("punchin_longitude", sa.Double(), nullable=True),
        sa.Column("punchout_latitude", sa.Double(), nullable=True),
        sa.Column("punchout_longitude", sa.Double(), nullable=True),
        sa.Column("remarks", sa.Text(), nullable=True),
        sa.Column("uuid", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column(
            "state_since",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
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
        sa.Column("deleted_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint(
            "punchouttime - punchintime <= interval '86400 seconds'",
            name=op.f("ck_attendance_shift_not_too_long"),
        ),
        sa.CheckConstraint(
            "ctzoffset BETWEEN -720 AND 840", name=op.f("ck_attendance_offset_known")
        ),
        sa.CheckConstraint(
            "punchouttime >= punchintime", name=op.f("ck_attendance_punches_in_order")
        ),
        sa.ForeignKeyConstraint(
            ["created_by"], ["person.id"], name=op.f("fk_attendance_created_by")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "person_id"],
            ["person.tenant_id", "person.id"],
            name=op.f("fk_attendance_tenant_id_person_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "site_id"],
            ["site.tenant_id", "site.id"],
            name=op.f("fk_attendance_tenant_id_site_id"),
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_attendance_tenant_id")),
        sa.ForeignKeyConstraint(
            ["updated_by"], ["person.id"], name=op.f("fk_attendance_updated_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attendance")),
        sa.UniqueConstraint("uuid", name=op.f("uq_attendance_uuid")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index(
        "ix_attendance_tenant_id_datefor", "attendance", ["tenant_id", "datefor"], unique=False
    )
    op.create_index(
        "ix_attendance_tenant_id_state", "attendance", ["tenant_id", "state"], unique=False
    )
    op.create_index(
        "uq_attendance_tenant_id_reference",
        "attendance",
        ["tenant_id", "reference"],
        unique=True,
        postgresql_where=sa.text("reference IS NOT NULL"),
    )
    op.create_table(
        "job",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("asks_for", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("grace_minutes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("ticket_category_id", sa.BigInteger(), nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
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
        sa.Column("deleted_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint("grace_minutes >= 0", name=op.f("ck_job_grace_not_negative")),
        sa.ForeignKeyConstraint(["created_by"], ["person.id"], name=op.f("fk_job_created_by")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "ticket_category_id"],
            ["ticket_category.tenant_id", "ticket_category.id"],
            name=op.f("fk_job_tenant_id_ticket_category_id"),
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_job_tenant_id")),
        sa.ForeignKeyConstraint(["updated_by"], ["person.id"], name=op.f("fk_job_updated_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_job_tenant_id_id")),
    )
    op.create_index(
        "uq_job_tenant_id_name",
        "job",
        ["tenant_id", "name"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "team_member",
        sa.Column("team_id", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
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
        sa.Column("deleted_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["created_by"], ["person.id"], name=op.f("fk_team_member_created_by")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "person_id"],
            ["person.tenant_id", "person.id"],
            name=op.f("fk_team_member_tenant_id_person_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "team_id"],
            ["team.tenant_id", "team.id"],
            name=op.f("fk_team_member_tenant_id_team_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_team_member_tenant_id")
        ),
        sa.ForeignKeyConstraint(
            ["updated_by"], ["person.id"], name=op.f("fk_team_member_updated_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_team_member")),
    )
    op.create_index(
        "uq_team_member_team_id_person_id",
        "team_member",
        ["team_id", "person_id"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "field_task",
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("remarks", sa.Text(), nullable=True),
        sa.Column("job_id", sa.BigInteger(), nullable=True),
        sa.Column("parent_id", sa.BigInteger(), nullable=True),
        sa.Column("site_id", sa.BigInteger(), nullable=True),
        sa.Column("planned_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("due_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("assigned_to_user", sa.BigInteger(), nullable=True),
        sa.Column("assigned_to_team", sa.BigInteger(), nullable=True),
        sa.Column("uuid", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column(
            "state_since",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
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
        sa.Column("deleted_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint("parent_id <> id", name=op.f("ck_field_task_no_own_parent")),
        sa.ForeignKeyConstraint(
            ["created_by"], ["person.id"], name=op.f("fk_field_task_created_by")
        ),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["field_task.id"], name=op.f("fk_field_task_parent_id")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "assigned_to_team"],
            ["team.tenant_id", "team.id"],
            name=op.f("fk_field_task_tenant_id_assigned_to_team"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "assigned_to_user"],
            ["person.tenant_id", "person.id"],
            name=op.f("fk_field_task_tenant_id_assigned_to_user"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "job_id"],
            ["job.tenant_id", "job.id"],
            name=op.f("fk_field_task_tenant_id_job_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "site_id"],
            ["site.tenant_id", "site.id"],
            name=op.f("fk_field_task_tenant_id_site_id"),
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_field_task_tenant_id")),
        sa.ForeignKeyConstraint(
            ["updated_by"], ["person.id"], name=op.f("fk_field_task_updated_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_field_task")),
        sa.UniqueConstraint("uuid", name=op.f("uq_field_task_uuid")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index(
        "ix_field_task_parent_id",
        "field_task",
        ["parent_id"],
        unique=False,
        postgresql_where=sa.text("parent_id IS NOT NULL"),
    )
    op.create_index(
        "ix_field_task_tenant_id_state", "field_task", ["tenant_id", "state"], unique=False
    )
    op.create_index(
        "uq_field_task_tenant_id_reference",
        "field_task",
        ["tenant_id", "reference"],
        unique=True,
        postgresql_where=sa.text("reference IS NOT NULL"),
    )
    op.create_table(
        "field_task_reading",
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sort", sa.Text(), server_default="observation", nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=True),
        sa.Column("taken_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
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
        sa.Column("deleted_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint(
            "sort IN ('observation', 'meter')", name=op.f("ck_field_task_reading_sort_known")
        ),
        sa.ForeignKeyConstraint(
            ["created_by"], ["person.id"], name=op.f("fk_field_task_reading_created_by")
        ),
        sa.ForeignKeyConstraint(
            ["task_id"], ["field_task.id"], name=op.f("fk_field_task_reading_task_id")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_field_task_reading_tenant_id")
        ),
        sa.ForeignKeyConstraint(
            ["updated_by"], ["person.id"], name=op.f("fk_field_task_reading_updated_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_field_task_reading")),
    )
    op.create_index(
        "uq_field_task_reading_task_id_name",
        "field_task_reading",
        ["task_id", "name"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.add_column(
        "operation", sa.Column("changes", postgresql.JSONB(astext_type=sa.Text()), nullable=True)
    )
    op.add_column("operation", sa.Column("hook", sa.Text(), nullable=True))
    op.add_column("operation", sa.Column("parent_id", sa.Uuid(), nullable=True))
    op.add_column(
        "operation", sa.Column("run_at", postgresql.TIMESTAMP(timezone=True), nullable=True)
    )
    op.add_column(
        "operation",
        sa.Column(
            "stop_at_first_failure", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
    )
    op.add_column("operation", sa.Column("parallel", sa.Integer(), nullable=True))
    op.create_index(
        "uq_operation_hook",
        "operation",
        ["parent_id", "hook"],
        unique=True,
        postgresql_where=sa.text("hook IS NOT NULL"),
    )
    op.create_foreign_key(
        op.f("fk_operation_parent_id"), "operation", "operation", ["parent_id"], ["id"]
    )
    op.create_check_constraint(op.f("ck_operation_parallel_positive"), "operation", "parallel > 0")
    op.drop_constraint(op.f("ck_outbox_record_known"), "outbox", type_="check")
    op.create_check_constraint(
        op.f("ck_outbox_record_known"),
        "outbox",
        "record IN ('state_transition', 'bulk_operation', 'audit_log', 'permission_denial')",
    )
    op.add_column("outbox", sa.Column("changes", postgresql.ARRAY(sa.Text()), nullable=True))
    op.add_column(
        "person", sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False)
    )
    op.add_column(
        "person",
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
    )
    op.add_column("person", sa.Column("created_by", sa.BigInteger(), nullable=True))
    op.add_column(
        "person",
        sa.Column(
            "updated_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
    )
    op.add_column("person", sa.Column("updated_by", sa.BigInteger(), nullable=True))
    op.add_column(
        "person", sa.Column("deleted_at", postgresql.TIMESTAMP(timezone=True), nullable=True)
    )
    op.drop_constraint(op.f("uq_person_tenant_id_name"), "person", type_="unique")
    op.create_index(
        "uq_person_tenant_id_name",
        "person",
        ["tenant_id", "name"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_foreign_key(op.f("fk_person_created_by"), "person", "person", ["created_by"], ["id"])
    op.create_foreign_key(op.f("fk_person_updated_by"), "person", "person", ["updated_by"], ["id"])
    # A role gets a number of its own; who holds it is asked by that from now on.
    op.drop_constraint(
        op.f("fk_person_role_tenant_id_role_name"), "person_role", type_="foreignkey"
    )
    op.drop_constraint(op.f("pk_role"), "role", type_="primary")
    op.add_column(
        "role", sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False)
    )
    op.add_column(
        "role", sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False)
    )
    op.add_column(
        "role",
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
    )
    op.add_column("role", sa.Column("created_by", sa.BigInteger(), nullable=True))
    op.add_column(
        "role",
        sa.Column(
            "updated_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
    )
    op.add_column("role", sa.Column("updated_by", sa.BigInteger(), nullable=True))
    op.add_column(
        "role", sa.Column("deleted_at", postgresql.TIMESTAMP(timezone=True), nullable=True)
    )
    op.create_primary_key(op.f("pk_role"), "role", ["id"])
    op.create_unique_constraint(op.f("uq_role_tenant_id_id"), "role", ["tenant_id", "id"])
    op.create_index(
        "uq_role_tenant_id_name",
        "role",
        ["tenant_id", "name"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_foreign_key(op.f("fk_role_created_by"), "role", "person", ["created_by"], ["id"])
    op.create_foreign_key(op.f("fk_role_updated_by"), "role", "person", ["updated_by"], ["id"])
    op.drop_constraint(op.f("pk_person_role"), "person_role", type_="primary")
    op.add_column("person_role", sa.Column("role_id", sa.BigInteger(), nullable=True))
    op.execute("""
      UPDATE person_role p SET role_id = r.id FROM role r
       WHERE r.tenant_id = p.tenant_id AND r.name = p.role_name
    """)
    op.alter_column("person_role", "role_id", nullable=False)
    op.drop_column("person_role", "role_name")
    op.add_column(
        "person_role", sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False)
    )
    op.add_column(
        "person_role",
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
    )
    op.add_column(
        "person_role",
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
    )
    op.add_column("person_role", sa.Column("created_by", sa.BigInteger(), nullable=True))
    op.add_column(
        "person_role",
        sa.Column(
            "updated_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
    )
    op.add_column("person_role", sa.Column("updated_by", sa.BigInteger(), nullable=True))
    op.add_column(
        "person_role", sa.Column("deleted_at", postgresql.TIMESTAMP(timezone=True), nullable=True)
    )
    op.create_primary_key(op.f("pk_person_role"), "person_role", ["id"])
    op.create_index(
        "uq_person_role_person_id_role_id",
        "person_role",
        ["person_id", "role_id"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_foreign_key(
        op.f("fk_person_role_tenant_id"), "person_role", "tenant", ["tenant_id"], ["id"]
    )
    op.create_foreign_key(
        op.f("fk_person_role_tenant_id_role_id"),
        "person_role",
        "role",
        ["tenant_id", "role_id"],
        ["tenant_id", "id"],
    )
    op.create_foreign_key(
        op.f("fk_person_role_created_by"), "person_role", "person", ["created_by"], ["id"]
    )
    op.create_foreign_key(
        op.f("fk_person_role_updated_by"), "person_role", "person", ["updated_by"], ["id"]
    )
    op.add_column("ticket", sa.Column("category_id", sa.BigInteger(), nullable=True))
    op.add_column("ticket", sa.Column("site_id", sa.BigInteger(), nullable=True))
    op.add_column("ticket", sa.Column("assigned_to_user", sa.BigInteger(), nullable=True))
    op.add_column("ticket", sa.Column("assigned_to_team", sa.BigInteger(), nullable=True))
    op.add_column(
        "ticket", sa.Column("deleted_at", postgresql.TIMESTAMP(timezone=True), nullable=True)
    )
    op.create_foreign_key(
        op.f("fk_ticket_tenant_id_site_id"),
        "ticket",
        "site",
        ["tenant_id", "site_id"],
        ["tenant_id", "id"],
    )
    op.create_foreign_key(
        op.f("fk_ticket_tenant_id_assigned_to_team"),
        "ticket",
        "team",
        ["tenant_id", "assigned_to_team"],
        ["tenant_id", "id"],
    )
    op.create_foreign_key(
        op.f("fk_ticket_tenant_id_category_id"),
        "ticket",
        "ticket_category",
        ["tenant_id", "category_id"],
        ["tenant_id", "id"],
    )
    op.create_foreign_key(
        op.f("fk_ticket_tenant_id_assigned_to_user"),
        "ticket",
        "person",
        ["tenant_id", "assigned_to_user"],
        ["tenant_id", "id"],
    )
    op.add_column(
        "vendor", sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False)
    )
    op.add_column(
        "vendor",
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
    )
    op.add_column("vendor", sa.Column("created_by", sa.BigInteger(), nullable=True))
    op.add_column(
        "vendor",
        sa.Column(
            "updated_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
    )
    op.add_column("vendor", sa.Column("updated_by", sa.BigInteger(), nullable=True))
    op.add_column(
        "vendor", sa.Column("deleted_at", postgresql.TIMESTAMP(timezone=True), nullable=True)
    )
    op.drop_constraint(op.f("uq_vendor_tenant_id_name"), "vendor", type_="unique")
    op.create_index(
        "uq_vendor_tenant_id_name",
        "vendor",
        ["tenant_id", "name"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_foreign_key(op.f("fk_vendor_updated_by"), "vendor", "person", ["updated_by"], ["id"])
    op.create_foreign_key(op.f("fk_vendor_created_by"), "vendor", "person", ["created_by"], ["id"])
    op.add_column("work_order", sa.Column("site_id", sa.BigInteger(), nullable=True))
    op.add_column("work_order", sa.Column("assigned_to_user", sa.BigInteger(), nullable=True))
    op.add_column("work_order", sa.Column("assigned_to_team", sa.BigInteger(), nullable=True))
    op.add_column(
        "work_order", sa.Column("deleted_at", postgresql.TIMESTAMP(timezone=True), nullable=True)
    )
    op.create_foreign_key(
        op.f("fk_work_order_tenant_id_assigned_to_team"),
        "work_order",
        "team",
        ["tenant_id", "assigned_to_team"],
        ["tenant_id", "id"],
    )
    op.create_foreign_key(
        op.f("fk_work_order_tenant_id_assigned_to_user"),
        "work_order",
        "person",
        ["tenant_id", "assigned_to_user"],
        ["tenant_id", "id"],
    )
    op.create_foreign_key(
        op.f("fk_work_order_tenant_id_site_id"),
        "work_order",
        "site",
        ["tenant_id", "site_id"],
        ["tenant_id", "id"],
    )
    op.add_column("work_order_line", sa.Column("tenant_id", sa.BigInteger(), nullable=True))
    op.execute("""
      UPDATE work_order_line l SET tenant_id = w.tenant_id FROM work_order w
       WHERE w.id = l.work_order_id
    """)
    op.alter_column("work_order_line", "tenant_id", nullable=False)
    op.alter_column("work_order_line", "quantity", server_default="1")
    op.create_check_constraint(
        op.f("ck_work_order_line_quantity_positive"), "work_order_line", "quantity > 0"
    )
    op.add_column(
        "work_order_line",
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
    )
    op.add_column(
        "work_order_line",
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
    )
    op.add_column("work_order_line", sa.Column("created_by", sa.BigInteger(), nullable=True))
    op.add_column(
        "work_order_line",
        sa.Column(
            "updated_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
    )
    op.add_column("work_order_line", sa.Column("updated_by", sa.BigInteger(), nullable=True))
    op.add_column(
        "work_order_line",
        sa.Column("deleted_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
    )
    op.create_foreign_key(
        op.f("fk_work_order_line_created_by"), "work_order_line", "person", ["created_by"], ["id"]
    )
    op.create_foreign_key(
        op.f("fk_work_order_line_updated_by"), "work_order_line", "person", ["updated_by"], ["id"]
    )
    op.create_foreign_key(
        op.f("fk_work_order_line_tenant_id"), "work_order_line", "tenant", ["tenant_id"], ["id"]
    )
