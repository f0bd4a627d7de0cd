"""Work orders and their lines."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, ForeignKeyConstraint, Identity, func, select
from sqlalchemy.orm import Mapped, column_property, mapped_column

from domain.work_order import WORK_ORDER
from models.base import Base, Work, work_table


class WorkOrderLine(Base):
    """One piece of work or material of a work order."""

    __tablename__ = "work_order_line"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    work_order_id: Mapped[int] = mapped_column(ForeignKey("work_order.id"), index=True)
    description: Mapped[str]
    quantity: Mapped[int] = mapped_column(default=1)


class WorkOrder(Work):
    """A piece of work that is ordered, approved, done and closed."""

    __tablename__ = "work_order"
    __table_args__ = work_table(
        "work_order",
        ForeignKeyConstraint(["tenant_id", "vendor_id"], ["vendor.tenant_id", "vendor.id"]),
    )
    machine = WORK_ORDER

    title: Mapped[str]
    remarks: Mapped[str | None]
    vendor_id: Mapped[int | None] = mapped_column(BigInteger)
    due_at: Mapped[datetime | None]


WorkOrder.line_count = column_property(
    select(func.count())
    .where(WorkOrderLine.work_order_id == WorkOrder.id)
    .correlate_except(WorkOrderLine)
    .scalar_subquery(),
    deferred=True,
)
