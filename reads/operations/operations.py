"""Operations: read state, counts and failures of operations, and the outcome of each item."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, Row, Select, func, select, text
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import aliased

from domain.bulk import Counts, Outcome, item_name, progress
from domain.errors import InvalidInput, NotFound
from domain.machines.operation import OPERATION
from models.operation import Chunk, OperationRow
from models.people import Person
from models.scheduled_run import ScheduledRun
from reads.people import Viewer

_SHOWN = (
    OperationRow.id,
    OperationRow.kind,
    OperationRow.operation_type,
    OperationRow.state,
    OperationRow.total,
    OperationRow.comments,
    OperationRow.reason,
    OperationRow.atomic,
    OperationRow.dry_run,
    OperationRow.run_at,
    OperationRow.cancelled_by,
    OperationRow.paused_by,
    OperationRow.held,
    OperationRow.selection.label("where"),
    OperationRow.parent_id,
    OperationRow.purpose,
    OperationRow.canary,
    OperationRow.rate,
    OperationRow.created_at,
    OperationRow.started_at,
    OperationRow.finished_at,
    OperationRow.result,
    Person.name.label("actor"),
    func.extract("epoch", func.clock_timestamp() - OperationRow.started_at).label("elapsed_s"),
    select(ScheduledRun.id)
    .where(ScheduledRun.operation_id == OperationRow.id)
    .correlate(OperationRow)
    .exists()
    .label("by_clock"),
)

_Child = aliased(OperationRow)

# Without a purpose it is an operation of a hook; the index holds only those with one.
_CHILDREN = (
    select(
        func.jsonb_agg(
            aggregate_order_by(
                func.jsonb_build_object(
                    *("id", _Child.id, "purpose", _Child.purpose, "state", _Child.state)
                ),
                _Child.created_at,
            )
        )
    )
    .where(_Child.parent_id == OperationRow.id, _Child.purpose.is_not(None))
    .correlate(OperationRow)
    .scalar_subquery()
)

_HOOK = "hook"
_CHUNKS_AT_ONCE = 10
_BEFORE_ALL = -(2**31)
_NOT_LISTED = ("create", "update_record", "delete")

# Whole lists of failures are read only in the first chunks that have a code: an operation may have
# a million failures, and its chunks know how many they have of each code.
_FAILURES = text("""
WITH counted AS (
  SELECT c.chunk_no, code.key AS code, CAST(code.value AS int) AS items,
         row_number() OVER (PARTITION BY code.key ORDER BY c.chunk_no) AS nth
    FROM operation_chunk c, jsonb_each_text(c.failure_codes) AS code
   WHERE c.operation_id = :operation_id AND c.failure_codes IS NOT NULL
), examples AS (
  SELECT counted.code, told.id, told.message,
         row_number() OVER (PARTITION BY counted.code ORDER BY told.id) AS nth
    FROM counted
    JOIN operation_chunk c
      ON c.operation_id = :operation_id AND c.chunk_no = counted.chunk_no,
         LATERAL (SELECT CAST(item.key AS bigint) AS id, item.value ->> 'message' AS message
                    FROM jsonb_each(c.failures) AS item
                   WHERE item.value ->> 'code' = counted.code
                   ORDER BY CAST(item.key AS bigint) LIMIT :examples) AS told
   WHERE counted.nth <= :examples
)
SELECT total.code, total.items, total.lines, first.message, first.ids
  FROM (SELECT code, sum(items)::int AS items,
               coalesce(sum(items) FILTER (WHERE chunk_no < 0), 0)::int AS lines
          FROM counted GROUP BY code) AS total
  JOIN (SELECT code, array_agg(id ORDER BY id) AS ids,
               (array_agg(message ORDER BY id))[1] AS message
          FROM examples WHERE nth <= :examples GROUP BY code) AS first USING (code)
 ORDER BY total.items DESC, total.code
""")


def find_owner(db: Connection, tenant_id: int, operation_id: UUID) -> tuple[str, int | None]:
    """Return the resource type of an operation, and who submitted it.

    Raises:
        NotFound: The tenant has no such operation.
    """
    query = select(OperationRow.kind, OperationRow.actor_id).where(
        OperationRow.tenant_id == tenant_id, OperationRow.id == operation_id
    )
    row = db.execute(query).one_or_none()
    if row is None:
        raise NotFound(what="operation", got=str(operation_id))
    return row.kind, row.actor_id


def find_operation(db: Connection, tenant_id: int, operation_id: UUID) -> dict[str, Any]:
    """Return one operation with its counts as they are stored now.

    Returns:
        The columns of `_SHOWN`, `counts` of the items, and `progress` as pollers see it, or the
        `result` if it has ended; and the `children`, its follow-up operations, oldest first, each
        with `id`, `purpose` and `state`.

    Raises:
        NotFound: The tenant has no such operation.
    """
    query = _operations(tenant_id).add_columns(_CHILDREN.label("children"))
    row = db.execute(query.where(OperationRow.id == operation_id)).one_or_none()
    if row is None:
        raise NotFound(what="operation", got=str(operation_id))
    return _view(row, _count(db, row)) | {"children": row.children or []}


def list_operations(
    db: Connection,
    tenant_id: int,
    *,
    viewer: Viewer | None = None,
    state: str | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Return a tenant's newest operations, counts included, at most *limit* of them.

    Records that an interface wrote one by one are left out. With *viewer* only operations that
    this person submitted, and those of resource types that they may view.

    Raises:
        InvalidInput: There is no such state.
    """
    if state is not None and state.upper() not in OPERATION.states:
        expected = f"one of {', '.join(OPERATION.states)}"
        raise InvalidInput(field="state", got=state, expected=expected)
    query = (
        _operations(tenant_id)
        .where(OperationRow.verb.not_in(_NOT_LISTED))
        .order_by(OperationRow.created_at.desc())
        .limit(limit)
    )
    if state is not None:
        query = query.where(OperationRow.state == state.upper())
    if viewer is not None:
        theirs = OperationRow.actor_id == viewer.person_id
        query = query.where(theirs | OperationRow.kind.in_([*viewer.resource_types, _HOOK]))
    return [_view(row, _count(db, row)) for row in db.execute(query)]


