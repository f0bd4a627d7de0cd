"""Rollups: store hourly counts of the records, so that nobody has to count millions of them."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Double, ForeignKey, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base

NOBODY = 0
"""Stands for the system where an actor's id is expected. No person has this id."""


class AuditRollup(Base):
    """One hour of one actor with one resource type.

    Attributes:
        hour: When it began.
        actor_id: Who; 0 for the system itself.
        succeeded: Transitions that were done.
        failed: Transitions that were refused.
        changed: Other changes that were done: created, updated, deleted.
        refused: Other changes that were refused.
        denials: How often the actor was denied a permission.
        retried: Transitions that needed more than one attempt.
        execution_ms: The time that all transitions took together.
        lock_ms: The time that they waited for their locks.
    """

    __tablename__ = "audit_rollup"
    __table_args__ = (CheckConstraint("hour = date_trunc('hour', hour, 'UTC')", name="whole_hour"),)

    tenant_id: Mapped[int] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    actor_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    succeeded: Mapped[int] = mapped_column(BigInteger)
    failed: Mapped[int] = mapped_column(BigInteger)
    changed: Mapped[int] = mapped_column(BigInteger)
    refused: Mapped[int] = mapped_column(BigInteger)
    denials: Mapped[int] = mapped_column(BigInteger)
    retried: Mapped[int] = mapped_column(BigInteger)
    execution_ms: Mapped[float] = mapped_column(Double)
    lock_ms: Mapped[float] = mapped_column(Double)


class AuditRollupMark(Base):
    """The seal up to which a tenant's records are counted; whoever counts locks it.

    It begins at -1: records from before there were seals are to be counted too. To count a tenant's
    hours again, delete them and this row.
    """

    __tablename__ = "audit_rollup_mark"

    tenant_id: Mapped[int] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    seal_no: Mapped[int] = mapped_column(BigInteger, server_default=text("-1"))
