"""Records of what was refused, where requests came from, and what of a denial is suspicious."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; what was refused needs no row, nor what happens to an operation."""
    op.add_column("operation", sa.Column("origin", postgresql.JSONB(), nullable=True))
    op.alter_column("audit_log", "entity_id", nullable=True)
    op.alter_column("audit_log", "version", nullable=True)
    op.create_check_constraint(
        op.f("ck_audit_log_done_to_a_version"),
        "audit_log",
        "num_nulls(entity_id, version) = 0 OR NOT success OR kind = 'operation'",
    )
    for column in (
        sa.Column("session_id", sa.Text(), nullable=True),
        sa.Column("ip_address", sa.Text(), nullable=True),
        sa.Column("security_flags", postgresql.ARRAY(sa.Text()), nullable=True),
    ):
        op.add_column("permission_denial_audit", column)
    op.create_index(
        "ix_outbox_denial",
        "outbox",
        ["tenant_id"],
        unique=False,
        postgresql_where=sa.text("record = 'permission_denial'"),
    )
