"""Operations as their owners see them: state, counts, failures, the outcome of each item."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Select, func, select

from domain.bulk import Counts, Outcome, progress
from domain.errors import NotFound
from models.operation import Chunk, Operation
from models.people import Person

_SHOWN = (
    Operation.id,
    Operation.kind,
    Operation.operation_type,
    Operation.state,
    Operation.total,
    Operation.comments,
    Operation.reason,
    Operation.atomic,
    Operation.dry_run,
    Operation.created_at,
    Operation.started_at,
    Operation.finished_at,
    Operation.result,
    Person.name.label("actor"),
    func.extract("epoch", func.clock_timestamp() - Operation.started_at).label("elapsed_s"),
)


def find_operation(db: Connection, tenant_id: int, operation_id: UUID) -> dict[str, Any]:
    """Return one operation with its counts as they are stored now.

    Returns:
        The columns as `_SHOWN`, `counts` of the items, and `progress` as pollers see it, or
        the `result` if it has ended.

    Raises:
        NotFound: The tenant has no such operation.
    """
    row = db.execute(_operations(tenant_id).where(Operation.id == operation_id)).one_or_none()
    if row is None:
        raise NotFound(what="operation", got=str(operation_id))
    return _view(row, _count(db, row))


def list_operations(
    db: Connection, tenant_id: int, *, state: str | None, limit: int
) -> list[dict[str, Any]]:
    """Return a tenant's newest operations, counts included, at most *limit* of them."""
    query = _operations(tenant_id).order_by(Operation.created_at.desc()).limit(limit)
    if state is not None:
        query = query.where(Operation.state == state)
    return [_view(row, _count(db, row)) for row in db.execute(query)]


def iterate_results(
    db: Connection, tenant_id: int, operation_id: UUID, *, only: Outcome | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the outcome of each item in the order of ids, chunk by chunk.

    Yields:
        `id`, `outcome`, `version` (None while it waits), and for a failure `code`, `message`,
        `retryable`.

    Raises:
        NotFound: The tenant has no such operation.
    """
    find_operation(db, tenant_id, operation_id)
    chunks = db.execute(
        select(Chunk.ids, Chunk.outcomes, Chunk.versions, Chunk.failures)
        .where(Chunk.operation_id == operation_id)
        .order_by(Chunk.chunk_no)
        .execution_options(yield_per=10)
    )
    for chunk in chunks:
        yield from (each for each in _items(chunk) if only is None or each["outcome"] == only.name)


def _items(chunk: Row[Any]) -> Iterator[dict[str, Any]]:
    nothing = [0] * len(chunk.ids)
    failures: Mapping[str, Any] = chunk.failures or {}
    for row_id, outcome, version in zip(
        chunk.ids, chunk.outcomes or nothing, chunk.versions or nothing, strict=True
    ):
        failure = failures.get(str(row_id)) if outcome == Outcome.FAILED else None
        yield {
            "id": str(row_id),
            "outcome": Outcome(outcome).name,
            "version": version or None,
            **(failure or {}),
        }


def _operations(tenant_id: int) -> Select[Any]:
    return (
        select(*_SHOWN)
        .outerjoin(Person, Person.id == Operation.actor_id)
        .where(Operation.tenant_id == tenant_id)
    )


def _count(db: Connection, operation: Row[Any]) -> Counts:
    if operation.result:
        ended = ("successful_items", "skipped_items", "failed_items", "cancelled_items")
        return Counts(operation.total, *(operation.result[each] for each in ended))
    sums = [Chunk.succeeded, Chunk.skipped, Chunk.failed, Chunk.cancelled]
    waiting = func.cardinality(Chunk.ids) - sum(sums[1:], start=sums[0])
    row = db.execute(
        select(
            *(func.coalesce(func.sum(each), 0) for each in sums),
            func.coalesce(func.sum(waiting).filter(Chunk.status == "RUNNING"), 0),
        ).where(Chunk.operation_id == operation.id)
    ).one()
    return Counts(operation.total, *(int(each) for each in row))


def _view(row: Row[Any], counts: Counts) -> dict[str, Any]:
    shown = dict(row._mapping)
    elapsed_s = float(shown.pop("elapsed_s") or 0.0)
    return shown | {
        "id": str(row.id),
        "counts": {
            name: getattr(counts, name)
            for name in ("pending", "running", "succeeded", "skipped", "failed", "cancelled")
        },
        "progress": None if row.result else progress(counts, elapsed_s),
    }
