"""Who paused or cancelled an operation stands beside its metadata, which is the caller's own."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_MOVE = """
UPDATE operation
   SET {name} = details ->> '{name}', details = details - '{name}'
 WHERE state IN ({states}) AND details ? '{name}'
"""


def upgrade() -> None:
    """Add the columns, and take over what the engine has put among the metadata."""
    op.add_column("operation", sa.Column("paused_by", sa.Text(), nullable=True))
    op.add_column("operation", sa.Column("cancelled_by", sa.Text(), nullable=True))
    op.add_column(
        "operation", sa.Column("held", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.execute(_MOVE.format(name="paused_by", states="'PAUSED'"))
    op.execute(_MOVE.format(name="cancelled_by", states="'CANCELLING', 'CANCELLED'"))
    op.execute("UPDATE operation SET held = true WHERE paused_by = 'its canary'")
