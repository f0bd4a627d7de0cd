"""Tags: the words that people put on work."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column to every kind; its default is a constant, so no row is written."""
    for table in ("attendance", "field_task", "ticket", "work_order"):
        op.add_column(
            table,
            sa.Column("tags", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        )
