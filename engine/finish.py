"""The end of an operation: stated once, recorded, and told to whoever polls."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, func, select, text, update

from domain.bulk import IDS_IN_RESULT, Counts, Failure, Outcome, final_state, progress, result
from engine.outbox import log_bulk_operation
from engine.platform import Platform
from models.operation import Chunk, Operation

# Run after the chunk's own commit: inside it, two last chunks would each see the other open,
# and nobody would finish. The later of the two sees both closed.
_LOCK_FINISHED = text("""
SELECT o.* FROM operation o
 WHERE o.id = :operation_id AND o.state IN ('RUNNING', 'CANCELLING')
   AND NOT EXISTS (SELECT FROM operation_chunk c
                    WHERE c.operation_id = o.id AND c.status IN ('PENDING', 'RUNNING'))
   FOR UPDATE
""")

_CODES = text("""
SELECT code.key, sum(CAST(code.value AS int))::int AS failed
  FROM operation_chunk c, jsonb_each_text(c.failure_codes) AS code
 WHERE c.operation_id = :operation_id AND c.failure_codes IS NOT NULL
 GROUP BY code.key ORDER BY failed DESC, code.key
""")

_DEAD = func.coalesce(func.sum(func.cardinality(Chunk.ids)).filter(Chunk.status == "DEAD"), 0)


def finish(platform: Platform, operation_id: UUID) -> bool:
    """End an operation whose chunks have all ended, once; return whether this call did."""
    with platform.database.begin() as db:
        operation = db.execute(_LOCK_FINISHED, {"operation_id": operation_id}).one_or_none()
        if operation is None:
            return False
        told = _end(platform, db, operation)
    platform.step("finished")
    store_result(platform, operation_id, told)
    platform.step("stored")
    return True


def _end(platform: Platform, db: Connection, operation: Row[Any]) -> dict[str, Any]:
    counts, dead = read_counts(db, operation.id, operation.total)
    succeeded, failures = _items(db, operation) if operation.total <= IDS_IN_RESULT else ((), ())
    codes = db.execute(_CODES, {"operation_id": operation.id}) if counts.failed else ()
    now = platform.clock(db)
    state = final_state(
        counts, atomic=operation.atomic, cancelling=operation.state == "CANCELLING", dead=dead
    )
    told = result(
        operation_id=str(operation.id),
        operation_type=operation.operation_type,
        state=state,
        counts=counts,
        succeeded_ids=succeeded,
        failures=failures,
        failure_codes={each.key: each.failed for each in codes},
        warnings=_warnings(operation, counts),
        started_at=operation.started_at or now,
        finished_at=now,
    )
    db.execute(
        update(Operation)
        .where(Operation.id == operation.id)
        .values(state=state, finished_at=now, result=told)
    )
    if operation.total > 1 and not operation.dry_run:
        log_bulk_operation(db, operation=operation, result=told, now=now)
    return told


def _warnings(operation: Row[Any], counts: Counts) -> list[str]:
    warnings = []
    if operation.dry_run:
        warnings.append("Dry run: nothing was changed")
    if counts.skipped:
        warnings.append(f"{counts.skipped} already in {operation.target_state}: left as they were")
    return warnings


def read_counts(db: Connection, operation_id: UUID, total: int) -> tuple[Counts, int]:
    """Return an operation's counts, summed over its chunks, and the items of dead chunks."""
    row = db.execute(
        select(
            func.coalesce(func.sum(Chunk.succeeded), 0),
            func.coalesce(func.sum(Chunk.skipped), 0),
            func.coalesce(func.sum(Chunk.failed), 0),
            func.coalesce(func.sum(Chunk.cancelled), 0),
            func.coalesce(
                func.sum(func.cardinality(Chunk.ids)).filter(Chunk.status == "RUNNING"), 0
            ),
            _DEAD,
        ).where(Chunk.operation_id == operation_id)
    ).one()
    *counted, dead = (int(each) for each in row)
    return Counts(total, *counted), dead


def _items(db: Connection, operation: Row[Any]) -> tuple[Sequence[int], Sequence[Failure]]:
    succeeded: list[int] = []
    failures: list[Failure] = []
    chunks = db.execute(
        select(Chunk.ids, Chunk.outcomes, Chunk.failures)
        .where(Chunk.operation_id == operation.id)
        .order_by(Chunk.chunk_no)
    )
    for ids, outcomes, told in chunks:
        succeeded += [
            row_id
            for row_id, outcome in zip(ids, outcomes, strict=True)
            if outcome == Outcome.SUCCEEDED
        ]
        failures += [
            Failure(int(row_id), each["code"], each["message"], tuple(each["codes"]))
            for row_id, each in (told or {}).items()
        ]
    return succeeded, sorted(failures, key=lambda each: each.id)


def store_result(platform: Platform, operation_id: UUID, told: dict[str, Any]) -> None:
    """Put an ended operation's result where its pollers look, and note that it is there."""
    if platform.results.store_result(str(operation_id), told):
        with platform.database.begin() as db:
            db.execute(
                update(Operation)
                .where(Operation.id == operation_id, Operation.result_stored_at.is_(None))
                .values(result_stored_at=func.clock_timestamp())
            )


def tell_progress(platform: Platform, operation_id: UUID) -> str:
    """Tell pollers how far an unfinished operation is; return it as a short text."""
    with platform.database.connect() as db:
        operation = db.execute(
            select(
                Operation.total,
                func.extract("epoch", func.clock_timestamp() - Operation.started_at).label("s"),
            ).where(Operation.id == operation_id)
        ).one()
        counts, _ = read_counts(db, operation_id, operation.total)
    told = progress(counts, float(operation.s or 0.0))
    platform.results.store_progress(str(operation_id), told)
    return f"{told['done']}/{told['total']} ({told['percent']} %)"
