"""Bulk that can be steered: selections, what comes out of operations, canary, rate, own values."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# A chunk that runs while its operation is paused, or resumed, still changes its rows.
_CURRENT = """
CREATE OR REPLACE FUNCTION lockside_current_operation() RETURNS operation LANGUAGE plpgsql
STABLE AS $$
DECLARE
  named text := nullif(current_setting('lockside.operation_id', true), '');
  found operation;
BEGIN
  IF named IS NOT NULL THEN
    SELECT * INTO found FROM operation
     WHERE id = named::uuid
       AND (state IN ('RUNNING', 'CANCELLING')
         OR state IN ('PAUSED', 'QUEUED') AND started_at IS NOT NULL);
    IF found.id IS NULL THEN
      PERFORM lockside_refuse('operation ' || named || ' is not executing',
                              'Submit a new operation.');
    END IF;
  ELSIF nullif(current_setting('lockside.override', true), '') IS NULL THEN
    PERFORM lockside_refuse('a change of work needs an operation',
      'Use `lockside submit`, or SET LOCAL lockside.override = ''<why>'' to have it recorded.');
  END IF;
  RETURN found;
END $$
"""


def upgrade() -> None:
    """Add the columns, and what must hold of them."""
    for column in (
        sa.Column("purpose", sa.Text(), nullable=True),
        sa.Column("selection", sa.Text(), nullable=True),
        sa.Column("hold_from", sa.Integer(), nullable=True),
        sa.Column("rate", sa.Double(), nullable=True),
        sa.Column("paced_until", postgresql.TIMESTAMP(timezone=True), nullable=True),
    ):
        op.add_column("operation", column)
    op.create_check_constraint(op.f("ck_operation_rate_positive"), "operation", "rate > 0")
    op.create_check_constraint(
        op.f("ck_operation_hold_from_positive"), "operation", "hold_from > 0"
    )
    op.create_index(
        "uq_operation_purpose",
        "operation",
        ["parent_id", "purpose"],
        unique=True,
        postgresql_where=sa.text("purpose IS NOT NULL"),
    )
    op.add_column(
        "operation_chunk",
        sa.Column("inputs", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    )
    op.add_column("outbox", sa.Column("comments", postgresql.ARRAY(sa.Text()), nullable=True))
    op.create_index(
        "ix_operation_chunk_on_its_way",
        "operation_chunk",
        ["operation_id"],
        unique=False,
        postgresql_where=sa.text(
            "status = 'RUNNING' OR status = 'PENDING' AND published_at IS NOT NULL"
        ),
    )
    op.create_index(
        "ix_operation_chunk_not_hinted",
        "operation_chunk",
        ["operation_id", "chunk_no"],
        unique=False,
        postgresql_where=sa.text("status = 'PENDING' AND published_at IS NULL"),
    )
    op.execute(_CURRENT)
