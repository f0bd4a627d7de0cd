"""Running a chunk exactly once: claim, locks, the change, release, finish, tell.

`platform.step` is told the name of each step right after it; what a crash there leaves
behind, and who mends it, stands in docs/protocol.md.
"""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import DBAPIError

from domain.bulk import Outcome, count, progress
from domain.machine import Reason
from engine.cancel import cancel_waiting
from engine.claim import Claim, backoff_s, end_claim, give_back, take_claim, told_plainly
from engine.finish import finish, tell_progress
from engine.hints import send_next, wake_audit
from engine.locks import Held, Holder, row_key
from engine.outbox import log_state_transition
from engine.platform import Platform
from engine.transition import Judged, judge_rows, lock_rows, request_of, write_rows
from models.base import kinds

_RETRIED = ("40001", "40P01")
"""SQLSTATEs of a serialization failure and a deadlock: the change begins anew."""

_SLICE = 1000

_GATHER_S = 0.5

_log = structlog.get_logger(__name__)

# The settings hold for this transaction only. No row: the claim is somebody else's by now.
# Every column costs a single transition 10 µs, every statement 300 µs: few of both.
_OPEN = text("""
SELECT set_config('lockside.operation_id', CAST(o.id AS text), true),
       set_config('statement_timeout', :statement_timeout, true),
       c.ids, c.outcomes, c.versions, c.failures, c.expected_versions,
       o.id, o.tenant_id, o.actor_id, o.kind, o.state, o.reason, o.target_state, o.approved_by,
       o.comments, o.details, o.atomic, o.dry_run, o.isolation_level, o.total, o.started_at,
       (SELECT jsonb_agg(jsonb_build_array(p.person_id, r.name, r.permissions))
          FROM person_role p
          JOIN role r ON r.tenant_id = p.tenant_id AND r.name = p.role_name
         WHERE p.tenant_id = o.tenant_id AND p.person_id IN (o.actor_id, o.approved_by)
       ) AS held_roles
  FROM operation_chunk c JOIN operation o ON o.id = c.operation_id
 WHERE c.operation_id = :operation_id AND c.chunk_no = :chunk_no AND c.claim = :token
   FOR UPDATE OF c
""")


def run_chunk(platform: Platform, operation_id: UUID, chunk_no: int) -> str:
    """Apply one chunk exactly once; a duplicate delivery changes nothing.

    Returns:
        For people who watch the workers: how far the operation is, e.g. `420/1000 (42 %)`.
    """
    claim = take_claim(platform, operation_id, chunk_no)
    if claim is None:
        return "not due: done, running elsewhere, paused or cancelled"
    platform.step("claimed")
    keys = [row_key(claim.tenant_id, claim.kind, each) for each in claim.ids]
    try:
        with platform.locks.hold(
            keys,
            claim=str(claim.token),
            operation=str(operation_id),
            lease_s=claim.lease_s,
            all_or_none=claim.atomic,
        ) as held:
            platform.step("locked")
            deferred = _change_with_retries(platform, claim, held)
            platform.step("changed")
    except (DBAPIError, RuntimeError) as error:
        _log.error("chunk_failed", operation_id=str(operation_id), chunk_no=chunk_no)
        give_back(platform, claim, told_plainly(error))
        raise
    platform.step("released")
    if deferred:
        # Cancelling may have looked for waiting chunks while this one was running.
        cancel_waiting(platform, operation_id)
    if finish(platform, operation_id):
        told = "finished"
    else:
        told = tell_progress(platform, operation_id)
        send_next(platform, operation_id, 1)
    if told == "finished" and claim.queue == "bulk":
        wake_audit(platform, surely=True)
    else:
        # One wake-up for many chunks: for a single transition each would cost as much as it.
        wake_audit(platform, after_s=_GATHER_S)
    return told


def _change_with_retries(platform: Platform, claim: Claim, held: Held) -> bool:
    for tried in range(claim.max_retries + 1):
        try:
            return _change(platform, claim, held, tried)
        except DBAPIError as error:
            retried = getattr(error.orig, "sqlstate", None) in _RETRIED
            if not retried or tried == claim.max_retries:
                raise
            time.sleep(backoff_s(tried))
    raise AssertionError("unreachable: the last try returns or raises")


