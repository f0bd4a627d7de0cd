"""Audit tables: the outbox, and the records that are written from it.

Records are partitioned by month of `occurred_at`; the default partition takes months that have no
partition, so that no record is ever refused.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base

RECORDS = ("state_transition", "bulk_operation", "audit_log", "permission_denial")
"""The four tables that the outbox is written to; each event is stored in one of them."""

EVENT_TYPES = ("CREATED", "UPDATED", "DELETED", "STATE_CHANGED", "BULK_OPERATION")

MAKE_PARTITIONS = text("SELECT lockside_make_partitions(3)")
"""Makes the partitions of the records for this month and the next three."""

_BY_MONTH = {"postgresql_partition_by": "RANGE (occurred_at)"}


class Outbox(Base):
    """An audit event that waits to be written: one row for a whole chunk.

    `body` holds what all items share; the arrays hold the rest, one element for each item. An
    element of `changes` is JSON: `{field: {before, after}}`; `comments` is set where each item has
    its own.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        CheckConstraint(f"record IN {RECORDS}", name="record_known"),
        # The rows of a tenant, in the order in which they are sealed.
        Index("ix_outbox_tenant_id_id", "tenant_id", "id"),
        # Denials that aren't written yet count as well.
        Index(
            "ix_outbox_denial", "tenant_id", postgresql_where=text("record = 'permission_denial'")
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    tenant_id: Mapped[int] = mapped_column(ForeignKey("tenant.id"))
    event_id: Mapped[UUID]
    record: Mapped[str]
    occurred_at: Mapped[datetime]
    body: Mapped[dict[str, Any]]
    entity_ids: Mapped[list[int] | None]
    versions: Mapped[list[int] | None] = mapped_column(ARRAY(Integer))
    from_states: Mapped[list[str] | None]
    states_since: Mapped[list[datetime] | None] = mapped_column(ARRAY(TIMESTAMP(timezone=True)))
    error_codes: Mapped[list[str] | None]
    error_messages: Mapped[list[str] | None]
    changes: Mapped[list[str] | None]
    comments: Mapped[list[str] | None]


class Sealed:
    """A record's place in the seals, and the salt of the commitment to its words.

    Attributes:
        salt: NULL where there are no words, or where they were erased.
        erased_by: The erasure that removed words.
    """

    seal_no: Mapped[int | None] = mapped_column(BigInteger)
    seal_place: Mapped[int | None]
    salt: Mapped[bytes | None]
    commitment: Mapped[bytes | None]
    erased_by: Mapped[UUID | None]


class StateTransitionAudit(Sealed, Base):
    """One transition of one row, done or refused."""

    __tablename__ = "state_transition_audit"
    __table_args__ = (
        # The history of a row, newest first.
        Index(
            "ix_state_transition_audit_entity",
            "tenant_id",
            "kind",
            "entity_id",
            text("version DESC"),
        ),
        # Transitions to a state, by time.
        Index("ix_state_transition_audit_to_state", "tenant_id", "kind", "to_state", "occurred_at"),
        # The acts of a person, by time.
        Index("ix_state_transition_audit_actor", "tenant_id", "actor_id", "occurred_at"),
        # Refused transitions, by time.
        Index(
            "ix_state_transition_audit_failure",
            "tenant_id",
            "occurred_at",
            postgresql_where=text("NOT success"),
        ),
        # A tenant's trail by time, page by page.
        Index("ix_state_transition_audit_occurred", "tenant_id", "occurred_at", "event_id"),
        # The records of an operation, by time.
        Index(
            "ix_state_transition_audit_correlation", "tenant_id", "correlation_id", "occurred_at"
        ),
        # The records of a seal.
        Index("ix_state_transition_audit_seal", "tenant_id", "seal_no"),
        _BY_MONTH,
    )

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    occurred_at: Mapped[datetime] = mapped_column(primary_key=True)
    tenant_id: Mapped[int] = mapped_column(BigInteger)
    correlation_id: Mapped[UUID | None]
    actor_id: Mapped[int | None] = mapped_column(BigInteger)
    kind: Mapped[str]
    entity_id: Mapped[int] = mapped_column(BigInteger)
    version: Mapped[int]
    from_state: Mapped[str | None]
    to_state: Mapped[str]
    approved_by: Mapped[int | None] = mapped_column(BigInteger)
    time_in_previous_state_s: Mapped[float | None] = mapped_column(Double)
    reason: Mapped[str]
    comments: Mapped[str | None]
    details: Mapped[dict[str, Any] | None] = mapped_column("metadata")
    success: Mapped[bool]
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]
    execution_time_ms: Mapped[float | None] = mapped_column(Double)
    lock_acquisition_time_ms: Mapped[float | None] = mapped_column(Double)
    lock_key: Mapped[str | None]
    isolation_level: Mapped[str | None]
    retry_attempt: Mapped[int | None]


