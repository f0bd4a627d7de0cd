"""What the records come to by the hour, so that nobody has to count millions of them."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Double, ForeignKey, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base

NOBODY = 0
"""In the place of an actor's id: the system itself. No person has this id."""


class AuditRollup(Base):
    """One hour of one actor with one kind.

    Attributes:
        hour: When it began.
        actor_id: Who; 0 for the system itself.
        succeeded: Transitions that were done.
        failed: Transitions that were refused.
        changed: Other changes that were done: created, updated, deleted.
        refused: Other changes that were refused.
        denials: How often somebody was told that they may not.
        retried: Transitions that needed more than one attempt.
        execution_ms: How long all transitions took together.
        lock_ms: How long they waited for their locks.
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
    """Up to which seal a tenant's records are counted; whoever counts locks it.

    It begins at -1: what was recorded before there were seals isn't counted yet either. To have
    a tenant's hours counted anew, delete them and this.
    """

    __tablename__ = "audit_rollup_mark"

    tenant_id: Mapped[int] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    seal_no: Mapped[int] = mapped_column(BigInteger, server_default=text("-1"))
