"""Seals: each record's digest stands in a chain, its words behind a commitment."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_RECORDS = (
    "state_transition_audit",
    "bulk_operation_audit",
    "audit_log",
    "permission_denial_audit",
)

# What was recorded before is counted, so that nobody adds to it.
_COUNT_EARLIER = """
INSERT INTO audit_chain (tenant_id, unsealed)
SELECT tenant_id, count(*) FROM (
  SELECT tenant_id FROM state_transition_audit UNION ALL SELECT tenant_id FROM audit_log
  UNION ALL SELECT tenant_id FROM bulk_operation_audit
  UNION ALL SELECT tenant_id FROM permission_denial_audit
) AS earlier GROUP BY tenant_id
"""


def upgrade() -> None:
    """Add the seals, and each record's place in them."""
    op.create_table(
        "audit_seal",
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("seal_no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("sealed_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("leaves", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint(
            "octet_length(leaves) = 32 * records", name=op.f("ck_audit_seal_a_digest_for_each")
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_audit_seal_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "seal_no", name=op.f("pk_audit_seal")),
    )
    # Digests don't compress.
    op.execute("ALTER TABLE audit_seal ALTER COLUMN leaves SET STORAGE EXTERNAL")
    op.create_table(
        "audit_chain",
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("seal_no", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "digest",
            sa.LargeBinary(),
            server_default=sa.text(r"'\x" + "00" * 32 + "'"),
            nullable=False,
        ),
        sa.Column("records", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("unsealed", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_audit_chain_tenant_id")
        ),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_audit_chain")),
    )
    for table in _RECORDS:
        for column in (
            sa.Column("seal_no", sa.BigInteger(), nullable=True),
            sa.Column("seal_place", sa.Integer(), nullable=True),
            sa.Column("salt", sa.LargeBinary(), nullable=True),
            sa.Column("commitment", sa.LargeBinary(), nullable=True),
            sa.Column("erased_by", sa.UUID(), nullable=True),
        ):
            op.add_column(table, column)
        op.create_index(f"ix_{table}_seal", table, ["tenant_id", "seal_no"], unique=False)
    op.create_index("ix_outbox_tenant_id_id", "outbox", ["tenant_id", "id"], unique=False)
    op.execute(_COUNT_EARLIER)
