"""Chunking: store an operation over the rows of a query, with its chunks, in one statement.

However many rows there are, none of them comes to the caller: PostgreSQL divides them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Any, cast

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Integer,
    Select,
    Table,
    Text,
    TextualSelect,
    and_,
    case,
    func,
    insert,
    literal,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by
from sqlalchemy.dialects.postgresql import insert as upsert

from domain.permissions import Actor
from engine.ports.platform import Pace
from models.operation import Chunk, OperationRow

Rows = Select[Any, Any, Any] | TextualSelect
"""A query for each row's `id`, its expected `version` and its `inputs`."""


@dataclass(frozen=True, slots=True)
class StoredChunks:
    """How many rows a query chose, and how many chunks were stored for them.

    Attributes:
        total: The rows that were chosen.
        chunks: The chunks that were stored; 0 if the number of rows was refused, or if there is
            such an operation already.
    """

    total: int
    chunks: int


@dataclass(frozen=True, slots=True)
class ChunkPlan:
    """How an operation is divided into chunks, and which are dispatched when it is stored.

    Attributes:
        items: The items of one chunk.
        in_flight_limit: How many chunks are dispatched at once.
        head: The items of the first chunk; 0 means as many as the others have.
        apart_s: The seconds between two dispatched chunks.
        canary_ends_before_chunk: The first chunk that waits until somebody resumes.
    """

    items: int
    in_flight_limit: int
    head: int = 0
    apart_s: float = 0.0
    canary_ends_before_chunk: int | None = None

    @classmethod
    def of(
        cls,
        pace: Pace,
        *,
        atomic: bool,
        items: int | None = None,
        rate: float | None = None,
        parallel: int | None = None,
        canary: int | None = None,
        is_later: bool = False,
    ) -> "ChunkPlan":
        """Return the plan of an operation with these options; None stands for each default.

        An operation for later dispatches nothing: the sweeper does when it is due.
        """
        # All or nothing is one transaction, and a transaction is a chunk.
        if atomic:
            return cls(items=pace.atomic_items, in_flight_limit=0 if is_later else 1)
        size = items or pace.chunk_items
        if rate is not None:
            # Nobody should get a minute's worth of items at once.
            size = min(size, ceil(rate))
        canary_chunks = None if canary is None else ceil(canary / size)
        at_once = min(
            pace.in_flight_limit,
            parallel or pace.in_flight_limit,
            canary_chunks or pace.in_flight_limit,
        )
        return cls(
            items=size,
            head=(canary or 0) % size,
            in_flight_limit=0 if is_later else at_once,
            apart_s=size / rate if rate else 0.0,
            canary_ends_before_chunk=canary_chunks,
        )

    @property
    def is_plain(self) -> bool:
        """Say whether all chunks have the same size and none waits for another."""
        return self.canary_ends_before_chunk is None and not self.apart_s


def origin_of(actor: Actor) -> str | None:
    """Return where a request came from, as JSON for the operation; None if it isn't known."""
    return json.dumps(actor.origin.as_dict) if actor.origin.as_dict else None


def materialize(
    db: Connection,
    values: Mapping[str, Any],
    chosen: Rows,
    plan: ChunkPlan,
    *,
    most: int,
    expected: int | None = None,
) -> StoredChunks:
    """Store an operation over the rows of a query, unless they are none or too many.

    Args:
        db: A connection.
        values: The operation's columns by name; JSON as text.
        chosen: A query for each row's `id`, its expected `version` (or NULL) and its `inputs` (or
            NULL); each id once.
        plan: How the rows are divided into chunks.
        most: The largest number of rows that is stored.
        expected: The only number of rows that is stored.
    """
    rows = chosen.cte("chosen")
    place = func.row_number().over(order_by=rows.c.id) - 1
    numbered = select(rows, place.label("place")).cte("numbered")
    counted = select(func.count().label("total")).select_from(numbered).cte("counted")
    is_allowed = and_(
        counted.c.total.between(1, most), counted.c.total == (expected or counted.c.total)
    )
    columns = _columns(values) | {
        "total": counted.c.total,
        "canary_ends_before_chunk": literal(plan.canary_ends_before_chunk, Integer()),
        "paced_until": func.clock_timestamp() + _seconds(plan.in_flight_limit * plan.apart_s),
    }
    submitted = (
        upsert(OperationRow)
        .from_select(list(columns), select(*columns.values()).where(is_allowed))
        .on_conflict_do_nothing()
        .returning(OperationRow.id)
        .cte("submitted")
    )
    stored = _chunks(numbered, submitted, values.get("run_at"), plan).cte("stored")
    totals = db.execute(
        select(counted.c.total, select(func.count()).select_from(stored).scalar_subquery())
    ).one()
    return StoredChunks(*totals)


def _columns(values: Mapping[str, Any]) -> dict[str, ColumnElement[Any]]:
    columns: dict[str, ColumnElement[Any]] = {}
    for column in cast("Table", OperationRow.__table__).columns:
        if column.name in values and column.name != "total":
            value = values[column.name]
            is_json = isinstance(column.type, JSONB)
            written = literal(value, Text()).cast(column.type)
            columns[column.name] = written if is_json else literal(value, column.type)
    return columns


def _chunks(rows: CTE, submitted: CTE, run_at: datetime | None, plan: ChunkPlan) -> Any:
    """Return the INSERT of the rows as chunks."""
    head = plan.head or plan.items
    chunk_no = ((rows.c.place + (plan.items - head)) // plan.items).cast(Integer)
    chunked = select(
        chunk_no.label("chunk_no"),
        func.array_agg(aggregate_order_by(rows.c.id, rows.c.id)).label("ids"),
        func.array_agg(aggregate_order_by(rows.c.version, rows.c.id)).label("versions"),
        func.count(rows.c.version).label("expected"),
        func.jsonb_object_agg(rows.c.id.cast(Text), rows.c.inputs)
        .filter(rows.c.inputs.is_not(None))
        .label("inputs"),
    ).group_by(chunk_no)
    chunk = chunked.cte("pieces")
    now = func.clock_timestamp()
    is_dispatched = chunk.c.chunk_no < plan.in_flight_limit
    due = func.coalesce(literal(run_at, OperationRow.run_at.type), now)
    columns = {
        "operation_id": submitted.c.id,
        "chunk_no": chunk.c.chunk_no,
        "ids": chunk.c.ids,
        "expected_versions": case((chunk.c.expected > 0, chunk.c.versions)),
        "inputs": chunk.c.inputs,
        "run_after": case(
            (is_dispatched, due + _seconds(chunk.c.chunk_no * plan.apart_s)), else_=due
        ),
        "published_at": case((is_dispatched, now)),
        "published": is_dispatched.cast(Integer),
    }
    stored = select(*columns.values()).select_from(chunk.join(submitted, true()))
    return insert(Chunk).from_select(list(columns), stored).returning(Chunk.chunk_no)


def _seconds(span: Any) -> Any:
    return func.make_interval(0, 0, 0, 0, 0, 0, span)