def find_age_s(db: Connection, tenant_id: int, operation_id: UUID) -> float:
    """Return how many seconds ago an operation was submitted, by PostgreSQL's clock.

    Raises:
        NotFound: The tenant has no such operation.
    """
    age = func.extract("epoch", func.clock_timestamp() - OperationRow.created_at)
    age_s = db.scalar(
        select(age).where(OperationRow.tenant_id == tenant_id, OperationRow.id == operation_id)
    )
    if age_s is None:
        raise NotFound(what="operation", got=str(operation_id))
    return float(age_s)


def group_failures(
    db: Connection, tenant_id: int, operation_id: UUID, *, examples: int = 3
) -> list[dict[str, Any]]:
    """Return each code that items failed with, most frequent first.

    Returns:
        Dicts with `code`, how many `items`, how many of them are `lines` of a file that name no
        row, the `message` of the first of them, and the first `ids`, as many as *examples*.

    Raises:
        NotFound: The tenant has no such operation.
    """
    find_owner(db, tenant_id, operation_id)
    names = {"operation_id": operation_id, "examples": examples}
    return [
        {**row._mapping, "ids": [item_name(row_id) for row_id in row.ids]}
        for row in db.execute(_FAILURES, names)
    ]


def iterate_results(
    database: Engine, tenant_id: int, operation_id: UUID, *, only: Outcome | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the outcome of each item in the order of ids, chunk by chunk.

    Yields:
        `id`, `outcome`, `version` (None while it waits), and for a failure `code`, `message`,
        `retryable`. For rows of a file also the `line`, and its original `cells`; a line that
        names no row has no id.

    Raises:
        NotFound: The tenant has no such operation.
    """
    with database.connect() as db:
        find_owner(db, tenant_id, operation_id)
    query = (
        select(
            *(Chunk.chunk_no, Chunk.ids, Chunk.outcomes, Chunk.versions),
            *(Chunk.failures, Chunk.inputs),
        )
        .where(Chunk.operation_id == operation_id)
        .order_by(Chunk.chunk_no)
        .limit(_CHUNKS_AT_ONCE)
    )
    page: Sequence[Row[Any]] = ()
    while not page or len(page) == _CHUNKS_AT_ONCE:
        behind = Chunk.chunk_no > (page[-1].chunk_no if page else _BEFORE_ALL)
        # The reader may take long, so each page has its own transaction.
        with database.connect() as db:
            page = db.execute(query.where(behind)).all()
        if not page:
            return
        for chunk in page:
            for item in _items(chunk):
                if only is None or item["outcome"] == only.name:
                    yield item


def _items(chunk: Row[Any]) -> Iterator[dict[str, Any]]:
    zeros = [0] * len(chunk.ids)
    failures: Mapping[str, Any] = chunk.failures or {}
    inputs: Mapping[str, Any] = chunk.inputs or {}
    for row_id, outcome, version in zip(
        chunk.ids, chunk.outcomes or zeros, chunk.versions or zeros, strict=True
    ):
        failure = failures.get(str(row_id)) if outcome == Outcome.FAILED else None
        row_input = inputs.get(str(row_id))
        yield {
            "id": str(row_id) if row_id > 0 else None,
            "outcome": Outcome(outcome).name,
            "version": version or None,
            **({"line": row_input["line"], "cells": dict(row_input["cells"])} if row_input else {}),
            **(failure or {}),
        }


def _operations(tenant_id: int) -> Select[Any]:
    return (
        select(*_SHOWN)
        .outerjoin(Person, Person.id == OperationRow.actor_id)
        .where(OperationRow.tenant_id == tenant_id)
    )


def _count(db: Connection, operation: Row[Any]) -> Counts:
    if operation.result:
        names = ("successful_items", "skipped_items", "failed_items", "cancelled_items")
        return Counts(operation.total, *(operation.result[name] for name in names))
    sums = [Chunk.succeeded, Chunk.skipped, Chunk.failed, Chunk.cancelled]
    waiting = func.cardinality(Chunk.ids) - sum(sums[1:], start=sums[0])
    row = db.execute(
        select(
            *(func.coalesce(func.sum(column), 0) for column in sums),
            func.coalesce(func.sum(waiting).filter(Chunk.status == "RUNNING"), 0),
        ).where(Chunk.operation_id == operation.id)
    ).one()
    return Counts(operation.total, *(int(number) for number in row))


def _view(row: Row[Any], counts: Counts) -> dict[str, Any]:
    shown = dict(row._mapping)
    elapsed_s = float(shown.pop("elapsed_s") or 0.0)
    return shown | {
        "id": str(row.id),
        "parent_id": row.parent_id and str(row.parent_id),
        "counts": {
            name: getattr(counts, name)
            for name in ("pending", "running", "succeeded", "skipped", "failed", "cancelled")
        },
        "progress": None if row.result else progress(counts, elapsed_s),
    }
