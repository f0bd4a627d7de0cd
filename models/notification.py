"""Notifications: store who subscribes to what, and what people are told of operations."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.check import Check
from models.base import KINDS, LIVE, NOW, Base, Record, kinds


def _has_state(values: Mapping[str, Any]) -> bool:
    kind = kinds().get(values.get("kind", ""))
    return kind is None or values.get("target_state") in (None, *kind.machine.states)


class Subscription(Record):
    """A person's wish to be told what operations did to work of a resource type.

    With `target_state`, only transitions to that state are told.
    """

    __tablename__ = "subscription"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "person_id"], ["person.tenant_id", "person.id"]),
        # The subscribers of a resource type.
        Index(
            "uq_subscription_tenant_id_kind",
            "tenant_id",
            "kind",
            "person_id",
            "target_state",
            unique=True,
            postgresql_where=LIVE,
            postgresql_nulls_not_distinct=True,
        ),
    )
    resource_type = "subscription"
    choices = {"kind": KINDS}  # noqa: RUF012 -- declared as a ClassVar by Record
    checks = (Check("target_state", "a state of that kind of work such as APPROVED", _has_state),)

    person_id: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str]
    target_state: Mapped[str | None]


class Notification(Base):
    """What one operation did, for one person; stored once, however often the hook runs."""

    __tablename__ = "notification"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "person_id"], ["person.tenant_id", "person.id"]),
        # A person's unread notifications.
        Index(
            "ix_notification_unread",
            "tenant_id",
            "person_id",
            "created_at",
            postgresql_where=text("read_at IS NULL"),
        ),
    )

    operation_id: Mapped[UUID] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    tenant_id: Mapped[int] = mapped_column(BigInteger)
    body: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    read_at: Mapped[datetime | None]
