"""Operations as their owners see them: state, counts, failures, the outcome of each item."""

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
from reads.people import SeenBy

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

# Without a purpose it is a hook, not what came out; and the index holds only what has one.
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

# Whole lists of failures are looked into only in the first chunks that hold a code: an
# operation may have a million failures, and its chunks know how many there are of which code.
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
    """Return of what kind an operation is, and who handed it in.

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
        The columns as `_SHOWN`, `counts` of the items, and `progress` as pollers see it, or
        the `result` if it has ended; and the `children`, which are what came out of it, oldest
        first, each with `id`, `purpose` and `state`.

    Raises:
        NotFound: The tenant has no such operation.
    """
    asked = _operations(tenant_id).add_columns(_CHILDREN.label("children"))
    row = db.execute(asked.where(OperationRow.id == operation_id)).one_or_none()
    if row is None:
        raise NotFound(what="operation", got=str(operation_id))
    return _view(row, _count(db, row)) | {"children": row.children or []}


def list_operations(
    db: Connection,
    tenant_id: int,
    *,
    seen_by: SeenBy | None = None,
    state: str | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Return a tenant's newest operations, counts included, at most *limit* of them.

    Records that an interface wrote one by one are left out. With *seen_by* only what that person
    handed in, and what is of resource types that they may view.

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
    if seen_by is not None:
        theirs = OperationRow.actor_id == seen_by.person_id
        query = query.where(theirs | OperationRow.kind.in_([*seen_by.resource_types, _HOOK]))
    return [_view(row, _count(db, row)) for row in db.execute(query)]


def find_age_s(db: Connection, tenant_id: int, operation_id: UUID) -> float:
    """Return how many seconds ago an operation was handed in, by PostgreSQL's clock.

    Raises:
        NotFound: The tenant has no such operation.
    """
    age = func.extract("epoch", func.clock_timestamp() - OperationRow.created_at)
    found = db.scalar(
        select(age).where(OperationRow.tenant_id == tenant_id, OperationRow.id == operation_id)
    )
    if found is None:
        raise NotFound(what="operation", got=str(operation_id))
    return float(found)


def group_failures(
    db: Connection, tenant_id: int, operation_id: UUID, *, examples: int = 3
) -> list[dict[str, Any]]:
    """Return each code that items failed with, the most frequent first.

    Returns:
        Dicts with `code`, how many `items`, how many of them are `lines` of a file that name no
        row, the `message` of the first of them, and the first `ids`, as many as *examples*.

    Raises:
        NotFound: The tenant has no such operation.
    """
    find_owner(db, tenant_id, operation_id)
    names = {"operation_id": operation_id, "examples": examples}
    return [
        {**each._mapping, "ids": [item_name(row_id) for row_id in each.ids]}
        for each in db.execute(_FAILURES, names)
    ]


def iterate_results(
    database: Engine, tenant_id: int, operation_id: UUID, *, only: Outcome | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the outcome of each item in the order of ids, chunk by chunk.

    Yields:
        `id`, `outcome`, `version` (None while it waits), and for a failure `code`, `message`,
        `retryable`. Of a file's rows also the `line`, and its `cells` as they stood there; a line
        that names no row has no id.

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
        # Whoever reads may take their time: a transaction for each page, not one for all.
        with database.connect() as db:
            page = db.execute(query.where(behind)).all()
        if not page:
            return
        for chunk in page:
            for each in _items(chunk):
                if only is None or each["outcome"] == only.name:
                    yield each


def _items(chunk: Row[Any]) -> Iterator[dict[str, Any]]:
    nothing = [0] * len(chunk.ids)
    failures: Mapping[str, Any] = chunk.failures or {}
    inputs: Mapping[str, Any] = chunk.inputs or {}
    for row_id, outcome, version in zip(
        chunk.ids, chunk.outcomes or nothing, chunk.versions or nothing, strict=True
    ):
        failure = failures.get(str(row_id)) if outcome == Outcome.FAILED else None
        given = inputs.get(str(row_id))
        yield {
            "id": str(row_id) if row_id > 0 else None,
            "outcome": Outcome(outcome).name,
            "version": version or None,
            **({"line": given["line"], "cells": dict(given["cells"])} if given else {}),
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
        "parent_id": row.parent_id and str(row.parent_id),
        "counts": {
            name: getattr(counts, name)
            for name in ("pending", "running", "succeeded", "skipped", "failed", "cancelled")
        },
        "progress": None if row.result else progress(counts, elapsed_s),
    }
