"""Work warnings: store the rules that work broke when it came in and was accepted."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Identity, Index
from sqlalchemy.orm import Mapped, mapped_column

from models.base import NOW, Base


class WorkWarning(Base):
    """A rule that a row broke when it came in."""

    __tablename__ = "work_warning"
    __table_args__ = (
        # The warnings of a row.
        Index("ix_work_warning_entity", "tenant_id", "kind", "entity_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    tenant_id: Mapped[int] = mapped_column(ForeignKey("tenant.id"))
    kind: Mapped[str]
    entity_id: Mapped[int] = mapped_column(BigInteger)
    code: Mapped[str]
    message: Mapped[str]
    noted_at: Mapped[datetime] = mapped_column(server_default=NOW)
