"""Claims: give one worker the right to run a chunk, for one lease, and take that right back."""

import json
import random
from collections import Counter
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, Row, text

from domain.bulk import Failure, Outcome, count
from engine.changes.outcomes import Outcomes
from engine.ports.platform import Platform

_FIRST_BACKOFF_S = 0.1
_LONGEST_BACKOFF_S = 2.0


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to change one chunk, which lasts until its lease expires.

    Attributes:
        token: The fencing token: a worker with another one can't write any more.
        ids: The items that have no outcome yet, sorted.
        stop_at_first_failure: The operation ends at its first failure.
        has_canary: The operation pauses when its first chunks have ended.
        contended_for_s: For how many seconds items of the chunk have waited for contended rows.
    """

    operation_id: UUID
    chunk_no: int
    token: UUID
    ids: list[int]
    tenant_id: int
    kind: str
    atomic: bool
    queue: str
    lease_s: float
    wait_s: float
    isolation_level: str
    max_retries: int
    retries: int
    stop_at_first_failure: bool
    has_canary: bool
    contended_for_s: float


# One statement: a chunk is due, or its lease has expired; attempts are left; the operation is
# neither paused nor being cancelled, and its canary doesn't hold the chunk back. SKIP LOCKED: a
# chunk whose change is still open belongs to that transaction, however old its lease. The first
# claim starts the operation; one that had to wait for a pause or a cancel leaves the state alone,
# but sets the start time. A dispatch message that was taken does not delay the next one.
_CLAIM = text("""
WITH due AS (
  SELECT c.operation_id, c.chunk_no FROM operation_chunk c
    JOIN operation o ON o.id = c.operation_id
   WHERE c.operation_id = :operation_id AND c.chunk_no = :chunk_no
     AND (c.status = 'PENDING' AND c.run_after <= clock_timestamp()
       OR c.status = 'RUNNING' AND c.lease_until < clock_timestamp())
     AND c.attempt < :attempts AND o.state IN ('QUEUED', 'RUNNING')
     AND (o.canary_ends_before_chunk IS NULL OR c.chunk_no < o.canary_ends_before_chunk)
     FOR UPDATE OF c SKIP LOCKED
), claimed AS (
  UPDATE operation_chunk c
     SET status = 'RUNNING', attempt = attempt + 1, claim = :token, published = 1,
         lease_until = clock_timestamp() + make_interval(secs => o.lease_seconds),
         published_at = coalesce(c.published_at, clock_timestamp())
    FROM due, operation o
   WHERE c.operation_id = due.operation_id AND c.chunk_no = due.chunk_no
     AND o.id = c.operation_id
  RETURNING c.ids, c.outcomes, c.retries, c.contended_since, o.*
), started AS (
  UPDATE operation
     SET state = CASE state WHEN 'QUEUED' THEN 'RUNNING' ELSE state END,
         started_at = coalesce(started_at, clock_timestamp())
   WHERE id = :operation_id AND (state = 'QUEUED' OR started_at IS NULL)
     AND EXISTS (SELECT FROM claimed)
)
SELECT ids, outcomes, retries, tenant_id, kind, atomic, queue, lease_seconds, wait_seconds,
       isolation_level, max_retries, stop_at_first_failure,
       canary_ends_before_chunk IS NOT NULL AS has_canary,
       coalesce(extract(epoch FROM clock_timestamp() - contended_since), 0)::float
         AS contended_for_s
  FROM claimed
""")

# A chunk that waits for contended rows is pending again; waiting is no attempt.
_STORE = text("""
UPDATE operation_chunk
   SET status = CASE :waiting WHEN 1 THEN 'PENDING' ELSE 'DONE' END,
       claim = NULL, lease_until = NULL, error = NULL,
       attempt = attempt - :waiting, retries = retries + :waiting,
       published_at = CASE :waiting WHEN 1 THEN NULL ELSE published_at END,
       contended_since = CASE :waiting WHEN 1 THEN coalesce(contended_since, clock_timestamp())
                    ELSE contended_since END,
       run_after = CASE :waiting WHEN 1 THEN clock_timestamp() + make_interval(secs => :delay_s)
                   ELSE run_after END,
       outcomes = CAST(:outcomes AS smallint[]), versions = CAST(:versions AS bigint[]),
       failures = CAST(:failures AS jsonb), failure_codes = CAST(:failure_codes AS jsonb),
       succeeded = :succeeded, skipped = :skipped, failed = :failed, cancelled = :cancelled
 WHERE operation_id = :operation_id AND chunk_no = :chunk_no
