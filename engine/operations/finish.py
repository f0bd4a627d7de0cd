"""Finish: end an operation once, record its result, and give it to pollers."""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, TextClause, bindparam, text, update

from domain.bulk import (
    IDS_IN_RESULT,
    Counts,
    Failure,
    Outcome,
    count,
    final_state,
    progress,
    result,
)
from engine.audit.outbox import log_bulk_operation
from engine.changes.hook_run import VERB
from engine.operations.dispatch import dispatch_next
from engine.operations.hook_operations import add_followups, hooks_that_follow
from engine.ports.platform import Platform
from models.operation import OperationRow

# Run after the chunk's own commit: inside it, the transactions of the last two chunks would each
# see the other's chunk open, and nobody would finish. The later of the two sees both closed.
# SKIP LOCKED: whoever holds the row is finishing the operation, or is cancelling, pausing or
# resuming it and finishes it afterwards.
_LOCK_FINISHED = """
SELECT o.id, o.tenant_id, o.actor_id, o.kind, o.verb, o.state, o.operation_type, o.target_state,
       o.atomic, o.dry_run, o.stop_at_first_failure, o.total, o.started_at, {wanted} AS wanted,
       o.cancelled_by, clock_timestamp() AS now,
       (SELECT jsonb_agg(jsonb_build_array(c.ids, c.outcomes, c.failures, c.status)
                         ORDER BY c.chunk_no)
          FROM operation_chunk c
         WHERE c.operation_id = o.id AND o.total <= :listed) AS chunks
  FROM operation o
 WHERE o.id = :operation_id AND o.state IN ('QUEUED', 'RUNNING', 'PAUSED', 'CANCELLING')
   AND NOT EXISTS (SELECT FROM operation_chunk c
                    WHERE c.operation_id = o.id AND c.status IN ('PENDING', 'RUNNING'))
   FOR UPDATE OF o SKIP LOCKED
"""

_CODES = text("""
SELECT code.key, sum(CAST(code.value AS int))::int AS failed
  FROM operation_chunk c, jsonb_each_text(c.failure_codes) AS code
 WHERE c.operation_id = :operation_id AND c.failure_codes IS NOT NULL
 GROUP BY code.key
""")

_SUMS = text("""
SELECT coalesce(sum(succeeded), 0)::int, coalesce(sum(skipped), 0)::int,
       coalesce(sum(failed), 0)::int, coalesce(sum(cancelled), 0)::int,
       coalesce(sum(cardinality(ids)) FILTER (WHERE status = 'RUNNING'), 0)::int,
       coalesce(sum(cardinality(ids)) FILTER (WHERE status = 'DEAD'), 0)::int
  FROM operation_chunk WHERE operation_id = :operation_id
""")

_END = (
    update(OperationRow)
    .where(OperationRow.id == bindparam("operation_id"))
    .values(state=bindparam("end_state"), finished_at=bindparam("now"), result=bindparam("ended"))
)

_STORED = text("""
UPDATE operation SET result_stored_at = clock_timestamp()
 WHERE id = :operation_id AND result_stored_at IS NULL
""")

_PROGRESS = text("""
SELECT o.total, coalesce(extract(epoch FROM clock_timestamp() - o.started_at), 0)::float,
       sum(c.succeeded)::int, sum(c.skipped)::int, sum(c.failed)::int, sum(c.cancelled)::int
  FROM operation o JOIN operation_chunk c ON c.operation_id = o.id
 WHERE o.id = :operation_id GROUP BY o.id
""")


def finish(platform: Platform, operation_id: UUID) -> bool:
    """End an operation whose chunks have all ended, once; return whether this call did it."""
    with platform.database.begin() as db:
        names = {"operation_id": operation_id, "listed": IDS_IN_RESULT}
        conditions = tuple(str(hook.wanted) for hook in hooks_that_follow(platform))
        operation = db.execute(_lock_finished(conditions), names).one_or_none()
        if operation is None:
            return False
        ended_result = _end(db, operation)
        followups = add_followups(platform, db, operation, ended_result)
    platform.step("finished")
    for followup_id in followups:
        dispatch_next(platform, followup_id, platform.pace.in_flight_limit)
    store_result(platform, operation_id, ended_result)
    platform.step("stored")
    return True


@cache
def _lock_finished(conditions: tuple[str, ...]) -> TextClause:
    array = f"ARRAY[{', '.join(conditions)}]" if conditions else "CAST('{}' AS boolean[])"
    return text(_LOCK_FINISHED.format(wanted=array))


