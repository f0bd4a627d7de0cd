"""Claims: who runs a chunk now, for how long, and how it is given back."""

import random
from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy import text

from engine.platform import Platform

_FIRST_BACKOFF_S = 0.1
_LONGEST_BACKOFF_S = 2.0


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to change one chunk, until the lease is over.

    Attributes:
        ids: The items that have no outcome yet, sorted.
        busy_for_s: Since when items of the chunk wait for somebody else's lock.
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
    busy_for_s: float


# One statement: a chunk is due, or its lease is over; attempts are left; the operation is
# neither paused nor being cancelled. SKIP LOCKED: a chunk whose change is open is nobody
# else's, however old its lease. The first claim starts the operation.
_CLAIM = text("""
WITH due AS (
  SELECT c.operation_id, c.chunk_no FROM operation_chunk c
    JOIN operation o ON o.id = c.operation_id
   WHERE c.operation_id = :operation_id AND c.chunk_no = :chunk_no
     AND (c.status = 'PENDING' AND c.run_after <= clock_timestamp()
       OR c.status = 'RUNNING' AND c.lease_until < clock_timestamp())
     AND c.attempt < :attempts AND o.state IN ('QUEUED', 'RUNNING')
     FOR UPDATE OF c SKIP LOCKED
), claimed AS (
  UPDATE operation_chunk c
     SET status = 'RUNNING', attempt = attempt + 1, claim = :token,
         lease_until = clock_timestamp() + make_interval(secs => o.lease_seconds)
    FROM due, operation o
   WHERE c.operation_id = due.operation_id AND c.chunk_no = due.chunk_no
     AND o.id = c.operation_id
  RETURNING c.ids, c.outcomes, c.retries, c.busy_since, o.*
), started AS (
  UPDATE operation SET state = 'RUNNING', started_at = clock_timestamp()
   WHERE id = :operation_id AND state = 'QUEUED' AND EXISTS (SELECT FROM claimed)
)
SELECT ids, outcomes, retries, tenant_id, kind, atomic, queue, lease_seconds, wait_seconds,
       isolation_level, max_retries,
       coalesce(extract(epoch FROM clock_timestamp() - busy_since), 0)::float AS busy_for_s
  FROM claimed
""")

_GIVE_BACK = text("""
UPDATE operation_chunk
   SET status = 'PENDING', claim = NULL, lease_until = NULL, published_at = NULL, error = :error,
       run_after = clock_timestamp() + make_interval(secs => :delay_s)
 WHERE operation_id = :operation_id AND chunk_no = :chunk_no AND claim = :token
""")


def take_claim(platform: Platform, operation_id: UUID, chunk_no: int) -> Claim | None:
    """Claim a chunk in a transaction of its own; None if it isn't due or is somebody else's."""
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
        ids=[each for each, outcome in zip(row.ids, outcomes, strict=True) if not outcome],
        tenant_id=row.tenant_id,
        kind=row.kind,
        atomic=row.atomic,
        queue=row.queue,
        lease_s=row.lease_seconds,
        wait_s=row.wait_seconds,
        isolation_level=row.isolation_level,
        max_retries=row.max_retries,
        retries=row.retries,
        busy_for_s=row.busy_for_s,
    )


def give_back(platform: Platform, claim: Claim, error: str) -> None:
    """Let somebody else try a chunk that failed by surprise; the attempt stays counted."""
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
    """Return how long to wait before the next try: 100, 200, 400 ms… with jitter, 2 s at most."""
    jitter = random.uniform(0.75, 1.25)  # noqa: S311 -- spreads retries, no secret
    return min(_FIRST_BACKOFF_S * float(2**tried), _LONGEST_BACKOFF_S) * jitter
