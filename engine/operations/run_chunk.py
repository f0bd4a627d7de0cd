"""Running a chunk exactly once: claim, locks, the change, release, finish, tell.

`platform.step` is told the name of each step right after it; what a crash there leaves
behind, and who mends it, stands in docs/protocol.md.
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
from engine.input.database_errors import plain_message
from engine.operations.cancel import cancel_waiting
from engine.operations.change_for_verb import change_of
from engine.operations.claim import Claim, backoff_s, end_claim, give_back, take_claim
from engine.operations.dispatch import dispatch_next
from engine.operations.finish import finish, tell_progress
from engine.operations.pause import pause_after_canary
from engine.ports.hooks import naming_hook
from engine.ports.locks import Held, Holder, row_key
from engine.ports.platform import Platform

_RETRIED = ("40001", "40P01")
"""SQLSTATEs of a serialization failure and a deadlock: the change begins anew."""

_SLICE = 1000

_GATHER_S = 0.5

_log = logging.getLogger(__name__)

# The settings hold for this transaction only. No row: the claim is somebody else's by now.
# Every column costs a single transition 10 µs, every statement 300 µs: few of both.
_OPEN = text("""
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


# The rows of the chunk are locked before the operation's: the order that everybody keeps.
_STOP = text("""
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
        _log.error("chunk_failed", extra={"operation_id": str(operation_id), "chunk_no": chunk_no})
        give_back(platform, claim, plain_message(error))
        raise
    platform.step("released")
    if deferred is None:
        # Whoever took over ends the chunk and sends the next: a late one's would be one too many.
        return "handed on: the lease was over"
    if claim.has_canary:
        pause_after_canary(platform, operation_id)
    return _go_on(platform, claim, deferred=deferred)


def _go_on(platform: Platform, claim: Claim, *, deferred: bool) -> str:
    """Finish the operation or tell how far it is, and send what is next."""
    operation_id = claim.operation_id
    # Cancelling may have looked for waiting chunks while this one was running, and a failure
    # may just have stopped the rest.
    if deferred or claim.stop_at_first_failure:
        cancel_waiting(platform, operation_id)
    told = "finished" if finish(platform, operation_id) else tell_progress(platform, operation_id)
    is_bulk = claim.queue == "bulk"
    if is_bulk or deferred:
        # Its own next, or that of another operation of the tenant that has waited for room.
        dispatch_next(platform, operation_id, 1)
    if told == "finished" and is_bulk:
        wake_audit(platform, surely=True)
    else:
        # One wake-up for many chunks: for a single transition each would cost as much as it.
        wake_audit(platform, after_s=_GATHER_S)
    return told


def _change_with_retries(platform: Platform, claim: Claim, held: Held) -> bool | None:
    """Say whether the chunk waits for contended rows; None if it is somebody else's by now."""
    for tried in range(claim.max_retries + 1):
        try:
            return _change(platform, claim, held, tried)
        except IntegrityError as error:
            # No rule of ours said no and the database did: it would again and again.
            reason = Reason("invalid_input", f"The database refuses it: {plain_message(error)}")
            return _change(platform, claim, held, tried, against=reason)
        except DBAPIError as error:
            retried = getattr(error.orig, "sqlstate", None) in _RETRIED
            if not retried or tried == claim.max_retries:
                raise
            time.sleep(backoff_s(tried))
    raise AssertionError("unreachable: the last try returns or raises")


def _change(
    platform: Platform, claim: Claim, held: Held, tried: int, against: Reason | None = None
) -> bool | None:
    begun = time.perf_counter()
    with _transaction(platform, claim.isolation_level) as db:
        operation = _open(platform, db, claim)
        if operation is None:
            return None
        change = change_of(platform, operation)
        contended = {claim.ids[position]: holder for position, holder in held.contended.items()}
        # All or none: what is free waits with the rest, unless the rest waited too long.
        together = claim.atomic and claim.contended_for_s < claim.wait_s
        free = (
            [] if contended and together else [each for each in claim.ids if each not in contended]
        )
        outcomes, contended_rows, now = _judge(platform, db, change, free, held)
        if contended_rows and together:
            outcomes = Outcomes()
        if against is not None:
            outcomes.take_back({each.id: against for each in outcomes.passed})
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
            # A dry run changes nothing, and a denial is one all the same.
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
    platform: Platform, db: Connection, change: Change, ids: Sequence[int], held: Held
) -> tuple[Outcomes, set[int], datetime]:
    operation = change.operation
    slices = [ids[first : first + _SLICE] for first in range(0, len(ids), _SLICE)]
    locked = []
    for each in slices:
        locked.append(change.lock(db, each))
        held.renew()
    now = platform.clock(db)
    expected = _expected(operation)
    outcomes = Outcomes()
    contended: set[int] = set()
    for asked, (rows, contended_rows) in zip(slices, locked, strict=True):
        contended |= contended_rows
        outcomes.add(change.judge(rows, set(asked) - contended_rows, expected, now))
        held.renew()
        if operation.atomic and len(slices) > 1:
            seen = count(outcomes.outcomes.values(), operation.total)
            elapsed_s = (now - (operation.started_at or now)).total_seconds()
            platform.results.store_progress(str(operation.id), progress(seen, elapsed_s))
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
    """Say whether the chunk waits for contended rows; those that waited too long fail instead."""
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
        outcomes.outcomes.update({each.id: Outcome.CANCELLED for each in outcomes.passed})
        outcomes.passed.clear()


def _stop_at_first_failure(db: Connection, operation: Row[Any], outcomes: Outcomes) -> None:
    """Leave everything after the first failure undone, in this chunk and in those to come."""
    first = min(outcomes.failures)
    late = {row_id for row_id in outcomes.outcomes if row_id > first}
    outcomes.outcomes.update(dict.fromkeys(late, Outcome.CANCELLED))
    outcomes.passed = [each for each in outcomes.passed if each.id not in late]
    outcomes.refused = [each for each in outcomes.refused if each.id not in late]
    outcomes.failures = {first: outcomes.failures[first]}
    db.execute(_STOP, {"operation_id": operation.id})
