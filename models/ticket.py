"""Tickets: what somebody reported and wants mended."""

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from domain.ticket import PRIORITIES, TICKET
from models.base import Work, work_table


class Ticket(Work):
    """A report of something that doesn't work."""

    __tablename__ = "ticket"
    __table_args__ = work_table(
        "ticket",
        CheckConstraint(f"priority IN {PRIORITIES}", name="priority_known"),
    )
    machine = TICKET

    title: Mapped[str]
    description: Mapped[str | None]
    priority: Mapped[str] = mapped_column(server_default="MEDIUM")
