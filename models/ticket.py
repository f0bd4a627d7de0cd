"""Tickets: store what somebody reported and wants repaired."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
    select,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from domain.machines.ticket import PRIORITIES, TICKET
from models.base import Assignable, Record, Work, unique_name_index, work_table
from models.people import assignee_keys


class TicketCategory(Record):
    """The subject of a ticket, e.g. Elevator."""

    __tablename__ = "ticket_category"
    __table_args__ = (unique_name_index("ticket_category"), UniqueConstraint("tenant_id", "id"))
    resource_type = "ticket_category"

    name: Mapped[str]


class Ticket(Assignable, Work):
    """A report of something that doesn't work; with `task_id` it was raised for an overdue task."""

    __tablename__ = "ticket"
    __table_args__ = work_table(
        "ticket",
        CheckConstraint(f"priority IN {PRIORITIES}", name="priority_known"),
        *assignee_keys(),
        ForeignKeyConstraint(
            ["tenant_id", "category_id"], ["ticket_category.tenant_id", "ticket_category.id"]
        ),
        ForeignKeyConstraint(["tenant_id", "site_id"], ["site.tenant_id", "site.id"]),
        ForeignKeyConstraint(["task_id"], ["field_task.id"]),
        # A task raises only one ticket, however often it is closed.
        Index(
            "uq_ticket_task_id",
            "task_id",
            unique=True,
            postgresql_where=text("task_id IS NOT NULL"),
        ),
    )
    machine = TICKET
    set_by_platform = Work.set_by_platform | {"task_id"}
    choices = {"priority": PRIORITIES}  # noqa: RUF012 -- declared as a ClassVar by Record

    title: Mapped[str]
    description: Mapped[str | None]
    priority: Mapped[str] = mapped_column(server_default="MEDIUM")
    category_id: Mapped[int | None] = mapped_column(BigInteger)
    site_id: Mapped[int | None] = mapped_column(BigInteger)
    task_id: Mapped[int | None] = mapped_column(BigInteger)


Ticket.words = {
    "ticket_category": select(TicketCategory.name)
    .where(TicketCategory.id == Ticket.category_id)
    .correlate(Ticket)
    .scalar_subquery()
}
