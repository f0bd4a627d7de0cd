"""What spoke against a row of work when it came in, and did not keep it out."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Identity, Index
from sqlalchemy.orm import Mapped, mapped_column

from models.base import NOW, Base


class WorkWarning(Base):
    """A rule that a row broke at its intake."""

    __tablename__ = "work_warning"
    __table_args__ = (
        # One row's warnings.
        Index("ix_work_warning_entity", "tenant_id", "kind", "entity_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    tenant_id: Mapped[int] = mapped_column(ForeignKey("tenant.id"))
    kind: Mapped[str]
    entity_id: Mapped[int] = mapped_column(BigInteger)
    code: Mapped[str]
    message: Mapped[str]
    noted_at: Mapped[datetime] = mapped_column(server_default=NOW)
