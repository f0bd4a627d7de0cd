"""Archives: which files hold the records that left their tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_TIME = postgresql.TIMESTAMP(timezone=True)
_TABLES = "'state_transition_audit', 'audit_log', 'bulk_operation_audit', 'permission_denial_audit'"
_CHECKS = {
    "record_known": f"record IN ({_TABLES})",
    "month_is_its_first_day": "extract(day FROM month) = 1",
    "sha256_whole": "octet_length(sha256) = 32",
    "records_counted": "records > 0 AND unsealed BETWEEN 0 AND records",
    "seals_in_order": "(first_seal IS NULL) = (unsealed = records) AND first_seal <= last_seal",
    "file_of_what_is_kept": "path IS NOT NULL OR dropped_at IS NOT NULL OR replaced_at IS NOT NULL",
    "held_is_not_dropped": "dropped_at IS NULL OR held_because IS NULL",
}


def upgrade() -> None:
    """Add the list of archives."""
    op.create_table(
        "audit_archive",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("path", sa.Text(), nullable=True),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.Column("unsealed", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("first_seal", sa.BigInteger(), nullable=True),
        sa.Column("last_seal", sa.BigInteger(), nullable=True),
        sa.Column("archived_at", _TIME, nullable=False),
        sa.Column("restored_until", _TIME, nullable=True),
        sa.Column("held_because", sa.Text(), nullable=True),
        sa.Column("replaced_at", _TIME, nullable=True),
        sa.Column("dropped_at", _TIME, nullable=True),
        *(
            sa.CheckConstraint(rule, name=op.f(f"ck_audit_archive_{name}"))
            for name, rule in _CHECKS.items()
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_audit_archive_tenant_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_archive")),
    )
    op.create_index("uq_audit_archive_path", "audit_archive", ["path"], unique=True)
    op.create_index(
        "ix_audit_archive_tenant_id_month_record",
        "audit_archive",
        ["tenant_id", "month", "record"],
        unique=False,
    )
