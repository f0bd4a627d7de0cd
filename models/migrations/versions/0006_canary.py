"""The canary that was asked for, which a plan keeps until it is executed."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, and what must hold of it."""
    op.add_column("operation", sa.Column("canary", sa.Integer(), nullable=True))
    op.create_check_constraint(op.f("ck_operation_canary_positive"), "operation", "canary > 0")
