"""Columns are called by the field's words: a canary ends before a chunk, rows are contended.

Stop all workers first: nothing is released yet, so the columns are renamed in one step.

Revision ID: 0016
Revises: 0015
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint(op.f("ck_operation_hold_from_positive"), "operation", type_="check")
    op.alter_column("operation", "hold_from", new_column_name="canary_ends_before_chunk")
    op.create_check_constraint(
        op.f("ck_operation_canary_ends_before_chunk_positive"),
        "operation",
        "canary_ends_before_chunk > 0",
    )
    op.alter_column("operation_chunk", "busy_since", new_column_name="contended_since")