class BulkOperationAudit(Sealed, Base):
    """One bulk operation, recorded when it ends."""

    __tablename__ = "bulk_operation_audit"
    __table_args__ = (
        # A tenant's bulk operations, newest first.
        Index("ix_bulk_operation_audit_tenant_id_occurred_at", "tenant_id", "occurred_at"),
        # The records of an operation, by time.
        Index("ix_bulk_operation_audit_correlation", "tenant_id", "correlation_id", "occurred_at"),
        # The records of a seal.
        Index("ix_bulk_operation_audit_seal", "tenant_id", "seal_no"),
        _BY_MONTH,
    )

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    occurred_at: Mapped[datetime] = mapped_column(primary_key=True)
    tenant_id: Mapped[int] = mapped_column(BigInteger)
    correlation_id: Mapped[UUID]
    actor_id: Mapped[int | None] = mapped_column(BigInteger)
    kind: Mapped[str]
    operation_type: Mapped[str]
    state: Mapped[str]
    total_items: Mapped[int]
    successful_items: Mapped[int]
    failed_items: Mapped[int]
    successful_ids: Mapped[list[int]]
    failed_ids: Mapped[list[int]]
    failure_details: Mapped[dict[str, Any]]
    was_rolled_back: Mapped[bool]
    rollback_reason: Mapped[str | None]


class AuditLog(Sealed, Base):
    """One record that was created, updated or deleted, with its values before and after.

    A refused change (`success` false) has the version that the row keeps, and neither id nor
    version if there is no such row. What somebody did to an `operation` has its id as
    `correlation_id`; of runs that were released, and alerts that were acknowledged, the ids are in
    `metadata`.
    """

    __tablename__ = "audit_log"
    __table_args__ = (
        CheckConstraint(f"event_type IN {EVENT_TYPES}", name="event_type_known"),
        CheckConstraint(
            "num_nulls(entity_id, version) = 0 OR NOT success"
            " OR kind IN ('operation', 'scheduled_run', 'alert')",
            name="done_to_a_version",
        ),
        # The history of a row, newest first.
        Index("ix_audit_log_entity", "tenant_id", "kind", "entity_id", text("version DESC")),
        # The acts of a person, by time.
        Index("ix_audit_log_actor", "tenant_id", "actor_id", "occurred_at"),
        # Refused changes, by time.
        Index(
            "ix_audit_log_failure",
            "tenant_id",
            "occurred_at",
            postgresql_where=text("NOT success"),
        ),
        # A tenant's trail by time, page by page.
        Index("ix_audit_log_occurred", "tenant_id", "occurred_at", "event_id"),
        # The records of an operation, by time.
        Index("ix_audit_log_correlation", "tenant_id", "correlation_id", "occurred_at"),
        # The records of a seal.
        Index("ix_audit_log_seal", "tenant_id", "seal_no"),
        _BY_MONTH,
    )

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    occurred_at: Mapped[datetime] = mapped_column(primary_key=True)
    tenant_id: Mapped[int] = mapped_column(BigInteger)
    correlation_id: Mapped[UUID | None]
    actor_id: Mapped[int | None] = mapped_column(BigInteger)
    event_type: Mapped[str]
    kind: Mapped[str]
    entity_id: Mapped[int | None] = mapped_column(BigInteger)
    version: Mapped[int | None]
    reason: Mapped[str]
    comments: Mapped[str | None]
    changes: Mapped[dict[str, Any]]
    details: Mapped[dict[str, Any] | None] = mapped_column("metadata")
    success: Mapped[bool]
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]
    execution_time_ms: Mapped[float | None] = mapped_column(Double)
    lock_acquisition_time_ms: Mapped[float | None] = mapped_column(Double)
    session_id: Mapped[str | None]
    ip_address: Mapped[str | None]
    security_flags: Mapped[list[str] | None]
    retention_until: Mapped[datetime | None]


class PermissionDenialAudit(Sealed, Base):
    """A request that was denied because of missing permissions; `risk_score` is 0 to 100."""

    __tablename__ = "permission_denial_audit"
    __table_args__ = (
        CheckConstraint("risk_score BETWEEN 0 AND 100", name="risk_in_range"),
        # The denials of a tenant, newest first.
        Index("ix_permission_denial_audit_tenant_id_occurred_at", "tenant_id", "occurred_at"),
        # The denials of a person, by time.
        Index("ix_permission_denial_audit_actor", "tenant_id", "actor_id", "occurred_at"),
        # The records of an operation, by time.
        Index(
            "ix_permission_denial_audit_correlation", "tenant_id", "correlation_id", "occurred_at"
        ),
        # The records of a seal.
        Index("ix_permission_denial_audit_seal", "tenant_id", "seal_no"),
        _BY_MONTH,
    )

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    occurred_at: Mapped[datetime] = mapped_column(primary_key=True)
    tenant_id: Mapped[int] = mapped_column(BigInteger)
    correlation_id: Mapped[UUID | None]
    actor_id: Mapped[int | None] = mapped_column(BigInteger)
    kind: Mapped[str]
    attempted_action: Mapped[str]
    items: Mapped[int]
    entity_ids: Mapped[list[int]]
    required_permissions: Mapped[list[str]]
    user_permissions: Mapped[list[str]]
    is_suspicious: Mapped[bool]
    risk_score: Mapped[int]
    session_id: Mapped[str | None]
    ip_address: Mapped[str | None]
    security_flags: Mapped[list[str] | None]
