"""Calendars: when a tenant's people are at work, and which of them a site keeps."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_MOMENT = postgresql.TIMESTAMP(timezone=True)
_NOW = sa.text("clock_timestamp()")
_DAYS = postgresql.ARRAY(sa.Text())


def upgrade() -> None:
    """Add the table, and the column by which a site names its calendar."""
    op.create_table(
        "calendar",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("hours", sa.Text(), server_default="Mon-Fri 09:00-17:00", nullable=False),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("subdivision", sa.Text(), nullable=True),
        sa.Column("days_off", _DAYS, server_default="{}", nullable=False),
        sa.Column("work_days", _DAYS, server_default="{}", nullable=False),
        sa.Column("is_default", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", _MOMENT, server_default=_NOW, nullable=False),
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        sa.Column("updated_at", _MOMENT, server_default=_NOW, nullable=False),
        sa.Column("updated_by", sa.BigInteger(), nullable=True),
        sa.Column("deleted_at", _MOMENT, nullable=True),
        sa.CheckConstraint(
            "country IS NOT NULL OR subdivision IS NULL", name=op.f("ck_calendar_part_of_country")
        ),
        sa.CheckConstraint("NOT days_off && work_days", name=op.f("ck_calendar_days_apart")),
        sa.ForeignKeyConstraint(["created_by"], ["person.id"], name=op.f("fk_calendar_created_by")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_calendar_tenant_id")),
        sa.ForeignKeyConstraint(["updated_by"], ["person.id"], name=op.f("fk_calendar_updated_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calendar")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_calendar_tenant_id_id")),
    )
    for name, columns, living in (
        ("uq_calendar_tenant_id_name", ["tenant_id", "name"], "deleted_at IS NULL"),
        ("uq_calendar_tenant_id_default", ["tenant_id"], "is_default AND deleted_at IS NULL"),
    ):
        op.create_index(name, "calendar", columns, unique=True, postgresql_where=sa.text(living))
    op.add_column("site", sa.Column("calendar_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_site_tenant_id_calendar_id"),
        "site",
        "calendar",
        ["tenant_id", "calendar_id"],
        ["tenant_id", "id"],
    )
