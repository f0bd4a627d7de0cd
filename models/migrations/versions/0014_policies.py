"""Policies, their runs and alerts; tickets that tasks raise; indexes for what is due."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


_DONE = "ck_audit_log_done_to_a_version"


def upgrade() -> None:
    """Add the tables of the clock, and let due rows be found by their time."""
    op.create_table(
        "policy",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("selection", sa.Text(), nullable=False),
        sa.Column("exempt", sa.Text(), nullable=True),
        sa.Column("clock", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("grace", sa.Text(), nullable=True),
        sa.Column("time", sa.Text(), server_default="elapsed", nullable=False),
        sa.Column("verb", sa.Text(), server_default="transition", nullable=False),
        sa.Column("target_state", sa.Text(), nullable=True),
        sa.Column("assigned_to_team", sa.BigInteger(), nullable=True),
        sa.Column("priority", sa.Text(), nullable=True),
        sa.Column("comments", sa.Text(), nullable=True),
        sa.Column("mode", sa.Text(), server_default="shadow", nullable=False),
        sa.Column("every_minutes", sa.Integer(), server_default=sa.text("60"), nullable=False),
        sa.Column("cap", sa.Integer(), server_default=sa.text("100000"), nullable=False),
        sa.Column("breaker_factor", sa.Integer(), server_default=sa.text("10"), nullable=False),
        sa.Column("breaker_least", sa.Integer(), server_default=sa.text("100"), nullable=False),
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
        sa.CheckConstraint("mode IN ('off', 'shadow', 'on')", name=op.f("ck_policy_mode_known")),
        sa.CheckConstraint("time IN ('elapsed', 'business')", name=op.f("ck_policy_time_known")),
        sa.CheckConstraint(
            "verb IN ('transition', 'alert', 'assign', 'update')", name=op.f("ck_policy_verb_known")
        ),
        sa.CheckConstraint("cap > 0", name=op.f("ck_policy_cap_positive")),
        sa.CheckConstraint("every_minutes > 0", name=op.f("ck_policy_every_positive")),
        sa.ForeignKeyConstraint(["created_by"], ["person.id"], name=op.f("fk_policy_created_by")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "assigned_to_team"],
            ["team.tenant_id", "team.id"],
            name=op.f("fk_policy_tenant_id_assigned_to_team"),
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_policy_tenant_id")),
        sa.ForeignKeyConstraint(["updated_by"], ["person.id"], name=op.f("fk_policy_updated_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_policy_tenant_id_id")),
    )
    op.create_index(
        "uq_policy_tenant_id_name",
        "policy",
        ["tenant_id", "name"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "alert",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("policy_id", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.BigInteger(), nullable=True),
        sa.Column("since", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("operation_id", sa.Uuid(), nullable=True),
        sa.Column(
            "raised_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("acknowledged_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "code IN ('closing_soon', 'overdue', 'stopped', 'failed')",
            name=op.f("ck_alert_code_known"),
        ),
        sa.ForeignKeyConstraint(
            ["acknowledged_by"], ["person.id"], name=op.f("fk_alert_acknowledged_by")
        ),
        sa.ForeignKeyConstraint(
            ["operation_id"],
            ["operation.id"],
            name=op.f("fk_alert_operation_id"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "policy_id"],
            ["policy.tenant_id", "policy.id"],
            name=op.f("fk_alert_tenant_id_policy_id"),
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_alert_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert")),
    )
    op.create_index(
        "ix_alert_open",
        "alert",
        ["tenant_id", "id"],
        unique=False,
        postgresql_where=sa.text("acknowledged_at IS NULL"),
    )
    op.create_index("ix_alert_operation_id", "alert", ["operation_id"], unique=False)
    op.create_index(
        "uq_alert_policy_id_entity_id",
        "alert",
        ["policy_id", "entity_id", "since", "code"],
        unique=True,
        postgresql_where=sa.text("entity_id IS NOT NULL"),
    )
    op.create_table(
        "scheduled_run",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("policy_id", sa.BigInteger(), nullable=False),
        sa.Column("policy", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("stage", sa.Text(), server_default="act", nullable=False),
        sa.Column("period", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("as_of", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("matched", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("taken", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("usual", sa.Integer(), nullable=True),
        sa.Column("missed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("operation_id", sa.Uuid(), nullable=True),
        sa.Column("requested_by", sa.BigInteger(), nullable=True),
        sa.Column("held_because", sa.Text(), nullable=True),
        sa.Column("released_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("released_by", sa.BigInteger(), nullable=True),
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "held_because IN ('stopped', 'undone')", name=op.f("ck_scheduled_run_held_for_a_reason")
        ),
        sa.CheckConstraint(
            "outcome IN ('ran', 'nothing', 'shadow', 'stopped', 'failed')",
            name=op.f("ck_scheduled_run_outcome_known"),
        ),
        sa.CheckConstraint("stage IN ('warn', 'act')", name=op.f("ck_scheduled_run_stage_known")),
        sa.CheckConstraint(
            "taken BETWEEN 0 AND matched", name=op.f("ck_scheduled_run_taken_of_what_matched")
        ),
        sa.ForeignKeyConstraint(
            ["operation_id"],
            ["operation.id"],
            name=op.f("fk_scheduled_run_operation_id"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["released_by"], ["person.id"], name=op.f("fk_scheduled_run_released_by")
        ),
        sa.ForeignKeyConstraint(
            ["requested_by"], ["person.id"], name=op.f("fk_scheduled_run_requested_by")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "policy_id"],
            ["policy.tenant_id", "policy.id"],
            name=op.f("fk_scheduled_run_tenant_id_policy_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_scheduled_run_tenant_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scheduled_run")),
        sa.UniqueConstraint("operation_id", name=op.f("uq_scheduled_run_operation_id")),
        sa.UniqueConstraint(
            "policy_id", "stage", "period", name=op.f("uq_scheduled_run_policy_id_stage_period")
        ),
    )
    op.create_index(
        "ix_scheduled_run_held",
        "scheduled_run",
        ["policy_id"],
        unique=False,
        postgresql_where=sa.text("held_because IS NOT NULL AND released_at IS NULL"),
    )
    op.create_index(
        "ix_scheduled_run_tenant_id_id", "scheduled_run", ["tenant_id", "id"], unique=False
    )
    op.drop_index(op.f("ix_attendance_tenant_id_state"), table_name="attendance")
    op.create_index(
        "ix_attendance_tenant_id_state",
        "attendance",
        ["tenant_id", "state", "state_since"],
        unique=False,
    )
    op.drop_index(op.f("ix_field_task_tenant_id_state"), table_name="field_task")
    op.create_index(
        "ix_field_task_tenant_id_state",
        "field_task",
        ["tenant_id", "state", "state_since"],
        unique=False,
    )
    op.create_index(
        "ix_field_task_due",
        "field_task",
        ["tenant_id", "state", "due_at"],
        unique=False,
        postgresql_where=sa.text("due_at IS NOT NULL AND deleted_at IS NULL"),
    )
    op.add_column("ticket", sa.Column("task_id", sa.BigInteger(), nullable=True))
    op.drop_index(op.f("ix_ticket_tenant_id_state"), table_name="ticket")
    op.create_index(
        "ix_ticket_tenant_id_state", "ticket", ["tenant_id", "state", "state_since"], unique=False
    )
    op.create_index(
        "uq_ticket_task_id",
        "ticket",
        ["task_id"],
        unique=True,
        postgresql_where=sa.text("task_id IS NOT NULL"),
    )
    op.create_foreign_key(op.f("fk_ticket_task_id"), "ticket", "field_task", ["task_id"], ["id"])
    op.drop_index(op.f("ix_work_order_tenant_id_state"), table_name="work_order")
    op.create_index(
        "ix_work_order_tenant_id_state",
        "work_order",
        ["tenant_id", "state", "state_since"],
        unique=False,
    )
    op.create_index("ix_alert_raised_at", "alert", ["raised_at"], unique=False)
    op.create_index("ix_scheduled_run_created_at", "scheduled_run", ["created_at"], unique=False)
    op.create_index(
        "ix_scheduled_run_done",
        "scheduled_run",
        ["tenant_id", "policy_id", "id"],
        unique=False,
        postgresql_where=sa.text("outcome <> 'nothing'"),
    )
    op.create_index(
        "ix_scheduled_run_stopped",
        "scheduled_run",
        ["policy_id", "stage"],
        unique=False,
        postgresql_where=sa.text("outcome = 'stopped'"),
    )
    op.drop_constraint(op.f(_DONE), "audit_log", type_="check")
    op.create_check_constraint(
        op.f(_DONE),
        "audit_log",
        "num_nulls(entity_id, version) = 0 OR NOT success"
        " OR kind IN ('operation', 'scheduled_run', 'alert')",
    )
