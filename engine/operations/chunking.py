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
from models.operation import Chunk, Operation

Rows = Select[Any, Any, Any] | TextualSelect
"""A query for each row's `id`, the `version` that is expected of it and its `inputs`."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """What a query chose.

    Attributes:
        total: So many rows.
        chunks: So many chunks were stored; none if the number of rows wasn't as asked, or if
            there is such an operation already.
    """

    total: int
    chunks: int


@dataclass(frozen=True, slots=True)
class Cut:
    """How an operation is cut into chunks, and which of them are hinted at when it is stored.

    Attributes:
        items: Of a chunk.
        head: The items of the first chunk; 0 is as many as of the others.
        window: So many chunks are hinted at.
        apart_s: The time between two of these.
        held_from: Chunks from this one on wait until somebody resumes.
    """

    items: int
    window: int
    head: int = 0
    apart_s: float = 0.0
    held_from: int | None = None

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
    ) -> "Cut":
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
            held_from=held,
        )

    @property
    def is_plain(self) -> bool:
        """Say whether all chunks are alike, and none waits for another."""
        return self.held_from is None and not self.apart_s


def origin_of(actor: Actor) -> str | None:
    """Return where an actor asks from, as an operation keeps it; None if nobody knows."""
    return json.dumps(actor.origin.told) if actor.origin.told else None


def freeze(
    db: Connection,
    values: Mapping[str, Any],
    chosen: Rows,
    cut: Cut,
    *,
    most: int,
    expected: int | None = None,
) -> Frozen:
    """Store an operation over the chosen rows, unless there are none, or too many.

    Args:
        db: A connection.
        values: The operation's columns by name; JSON as text.
        chosen: A query for each row's `id`, the `version` that is expected of it (or NULL) and
            its `inputs` (or NULL); each id once.
        cut: How the rows are cut into chunks.
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
        "hold_from": literal(cut.held_from, Integer()),
        "paced_until": func.clock_timestamp() + _seconds(cut.window * cut.apart_s),
    }
    submitted = (
        upsert(Operation)
        .from_select(list(columns), select(*columns.values()).where(is_asked))
        .on_conflict_do_nothing()
        .returning(Operation.id)
        .cte("submitted")
    )
    stored = _chunks(numbered, submitted, values.get("run_at"), cut).cte("stored")
    told = db.execute(
        select(counted.c.total, select(func.count()).select_from(stored).scalar_subquery())
    ).one()
    return Frozen(*told)


def _columns(values: Mapping[str, Any]) -> dict[str, ColumnElement[Any]]:
    columns: dict[str, ColumnElement[Any]] = {}
    for each in cast("Table", Operation.__table__).columns:
        if each.name in values and each.name != "total":
            value = values[each.name]
            is_json = isinstance(each.type, JSONB)
            written = literal(value, Text()).cast(each.type)
            columns[each.name] = written if is_json else literal(value, each.type)
    return columns


def _chunks(rows: CTE, submitted: CTE, run_at: datetime | None, cut: Cut) -> Any:
    """Return the statement that stores the rows as chunks."""
    head = cut.head or cut.items
    chunk_no = ((rows.c.place + (cut.items - head)) // cut.items).cast(Integer)
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
    is_hinted = each.c.chunk_no < cut.window
    due = func.coalesce(literal(run_at, Operation.run_at.type), now)
    columns = {
        "operation_id": submitted.c.id,
        "chunk_no": each.c.chunk_no,
        "ids": each.c.ids,
        "expected_versions": case((each.c.expected > 0, each.c.versions)),
        "inputs": each.c.inputs,
        "run_after": case((is_hinted, due + _seconds(each.c.chunk_no * cut.apart_s)), else_=due),
        "published_at": case((is_hinted, now)),
        "published": is_hinted.cast(Integer),
    }
    stored = select(*columns.values()).select_from(each.join(submitted, true()))
    return insert(Chunk).from_select(list(columns), stored).returning(Chunk.chunk_no)


def _seconds(span: Any) -> Any:
    return func.make_interval(0, 0, 0, 0, 0, 0, span)
