"""Archives: list the files that hold the records that left their tables.

A line of an archive is PostgreSQL's own JSON of a row, and PostgreSQL reads it back: nothing
depends on how a program reads numbers, times or texts.
"""

from datetime import date, datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    Text,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base
from models.seal import TABLES, select_sealed

READ_ARCHIVES = text("SELECT pg_advisory_xact_lock_shared(5126790214)")
"""Locks the files that rows of archives name, so that none is removed in this transaction."""

REMOVE_ARCHIVES = text("SELECT pg_try_advisory_xact_lock(5126790214)")
"""True if nobody reads archives; nobody can begin to before the transaction ends."""

_RECORDS_OF_LINES = """(
  SELECT r.*, row_to_json(r)::text = line::text AS is_same_line
    FROM json_array_elements(CAST(:lines AS json)) AS given(line),
         json_populate_record(NULL::{table}, line) AS r)"""


class AuditArchive(Base):
    """One file: the records of a tenant, a table and a month, or those that came late.

    Attributes:
        record: The table that its records are from.
        month: The first day of the month in which they occurred, by UTC.
        path: Where it is in the archive folder; NULL once the file is gone.
        unsealed: How many of its records are from before there were seals.
        restored_until: Its records are in their table too, until then at least; the file stays.
        held_because: Why it isn't dropped, however old it is.
        replaced_at: When another archive replaced it, with these records and more.
        dropped_at: When its records became too old to be kept.
    """

    __tablename__ = "audit_archive"
    __table_args__ = (
        CheckConstraint(f"record IN {TABLES}", name="record_known"),
        CheckConstraint("extract(day FROM month) = 1", name="month_is_its_first_day"),
        CheckConstraint("octet_length(sha256) = 32", name="sha256_whole"),
        CheckConstraint("records > 0 AND unsealed BETWEEN 0 AND records", name="records_counted"),
        CheckConstraint(
            "(first_seal IS NULL) = (unsealed = records) AND first_seal <= last_seal",
            name="seals_in_order",
        ),
        CheckConstraint(
            "path IS NOT NULL OR dropped_at IS NOT NULL OR replaced_at IS NOT NULL",
            name="file_of_what_is_kept",
        ),
        CheckConstraint("dropped_at IS NULL OR held_because IS NULL", name="held_is_not_dropped"),
        # No two archives have the same file.
        Index("uq_audit_archive_path", "path", unique=True),
        # A tenant's archives of a span, and the archives of a month before it is archived again.
        Index("ix_audit_archive_tenant_id_month_record", "tenant_id", "month", "record"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    tenant_id: Mapped[int] = mapped_column(ForeignKey("tenant.id"))
    version: Mapped[int] = mapped_column(server_default=text("1"))
    record: Mapped[str]
    month: Mapped[date]
    path: Mapped[str | None] = mapped_column(Text)
    sha256: Mapped[bytes] = mapped_column(LargeBinary)
    bytes: Mapped[int] = mapped_column(BigInteger)
    records: Mapped[int] = mapped_column(BigInteger)
    unsealed: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    first_seal: Mapped[int | None] = mapped_column(BigInteger)
    last_seal: Mapped[int | None] = mapped_column(BigInteger)
    archived_at: Mapped[datetime]
    restored_until: Mapped[datetime | None]
    held_because: Mapped[str | None]
    replaced_at: Mapped[datetime | None]
    dropped_at: Mapped[datetime | None]


def select_sealed_lines(table: str, *more: str) -> str:
    """Return SQL like that of `models.seal.select_sealed`, for lines given as one array.

    *more* may have `is_same_line`: whether a line's record would give the same line again.
    """
    return select_sealed(table, _RECORDS_OF_LINES.format(table=table), *more)
