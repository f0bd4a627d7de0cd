"""Run a chunk exactly once: claim, lock, change, release, finish, report progress.

`platform.step` is called with the name of each step right after it; docs/protocol.md says what a
crash at each step leaves behind, and who repairs it.
"""

import logging
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from domain.bulk import Outcome, count, progress
from domain.machines.machine import Reason
from engine.audit.outbox import Measured
from engine.audit.wake import wake_audit
from engine.changes.change import Change
from engine.changes.denials import log_denials
from engine.changes.outcomes import Outcomes, add_last_writers
from engine.input.database_errors import is_retryable, plain_message
from engine.operations.cancel import cancel_waiting
from engine.operations.change_for_verb import change_for
from engine.operations.claim import Claim, backoff_s, end_claim, give_back, take_claim
from engine.operations.dispatch import dispatch_next
from engine.operations.finish import finish, report_progress
from engine.operations.pause import pause_after_canary
from engine.ports.hooks import naming_hook
from engine.ports.locks import Held, Holder, row_key
from engine.ports.platform import Platform

_SLICE_ROWS = 1000

_AUDIT_DELAY_S = 0.5

_log = logging.getLogger(__name__)

# The settings hold for this transaction only. No row: another worker has claimed the chunk by now.
# Each column costs a single transition 10 µs, each statement 300 µs: keep both few.
_READ_CLAIMED = text("""
SELECT set_config('lockside.operation_id', CAST(o.id AS text), true),
       set_config('statement_timeout', :statement_timeout, true),
       c.ids, c.outcomes, c.versions, c.failures, c.expected_versions, c.inputs,
       o.id, o.tenant_id, o.actor_id, o.kind, o.verb, o.state, o.reason, o.target_state,
       o.approved_by, o.comments, o.details, o.origin, o.changes, o.hook, o.parent_id, o.atomic,
       o.dry_run, o.stop_at_first_failure, o.isolation_level, o.total, o.started_at,
       (SELECT jsonb_agg(jsonb_build_array(p.person_id, r.name, r.permissions))
          FROM person_role p JOIN role r ON r.id = p.role_id JOIN person w ON w.id = p.person_id
         WHERE p.tenant_id = o.tenant_id AND p.person_id IN (o.actor_id, o.approved_by)
           AND p.deleted_at IS NULL AND r.deleted_at IS NULL AND w.deleted_at IS NULL
       ) AS held_roles
  FROM operation_chunk c JOIN operation o ON o.id = c.operation_id
 WHERE c.operation_id = :operation_id AND c.chunk_no = :chunk_no AND c.claim = :token
   FOR UPDATE OF c
""")


