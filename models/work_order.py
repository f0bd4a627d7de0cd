"""Work orders: store work that is ordered, approved, done and closed, and its lines."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, ForeignKeyConstraint, func, select
from sqlalchemy.orm import Mapped, mapped_column

from domain.check import between
from domain.machines.work_order import WORK_ORDER
from models.base import Assignable, Record, Work, work_table
from models.people import assignee_keys
from models.related import Related


class WorkOrder(Assignable, Work):
    """A piece of work that is ordered, approved, done and closed."""

    __tablename__ = "work_order"
    __table_args__ = work_table(
        "work_order",
        ForeignKeyConstraint(["tenant_id", "vendor_id"], ["vendor.tenant_id", "vendor.id"]),
        ForeignKeyConstraint(["tenant_id", "site_id"], ["site.tenant_id", "site.id"]),
        *assignee_keys(),
    )
    machine = WORK_ORDER

    title: Mapped[str]
    remarks: Mapped[str | None]
    vendor_id: Mapped[int | None] = mapped_column(BigInteger)
    site_id: Mapped[int | None] = mapped_column(BigInteger)
    due_at: Mapped[datetime | None]


class WorkOrderLine(Record):
    """One piece of work or material of a work order."""

    __tablename__ = "work_order_line"
    __table_args__ = (CheckConstraint("quantity > 0", name="quantity_positive"),)
    resource_type = "work_order_line"
    parent = "work_order_id"
    checks = (between("quantity", 1, 1_000_000, "pieces"),)

    work_order_id: Mapped[int] = mapped_column(ForeignKey("work_order.id"), index=True)
    description: Mapped[str]
    quantity: Mapped[int] = mapped_column(server_default="1")


WorkOrder.related = {
    "line_count": Related(
        select(func.count())
        .where(WorkOrderLine.work_order_id == WorkOrder.id, WorkOrderLine.deleted_at.is_(None))
        .correlate(WorkOrder)
        .scalar_subquery()
    )
}