def _end(db: Connection, operation: Row[Any]) -> dict[str, Any]:
    if operation.total <= IDS_IN_RESULT:
        counts, dead_lettered, succeeded, failures = _items(operation)
        codes = Counter(failure.code for failure in failures)
    else:
        counts, dead_lettered = read_counts(db, operation.id, operation.total)
        succeeded, failures = [], []
        codes = Counter(dict(db.execute(_CODES, {"operation_id": operation.id}).all()))
    # What stopped by its own first failure wasn't cancelled by anybody.
    cancelling = operation.cancelled_by is not None
    # A dry run of all or nothing has nothing to roll back: each item reports its own outcome.
    atomic = operation.atomic and not operation.dry_run
    state = final_state(counts, atomic=atomic, cancelling=cancelling, dead=dead_lettered)
    ended_result = result(
        operation_id=str(operation.id),
        operation_type=operation.operation_type,
        state=state,
        counts=counts,
        succeeded_ids=succeeded,
        failures=failures,
        failure_codes=dict(codes.most_common()),
        warnings=_warnings(operation, counts),
        started_at=operation.started_at or operation.now,
        finished_at=operation.now,
    )
    names = {
        "operation_id": operation.id,
        "end_state": state,
        "now": operation.now,
        "ended": ended_result,
    }
    db.execute(_END, names)
    if operation.total > 1 and not operation.dry_run and operation.verb != VERB:
        log_bulk_operation(db, operation=operation, result=ended_result, now=operation.now)
    return ended_result


def _warnings(operation: Row[Any], counts: Counts) -> list[str]:
    warnings = []
    if operation.dry_run:
        warnings.append("Dry run: nothing was changed")
        if operation.atomic and counts.failed:
            warnings.append("All or nothing was asked for: nothing would be changed")
    if operation.cancelled_by and counts.cancelled:
        warnings.append(f"Cancelled by {operation.cancelled_by}: {counts.cancelled:,} not done")
    elif operation.stop_at_first_failure and counts.failed and counts.cancelled:
        warnings.append(f"Stopped at the first failure: {counts.cancelled:,} not done")
    if counts.skipped:
        target = f"in {operation.target_state}" if operation.target_state else "as asked"
        warnings.append(f"{counts.skipped:,} already {target}: left as they were")
    if operation.total > IDS_IN_RESULT:
        warnings.append(
            f"More than {IDS_IN_RESULT:,} items: their ids and reasons come from "
            "`operations results`"
        )
    return warnings


def read_counts(db: Connection, operation_id: UUID, total: int) -> tuple[Counts, int]:
    """Return an operation's counts, summed over its chunks, and its dead-lettered items."""
    *sums, dead_lettered = db.execute(_SUMS, {"operation_id": operation_id}).one()
    return Counts(total, *sums), dead_lettered


def _items(operation: Row[Any]) -> tuple[Counts, int, Sequence[int], Sequence[Failure]]:
    outcomes: dict[int, int] = {}
    failures: list[Failure] = []
    dead_lettered = 0
    for ids, chunk_outcomes, chunk_failures, status in operation.chunks:
        outcomes.update(zip(ids, chunk_outcomes, strict=True))
        dead_lettered += len(ids) if status == "DEAD" else 0
        failures += [
            Failure(int(row_id), failure["code"], failure["message"], tuple(failure["codes"]))
            for row_id, failure in (chunk_failures or {}).items()
        ]
    succeeded = [row_id for row_id, outcome in outcomes.items() if outcome == Outcome.SUCCEEDED]
    failures.sort(key=lambda failure: failure.id)
    return count(outcomes.values(), operation.total), dead_lettered, succeeded, failures


def store_result(platform: Platform, operation_id: UUID, ended_result: dict[str, Any]) -> bool:
    """Store an ended operation's result where pollers look, and note that it is stored.

    Returns:
        Whether it is stored; if Redis is away, the sweeper stores it later.
    """
    if not platform.results.store_result(str(operation_id), ended_result):
        return False
    platform.step("storing")
    with platform.single.connect() as db:
        db.execute(_STORED, {"operation_id": operation_id})
    return True


def report_progress(platform: Platform, operation_id: UUID) -> str:
    """Store how far an unfinished operation is, for its pollers; return it as a short text."""
    with platform.single.connect() as db:
        total, elapsed_s, *sums = db.execute(_PROGRESS, {"operation_id": operation_id}).one()
    reported = progress(Counts(total, *sums), elapsed_s)
    platform.results.store_progress(str(operation_id), reported)
    platform.step("progress_stored")
    return f"{reported['done']}/{reported['total']} ({reported['percent']} %)"
