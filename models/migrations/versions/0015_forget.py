"""What has served its time is found without a look at everything: keys, and operations."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the indexes: the foreign key of what came out of an operation had none of its own."""
    op.create_index(
        "ix_operation_key_ended",
        "operation",
        ["finished_at"],
        unique=False,
        postgresql_where=sa.text("idempotency_key IS NOT NULL"),
    )
    op.create_index(
        "ix_operation_parent_id",
        "operation",
        ["parent_id"],
        unique=False,
        postgresql_where=sa.text("parent_id IS NOT NULL"),
    )
