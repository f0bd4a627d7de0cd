"""Policy runs: store each run of a policy, and the alerts that it raises."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint
from sqlalchemy import ForeignKeyConstraint as Refers
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from domain.policies.policy import ACT, STAGES
from models.base import NOW, Base

OUTCOMES = ("ran", "nothing", "shadow", "stopped", "failed")
ALERT_CODES = ("closing_soon", "overdue", "stopped", "failed")


def _of_operation() -> Any:
    # Operations are deleted one day; runs and alerts are kept longer.
    return mapped_column(ForeignKey("operation.id", ondelete="SET NULL"))


HELD = "held_because IS NOT NULL AND released_at IS NULL"
"""SQL condition: a run holds its policy back until somebody releases it."""


class ScheduledRun(Base):
    """The run of a policy in one period: there is one row of it, whoever comes first.

    `policy` is the policy as it was. `matched` rows were due, `taken` of them went into the
    operation; the others are left for the next run. `usual` is how many were allowed to match.
    A run that was stopped, or undone, holds its policy (`held_because`) until somebody releases it.
    """

    __tablename__ = "scheduled_run"
    __table_args__ = (
        Refers(["tenant_id", "policy_id"], ["policy.tenant_id", "policy.id"]),
        UniqueConstraint("policy_id", "stage", "period"),
        UniqueConstraint("operation_id"),
        CheckConstraint(f"stage IN {STAGES}", name="stage_known"),
        CheckConstraint(f"outcome IN {OUTCOMES}", name="outcome_known"),
        CheckConstraint("held_because IN ('stopped', 'undone')", name="held_for_a_reason"),
        CheckConstraint("taken BETWEEN 0 AND matched", name="taken_of_what_matched"),
        # The history of a tenant, newest first.
        Index("ix_scheduled_run_tenant_id_id", "tenant_id", "id"),
        # What was run, and what was resumed; most runs found nothing and aren't here.
        Index(
            "ix_scheduled_run_done",
            "tenant_id",
            "policy_id",
            "id",
            postgresql_where=sql("outcome <> 'nothing'"),
        ),
        Index(
            "ix_scheduled_run_stopped",
            "policy_id",
            "stage",
            postgresql_where=sql("outcome = 'stopped'"),
        ),
        # Runs that are too old.
        Index("ix_scheduled_run_created_at", "created_at"),
        # Runs that hold their policy back.
        Index("ix_scheduled_run_held", "policy_id", postgresql_where=sql(HELD)),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    tenant_id: Mapped[int] = mapped_column(ForeignKey("tenant.id"))
    policy_id: Mapped[int] = mapped_column(BigInteger)
    policy: Mapped[dict[str, Any]]
    stage: Mapped[str] = mapped_column(server_default=ACT)
    period: Mapped[datetime]
    as_of: Mapped[datetime]
    outcome: Mapped[str]
    matched: Mapped[int] = mapped_column(server_default=sql("0"))
    taken: Mapped[int] = mapped_column(server_default=sql("0"))
    usual: Mapped[int | None]
    missed: Mapped[int] = mapped_column(server_default=sql("0"))
    message: Mapped[str | None]
    operation_id: Mapped[UUID | None] = _of_operation()
    requested_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    held_because: Mapped[str | None]
    released_at: Mapped[datetime | None]
    released_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Alert(Base):
    """A call to look at a row whose time is over, or at a policy that was stopped.

    A policy raises each code once for one row and one beginning (`since`) of its time.
    """

    __tablename__ = "alert"
    __table_args__ = (
        Refers(["tenant_id", "policy_id"], ["policy.tenant_id", "policy.id"]),
        CheckConstraint(f"code IN {ALERT_CODES}", name="code_known"),
        Index(
            "uq_alert_policy_id_entity_id",
            "policy_id",
            "entity_id",
            "since",
            "code",
            unique=True,
            postgresql_where=sql("entity_id IS NOT NULL"),
        ),
        # Alerts that nobody has acknowledged.
        Index(
            "ix_alert_open",
            "tenant_id",
            "id",
            postgresql_where=sql("acknowledged_at IS NULL"),
        ),
        # The alerts of an operation, needed when operations are deleted.
        Index("ix_alert_operation_id", "operation_id"),
        # Alerts that are too old.
        Index("ix_alert_raised_at", "raised_at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    tenant_id: Mapped[int] = mapped_column(ForeignKey("tenant.id"))
    policy_id: Mapped[int] = mapped_column(BigInteger)
    code: Mapped[str]
    kind: Mapped[str]
    entity_id: Mapped[int | None] = mapped_column(BigInteger)
    since: Mapped[datetime | None]
    message: Mapped[str]
    operation_id: Mapped[UUID | None] = _of_operation()
    raised_at: Mapped[datetime] = mapped_column(server_default=NOW)
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