def _change(platform: Platform, claim: Claim, held: Held, tried: int) -> bool:
    begun = time.perf_counter()
    with _transaction(platform, claim.isolation_level) as db:
        operation = _open(platform, db, claim)
        if operation is None:
            return False
        busy = {claim.ids[position]: holder for position, holder in held.busy.items()}
        # All or none: what is free waits with the rest, unless the rest waited too long.
        together = claim.atomic and claim.busy_for_s < claim.wait_s
        free = [] if busy and together else [each for each in claim.ids if each not in busy]
        judged, busy_rows, now = _judge(platform, db, operation, free, held)
        if busy_rows and together:
            judged = Judged()
        busy |= dict.fromkeys(busy_rows, Holder("a database session", now.isoformat()))
        waiting = _wait_or_fail(judged, claim, operation, busy)
        if claim.atomic and not waiting:
            _all_or_nothing(judged)
        if not operation.dry_run:
            held.renew()
            write_rows(
                db,
                claim.kind,
                judged,
                target=operation.target_state,
                actor_id=operation.actor_id,
                now=now,
            )
            log_state_transition(
                db,
                operation=operation,
                passed=judged.passed,
                refused=judged.refused,
                failures=judged.failures,
                now=now,
                execution_time_ms=round((time.perf_counter() - begun) * 1000, 3),
                lock_acquisition_time_ms=round(held.waited_ms, 3),
                retry_attempt=claim.retries + tried,
            )
        end_claim(db, claim, operation, judged, waiting=waiting)
        platform.step("writing")
    return waiting


def _transaction(platform: Platform, isolation_level: str) -> Any:
    if isolation_level == "READ COMMITTED":
        return platform.database.begin()
    return platform.database.execution_options(isolation_level=isolation_level).begin()


def _open(platform: Platform, db: Connection, claim: Claim) -> Row[Any] | None:
    pace = platform.pace
    person = claim.queue == "interactive"
    statement_s = pace.person_statement_s if person else pace.statement_s
    return db.execute(
        _OPEN,
        {
            "statement_timeout": f"{round(statement_s * 1000)}",
            "operation_id": claim.operation_id,
            "chunk_no": claim.chunk_no,
            "token": claim.token,
        },
    ).one_or_none()


def _judge(
    platform: Platform, db: Connection, operation: Row[Any], ids: Sequence[int], held: Held
) -> tuple[Judged, set[int], datetime]:
    machine = kinds()[operation.kind].machine
    slices = [ids[first : first + _SLICE] for first in range(0, len(ids), _SLICE)]
    locked = []
    for each in slices:
        locked.append(
            lock_rows(db, operation.kind, operation.tenant_id, each, operation.target_state)
        )
        held.renew()
    now = platform.clock(db)
    request = request_of(operation)
    expected = _expected(operation)
    judged = Judged()
    busy: set[int] = set()
    for asked, (rows, busy_rows) in zip(slices, locked, strict=True):
        busy |= busy_rows
        judged.add(judge_rows(machine, rows, set(asked) - busy_rows, request, expected))
        held.renew()
        if operation.atomic and len(slices) > 1:
            seen = count(judged.outcomes.values(), operation.total)
            elapsed_s = (now - (operation.started_at or now)).total_seconds()
            platform.results.store_progress(str(operation.id), progress(seen, elapsed_s))
    return judged, busy, now


def _expected(operation: Row[Any]) -> dict[int, int]:
    if operation.expected_versions is None:
        return {}
    pairs = zip(operation.ids, operation.expected_versions, strict=True)
    return {row_id: version for row_id, version in pairs if version is not None}


def _wait_or_fail(
    judged: Judged, claim: Claim, operation: Row[Any], busy: dict[int, Holder]
) -> bool:
    """Say whether the chunk waits for busy rows; those that waited too long fail instead."""
    if not busy:
        return False
    if operation.state == "CANCELLING":
        judged.outcomes.update(
            dict.fromkeys(set(claim.ids) - judged.outcomes.keys(), Outcome.CANCELLED)
        )
        return False
    if claim.busy_for_s < claim.wait_s:
        return True
    for row_id, holder in busy.items():
        since = f"{holder.operation} since {holder.since}"
        judged.fail(
            row_id,
            [Reason("locked", f"Locked by {since}; waited {claim.busy_for_s:.1f} s. Try later")],
            holder=holder.operation,
            since=holder.since,
        )
    judged.outcomes.update(
        dict.fromkeys(set(claim.ids) - judged.outcomes.keys(), Outcome.CANCELLED)
    )
    return False


def _all_or_nothing(judged: Judged) -> None:
    if judged.failures or Outcome.CANCELLED in judged.outcomes.values():
        judged.outcomes.update({each.id: Outcome.CANCELLED for each in judged.passed})
        judged.passed.clear()
