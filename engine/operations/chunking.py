"""Operations over rows that a query chooses: stored with their chunks in one statement.

However many rows there are, none of them comes to the caller: PostgreSQL cuts them up.
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
"""A query for each row's `id`, the `version` that is expected of it and its `inputs`."""


@dataclass(frozen=True, slots=True)
class StoredChunks:
    """What a query chose.

    Attributes:
        total: So many rows.
        chunks: So many chunks were stored; none if the number of rows wasn't as asked, or if
            there is such an operation already.
    """

    total: int
    chunks: int


@dataclass(frozen=True, slots=True)
class ChunkPlan:
    """How an operation is cut into chunks, and which of them are dispatched when it is stored.

    Attributes:
        items: Of a chunk.
        head: The items of the first chunk; 0 is as many as of the others.
        window: So many chunks are dispatched.
        apart_s: The time between two of these.
        canary_ends_before_chunk: Chunks from this one on wait until somebody resumes.
    """

    items: int
    window: int
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
        """Return how an operation with these options is cut; None is the default of each.

        What is for later has no message; the sweeper sends it when it is due.
        """
        # All or nothing is one transaction, and a transaction is a chunk.
        if atomic:
            return cls(items=pace.atomic_items, window=0 if is_later else 1)
        size = items or pace.chunk_items
        if rate is not None:
            # Nobody is to get a minute's worth at once.
            size = min(size, ceil(rate))
        held = None if canary is None else ceil(canary / size)
        widest = min(pace.window, parallel or pace.window, held or pace.window)
        return cls(
            items=size,
            head=(canary or 0) % size,
            window=0 if is_later else widest,
            apart_s=size / rate if rate else 0.0,
            canary_ends_before_chunk=held,
        )

    @property
    def is_plain(self) -> bool:
        """Say whether all chunks are alike, and none waits for another."""
        return self.canary_ends_before_chunk is None and not self.apart_s


def origin_of(actor: Actor) -> str | None:
    """Return where an actor asks from, as an operation keeps it; None if nobody knows."""
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
    """Store an operation over the chosen rows, unless there are none, or too many.

    Args:
        db: A connection.
        values: The operation's columns by name; JSON as text.
        chosen: A query for each row's `id`, the `version` that is expected of it (or NULL) and
            its `inputs` (or NULL); each id once.
        plan: How the rows are cut into chunks.
        most: More rows than these are refused.
        expected: Any other number of rows is refused.
    """
    rows = chosen.cte("chosen")
    place = func.row_number().over(order_by=rows.c.id) - 1
    numbered = select(rows, place.label("place")).cte("numbered")
    counted = select(func.count().label("total")).select_from(numbered).cte("counted")
    is_asked = and_(
        counted.c.total.between(1, most), counted.c.total == (expected or counted.c.total)
    )
    columns = _columns(values) | {
        "total": counted.c.total,
        "canary_ends_before_chunk": literal(plan.canary_ends_before_chunk, Integer()),
        "paced_until": func.clock_timestamp() + _seconds(plan.window * plan.apart_s),
    }
    submitted = (
        upsert(OperationRow)
        .from_select(list(columns), select(*columns.values()).where(is_asked))
        .on_conflict_do_nothing()
        .returning(OperationRow.id)
        .cte("submitted")
    )
    stored = _chunks(numbered, submitted, values.get("run_at"), plan).cte("stored")
    told = db.execute(
        select(counted.c.total, select(func.count()).select_from(stored).scalar_subquery())
    ).one()
    return StoredChunks(*told)


def _columns(values: Mapping[str, Any]) -> dict[str, ColumnElement[Any]]:
    columns: dict[str, ColumnElement[Any]] = {}
    for each in cast("Table", OperationRow.__table__).columns:
        if each.name in values and each.name != "total":
            value = values[each.name]
            is_json = isinstance(each.type, JSONB)
            written = literal(value, Text()).cast(each.type)
            columns[each.name] = written if is_json else literal(value, each.type)
    return columns


def _chunks(rows: CTE, submitted: CTE, run_at: datetime | None, plan: ChunkPlan) -> Any:
    """Return the statement that stores the rows as chunks."""
    head = plan.head or plan.items
    chunk_no = ((rows.c.place + (plan.items - head)) // plan.items).cast(Integer)
    pieces = select(
        chunk_no.label("chunk_no"),
        func.array_agg(aggregate_order_by(rows.c.id, rows.c.id)).label("ids"),
        func.array_agg(aggregate_order_by(rows.c.version, rows.c.id)).label("versions"),
        func.count(rows.c.version).label("expected"),
        func.jsonb_object_agg(rows.c.id.cast(Text), rows.c.inputs)
        .filter(rows.c.inputs.is_not(None))
        .label("inputs"),
    ).group_by(chunk_no)
    each = pieces.cte("pieces")
    now = func.clock_timestamp()
    is_dispatched = each.c.chunk_no < plan.window
    due = func.coalesce(literal(run_at, OperationRow.run_at.type), now)
    columns = {
        "operation_id": submitted.c.id,
        "chunk_no": each.c.chunk_no,
        "ids": each.c.ids,
        "expected_versions": case((each.c.expected > 0, each.c.versions)),
        "inputs": each.c.inputs,
        "run_after": case(
            (is_dispatched, due + _seconds(each.c.chunk_no * plan.apart_s)), else_=due
        ),
        "published_at": case((is_dispatched, now)),
        "published": is_dispatched.cast(Integer),
    }
    stored = select(*columns.values()).select_from(each.join(submitted, true()))
    return insert(Chunk).from_select(list(columns), stored).returning(Chunk.chunk_no)


def _seconds(span: Any) -> Any:
    return func.make_interval(0, 0, 0, 0, 0, 0, span)