# The chunk's rows are locked before the operation's: the lock order that every transaction keeps.
_CANCEL = text("""
UPDATE operation SET state = 'CANCELLING'
 WHERE id = :operation_id AND state IN ('QUEUED', 'RUNNING', 'PAUSED')
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
    keys = [row_key(claim.tenant_id, claim.kind, row_id) for row_id in claim.ids]
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
        _log.error("chunk_failed", extra={"operation_id": str(operation_id), "chunk_no": chunk_no})
        give_back(platform, claim, plain_message(error))
        raise
    platform.step("released")
    if deferred is None:
        # Whoever took over ends the chunk and sends the next message; a late one would be extra.
        return "handed on: the lease was over"
    if claim.has_canary:
        pause_after_canary(platform, operation_id)
    return _end_run(platform, claim, deferred=deferred)


def _end_run(platform: Platform, claim: Claim, *, deferred: bool) -> str:
    """Finish the operation or report its progress, and dispatch the next chunk."""
    operation_id = claim.operation_id
    # `cancel` may have looked for waiting chunks while this one was running, and a failure may
    # just have stopped the rest.
    if deferred or claim.stop_at_first_failure:
        cancel_waiting(platform, operation_id)
    is_finished = finish(platform, operation_id)
    reported = "finished" if is_finished else report_progress(platform, operation_id)
    is_bulk = claim.queue == "bulk"
    if is_bulk or deferred:
        # The operation's next chunk, or one of another operation of the tenant that waited.
        dispatch_next(platform, operation_id, 1)
    if is_finished and is_bulk:
        wake_audit(platform, surely=True)
    else:
        # One wake-up for many chunks: for each single transition it would cost as much as the work.
        wake_audit(platform, after_s=_AUDIT_DELAY_S)
    return reported


def _change_with_retries(platform: Platform, claim: Claim, held: Held) -> bool | None:
    """Say whether the chunk waits for contended rows; None if another worker has it by now."""
    for tried in range(claim.max_retries + 1):
        try:
            return _change(platform, claim, held, tried)
        except IntegrityError as error:
            # No rule refused it and the database did: it would do so again at every try.
            refusal = Reason("invalid_input", f"The database refuses it: {plain_message(error)}")
            return _change(platform, claim, held, tried, refusal=refusal)
        except DBAPIError as error:
            if not is_retryable(error) or tried == claim.max_retries:
                raise
            time.sleep(backoff_s(tried))
    raise AssertionError("unreachable: the last try returns or raises")


def _change(
    platform: Platform, claim: Claim, held: Held, tried: int, refusal: Reason | None = None
) -> bool | None:
    begun = time.perf_counter()
    with _transaction(platform, claim.isolation_level) as db:
        operation = _read_claimed(platform, db, claim)
        if operation is None:
            return None
        change = change_for(platform, operation)
        contended = {claim.ids[position]: holder for position, holder in held.contended.items()}
        # All or nothing: free rows wait with contended ones, unless those have waited too long.
        together = claim.atomic and claim.contended_for_s < claim.wait_s
        free = (
            [] if contended and together else [item for item in claim.ids if item not in contended]
        )
        outcomes, contended_rows, now = _judge(platform, db, change, free, held)
        if contended_rows and together:
            outcomes = Outcomes()
        if refusal is not None:
            outcomes.take_back({row.id: refusal for row in outcomes.passed})
        contended |= dict.fromkeys(contended_rows, Holder("a database session", now.isoformat()))
        waiting = _wait_or_fail(outcomes, claim, operation, contended)
        if claim.atomic and not waiting and not operation.dry_run:
            _all_or_nothing(outcomes)
        elif operation.stop_at_first_failure and outcomes.failures:
            _stop_at_first_failure(db, operation, outcomes)
        if not operation.dry_run:
            held.renew()
            measured = Measured(
                round((time.perf_counter() - begun) * 1000, 3),
                round(held.waited_ms, 3),
                claim.retries + tried,
            )
            change.write(db, outcomes, now)
            change.log(db, outcomes, now, measured)
            _hook_inside(platform, db, change, outcomes, now)
        if outcomes.failures:
            # A dry run changes nothing, but a denial in it is recorded like any other.
            log_denials(db, change, outcomes, now)
        end_claim(db, claim, operation, outcomes, waiting=waiting)
        platform.step("writing")
    return waiting


def _hook_inside(
    platform: Platform, db: Connection, change: Change, outcomes: Outcomes, now: datetime
) -> None:
    for hook in platform.hooks if outcomes.passed else ():
        with naming_hook(hook):
            hook.inside(db, change.operation, outcomes.passed, now)


def _transaction(platform: Platform, isolation_level: str) -> Any:
    if isolation_level == "READ COMMITTED":
        return platform.database.begin()
    return platform.database.execution_options(isolation_level=isolation_level).begin()


def _read_claimed(platform: Platform, db: Connection, claim: Claim) -> Row[Any] | None:
    pace = platform.pace
    is_single = claim.queue == "interactive"
    statement_s = pace.person_statement_s if is_single else pace.statement_s
    return db.execute(
        _READ_CLAIMED,
        {
            "statement_timeout": f"{round(statement_s * 1000)}",
            "operation_id": claim.operation_id,
            "chunk_no": claim.chunk_no,
            "token": claim.token,
        },
    ).one_or_none()


def _judge(
    platform: Platform, db: Connection, change: Change, ids: Sequence[int], held: Held
) -> tuple[Outcomes, set[int], datetime]:
    operation = change.operation
    slices = [ids[first : first + _SLICE_ROWS] for first in range(0, len(ids), _SLICE_ROWS)]
    locked = []
    for slice_ids in slices:
        locked.append(change.lock(db, slice_ids))
        held.renew()
    now = platform.clock(db)
    expected = _expected(operation)
    outcomes = Outcomes()
    contended: set[int] = set()
    for slice_ids, (rows, contended_rows) in zip(slices, locked, strict=True):
        contended |= contended_rows
        outcomes.add(change.judge(rows, set(slice_ids) - contended_rows, expected, now))
        held.renew()
        if operation.atomic and len(slices) > 1:
            counts = count(outcomes.outcomes.values(), operation.total)
            elapsed_s = (now - (operation.started_at or now)).total_seconds()
            platform.results.store_progress(str(operation.id), progress(counts, elapsed_s))
    for hook in platform.hooks if outcomes.passed else ():
        with naming_hook(hook):
            outcomes.take_back(hook.before(db, operation, outcomes.passed, now) or {})
    if outcomes.failures and expected:
        add_last_writers(db, operation.kind, outcomes)
    return outcomes, contended, now


def _expected(operation: Row[Any]) -> dict[int, int]:
    if operation.expected_versions is None:
        return {}
    pairs = zip(operation.ids, operation.expected_versions, strict=True)
    return {row_id: version for row_id, version in pairs if version is not None}


def _wait_or_fail(
    outcomes: Outcomes, claim: Claim, operation: Row[Any], contended: dict[int, Holder]
) -> bool:
    """Say whether the chunk waits for contended rows; fail those that have waited too long."""
    if not contended:
        return False
    if operation.state == "CANCELLING":
        outcomes.outcomes.update(
            dict.fromkeys(set(claim.ids) - outcomes.outcomes.keys(), Outcome.CANCELLED)
        )
        return False
    if claim.contended_for_s < claim.wait_s:
        return True
    for row_id, holder in contended.items():
        since = f"{holder.operation} since {holder.since}"
        outcomes.fail(
            row_id,
            [
                Reason(
                    "locked", f"Locked by {since}; waited {claim.contended_for_s:.1f} s. Try later"
                )
            ],
            holder=holder.operation,
            since=holder.since,
        )
    outcomes.outcomes.update(
        dict.fromkeys(set(claim.ids) - outcomes.outcomes.keys(), Outcome.CANCELLED)
    )
    return False


def _all_or_nothing(outcomes: Outcomes) -> None:
    if outcomes.failures or Outcome.CANCELLED in outcomes.outcomes.values():
        outcomes.outcomes.update({row.id: Outcome.CANCELLED for row in outcomes.passed})
        outcomes.passed.clear()


def _stop_at_first_failure(db: Connection, operation: Row[Any], outcomes: Outcomes) -> None:
    """Cancel everything after the first failure, in this chunk and in later ones."""
    first = min(outcomes.failures)
    later = {row_id for row_id in outcomes.outcomes if row_id > first}
    outcomes.outcomes.update(dict.fromkeys(later, Outcome.CANCELLED))
    outcomes.passed = [row for row in outcomes.passed if row.id not in later]
    outcomes.refused = [row for row in outcomes.refused if row.id not in later]
    outcomes.failures = {first: outcomes.failures[first]}
    db.execute(_CANCEL, {"operation_id": operation.id})