""")

_GIVE_BACK = text("""
UPDATE operation_chunk
   SET status = 'PENDING', claim = NULL, lease_until = NULL, published_at = NULL, error = :error,
       run_after = clock_timestamp() + make_interval(secs => :delay_s)
 WHERE operation_id = :operation_id AND chunk_no = :chunk_no AND claim = :token
""")


def take_claim(platform: Platform, operation_id: UUID, chunk_no: int) -> Claim | None:
    """Claim a chunk in its own transaction; None if it isn't due or another worker has it."""
    token = uuid4()
    with platform.single.connect() as db:
        row = db.execute(
            _CLAIM,
            {
                "operation_id": operation_id,
                "chunk_no": chunk_no,
                "token": token,
                "attempts": platform.pace.attempts,
            },
        ).one_or_none()
    if row is None:
        return None
    outcomes = row.outcomes or [0] * len(row.ids)
    return Claim(
        operation_id=operation_id,
        chunk_no=chunk_no,
        token=token,
        ids=[row_id for row_id, outcome in zip(row.ids, outcomes, strict=True) if not outcome],
        tenant_id=row.tenant_id,
        kind=row.kind,
        atomic=row.atomic,
        queue=row.queue,
        lease_s=row.lease_seconds,
        wait_s=row.wait_seconds,
        isolation_level=row.isolation_level,
        max_retries=row.max_retries,
        retries=row.retries,
        stop_at_first_failure=row.stop_at_first_failure,
        has_canary=row.has_canary,
        contended_for_s=row.contended_for_s,
    )


def end_claim(
    db: Connection, claim: Claim, operation: Row[Any], outcomes: Outcomes, *, waiting: bool
) -> None:
    """Store the outcomes of the items in the transaction of the change, and end the claim.

    Args:
        db: The transaction of the change.
        claim: The claim that ends.
        operation: The operation with the chunk's stored arrays.
        outcomes: The outcomes of the items whose rows were free.
        waiting: Some items wait for contended rows: the chunk will be claimed again.
    """
    earlier = operation.outcomes or [Outcome.PENDING] * len(operation.ids)
    stored = [
        outcomes.outcomes.get(row_id, outcome)
        for row_id, outcome in zip(operation.ids, earlier, strict=True)
    ]
    versions = [
        outcomes.versions.get(row_id, version)
        for row_id, version in zip(
            operation.ids, operation.versions or [0] * len(operation.ids), strict=True
        )
    ]
    failures = (operation.failures or {}) | {
        str(failure.id): _failure_as_json(failure) for failure in outcomes.failures.values()
    }
    counts = count(stored, len(stored))
    db.execute(
        _STORE,
        {
            "operation_id": claim.operation_id,
            "chunk_no": claim.chunk_no,
            "waiting": int(waiting),
            "delay_s": backoff_s(claim.retries),
            "outcomes": [int(outcome) for outcome in stored],
            "versions": versions,
            "failures": json.dumps(failures) if failures else None,
            "failure_codes": json.dumps(Counter(failure["code"] for failure in failures.values()))
            if failures
            else None,
            "succeeded": counts.succeeded,
            "skipped": counts.skipped,
            "failed": counts.failed,
            "cancelled": counts.cancelled,
        },
    )


def _failure_as_json(failure: Failure) -> dict[str, Any]:
    return {
        "code": failure.code,
        "message": failure.message,
        "codes": list(failure.codes),
        "retryable": failure.retryable,
        **(failure.facts or {}),
    }


def give_back(platform: Platform, claim: Claim, error: str) -> None:
    """Release a chunk after an unexpected failure, to be tried again; its attempt counts."""
    with platform.single.connect() as db:
        db.execute(
            _GIVE_BACK,
            {
                "operation_id": claim.operation_id,
                "chunk_no": claim.chunk_no,
                "token": claim.token,
                "error": error[:2000],
                "delay_s": backoff_s(claim.retries),
            },
        )


def backoff_s(tried: int) -> float:
    """Return the seconds to wait before the next try: 0.1, 0.2, 0.4… with jitter, 2 at most."""
    jitter = random.uniform(0.75, 1.25)  # noqa: S311 -- spreads retries, no secret
    return min(_FIRST_BACKOFF_S * float(2**tried), _LONGEST_BACKOFF_S) * jitter
