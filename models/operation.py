"""Operations: store operations, their chunks, and the transitions that the guard allows."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Double,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from domain.machines.operation import OPEN_STATES, OPERATION
from models.base import NOW, Base


class MachineArrow(Base):
    """A transition of a machine, copied here by `upgrade` for the database guard."""

    __tablename__ = "machine_arrow"

    kind: Mapped[str] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)
    target: Mapped[str] = mapped_column(primary_key=True)
    undo: Mapped[bool]


class OperationRow(Base):
    """One submitted request to change rows, including a single transition.

    `changes` are the values that an update or an assignment writes, by column. An operation with
    a `hook` runs that hook after the operation `parent_id`. Another follow-up operation of
    `parent_id` has a `purpose`: to execute its plan, to retry, to undo. `origin` is where the
    request came from, `selection` the filter that chose the rows. `canary` is how many items are
    done first: chunks from `canary_ends_before_chunk` on wait until somebody resumes; executing a
    plan uses its canary. `rate` is items a second, and dispatched chunks fill the time up to
    `paced_until`. The operation is `held` if its canary has paused it; `details` is the caller's.
    """

    __tablename__ = "operation"
    __table_args__ = (
        CheckConstraint(f"state IN {OPERATION.states}", name="state_known"),
        CheckConstraint("total > 0", name="has_items"),
        CheckConstraint(
            "(finished_at IS NULL) = (result IS NULL)", name="finished_with_its_result"
        ),
        # The same idempotency key of the same person is one request.
        Index(
            "uq_operation_idempotency_key",
            "tenant_id",
            "actor_id",
            "idempotency_key",
            unique=True,
            postgresql_where=text("idempotency_key IS NOT NULL"),
            postgresql_nulls_not_distinct=True,
        ),
        # For the sweeper: open operations, and ended ones whose result isn't stored for pollers.
        Index("ix_operation_open", "created_at", postgresql_where=text(f"state IN {OPEN_STATES}")),
        Index(
            "ix_operation_result_not_stored",
            "finished_at",
            postgresql_where=text("finished_at IS NOT NULL AND result_stored_at IS NULL"),
        ),
        # Idempotency keys that are too old, oldest first.
        Index(
            "ix_operation_key_ended",
            "finished_at",
            postgresql_where=text("idempotency_key IS NOT NULL"),
        ),
        # Follow-up operations, which are deleted before their parent.
        Index(
            "ix_operation_parent_id", "parent_id", postgresql_where=text("parent_id IS NOT NULL")
        ),
        CheckConstraint("parallel > 0", name="parallel_positive"),
        CheckConstraint("rate > 0", name="rate_positive"),
        CheckConstraint("canary_ends_before_chunk > 0", name="canary_ends_before_chunk_positive"),
        CheckConstraint("canary > 0", name="canary_positive"),
        # A plan is executed once, failures of a code are retried once, an undo is made once.
        Index(
            "uq_operation_purpose",
            "parent_id",
            "purpose",
            unique=True,
            postgresql_where=text("purpose IS NOT NULL"),
        ),
        # A hook follows an operation only once.
        Index(
            "uq_operation_hook",
            "parent_id",
            "hook",
            unique=True,
            postgresql_where=text("hook IS NOT NULL"),
        ),
        # A tenant's operations, newest first.
        Index("ix_operation_tenant_id_created_at", "tenant_id", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[int] = mapped_column(ForeignKey("tenant.id"))
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    kind: Mapped[str]
    verb: Mapped[str]
    operation_type: Mapped[str]
    state: Mapped[str]
    reason: Mapped[str]
    target_state: Mapped[str | None]
    changes: Mapped[dict[str, Any] | None]
    hook: Mapped[str | None]
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("operation.id"))
    purpose: Mapped[str | None]
    selection: Mapped[str | None]
    approved_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    comments: Mapped[str | None]
    details: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    origin: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    atomic: Mapped[bool]
    dry_run: Mapped[bool]
    isolation_level: Mapped[str]
    max_retries: Mapped[int]
    lease_seconds: Mapped[float]
    wait_seconds: Mapped[float]
    queue: Mapped[str]
    run_at: Mapped[datetime | None]
    stop_at_first_failure: Mapped[bool] = mapped_column(server_default=text("false"))
    parallel: Mapped[int | None]
    canary: Mapped[int | None]
    canary_ends_before_chunk: Mapped[int | None]
    held: Mapped[bool] = mapped_column(server_default=text("false"))
    paused_by: Mapped[str | None]
    cancelled_by: Mapped[str | None]
    rate: Mapped[float | None] = mapped_column(Double)
    paced_until: Mapped[datetime | None]
    total: Mapped[int]
    idempotency_key: Mapped[str | None]
    fingerprint: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    result: Mapped[dict[str, Any] | None]
    result_stored_at: Mapped[datetime | None]


class Chunk(Base):
    """The items of an operation that one message covers and one transaction changes.

    `inputs` is what a row file says of its rows, by id: the line, its cells, the row's values.
    Lines that name no row are items too: their ids stand for the lines, below zero and in order,
    and so do the numbers of their chunks.
    """

    __tablename__ = "operation_chunk"
    __table_args__ = (
        CheckConstraint(
            "status IN ('PENDING', 'RUNNING', 'DONE', 'DEAD', 'CANCELLED')", name="status_known"
        ),
        CheckConstraint(
            "(status = 'RUNNING') = (claim IS NOT NULL)"
            " AND (claim IS NULL) = (lease_until IS NULL)",
            name="running_under_a_claim",
        ),
        # Every item of an ended chunk has its outcome: counts add up by construction.
        CheckConstraint(
            "status IN ('PENDING', 'RUNNING')"
            " OR succeeded + skipped + failed + cancelled = cardinality(ids)",
            name="ended_with_all_outcomes",
        ),
        UniqueConstraint("claim"),
        # For dispatch: chunks in flight, and chunks that wait to be dispatched.
        Index(
            "ix_operation_chunk_on_its_way",
            "operation_id",
            postgresql_where=text(
                "status = 'RUNNING' OR status = 'PENDING' AND published_at IS NOT NULL"
            ),
        ),
        Index(
            "ix_operation_chunk_not_hinted",
            "operation_id",
            "chunk_no",
            postgresql_where=text("status = 'PENDING' AND published_at IS NULL"),
        ),
        # For the sweeper: due chunks that were not taken, and leases that have expired.
        Index(
            "ix_operation_chunk_waiting",
            "run_after",
            postgresql_where=text("status = 'PENDING'"),
        ),
        Index(
            "ix_operation_chunk_running",
            "lease_until",
            postgresql_where=text("status = 'RUNNING'"),
        ),
    )

    operation_id: Mapped[UUID] = mapped_column(ForeignKey("operation.id"), primary_key=True)
    chunk_no: Mapped[int] = mapped_column(primary_key=True)
    ids: Mapped[list[int]]
    expected_versions: Mapped[list[int] | None]
    inputs: Mapped[dict[str, Any] | None]
    status: Mapped[str] = mapped_column(server_default="PENDING")
    attempt: Mapped[int] = mapped_column(server_default=text("0"))
    claim: Mapped[UUID | None]
    lease_until: Mapped[datetime | None]
    run_after: Mapped[datetime] = mapped_column(server_default=NOW)
    contended_since: Mapped[datetime | None]
    published_at: Mapped[datetime | None]
    published: Mapped[int] = mapped_column(server_default=text("0"))
    outcomes: Mapped[list[int] | None] = mapped_column(ARRAY(SmallInteger))
    versions: Mapped[list[int] | None]
    failures: Mapped[dict[str, Any] | None]
    failure_codes: Mapped[dict[str, Any] | None]
    succeeded: Mapped[int] = mapped_column(server_default=text("0"))
    skipped: Mapped[int] = mapped_column(server_default=text("0"))
    failed: Mapped[int] = mapped_column(server_default=text("0"))
    cancelled: Mapped[int] = mapped_column(server_default=text("0"))
    retries: Mapped[int] = mapped_column(server_default=text("0"))
    error: Mapped[str | None]
