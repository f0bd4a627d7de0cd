"""Tour nesting: refuse a checkpoint of a checkpoint, so that tours have two levels only.

So references never form a cycle. The rule applies to every kind of work that can refer to work of
its own kind.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Connection, any_, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from domain.errors import RuleRefused
from domain.machines.machine import Reason
from engine.input.fields import fields_of
from engine.input.record_types import table_of
from models.base import Record, Work

# Without it, two transactions that make each other's row a checkpoint would both pass.
_TAKE_TURNS = text("SELECT pg_advisory_xact_lock(hashtextextended('tour', :tenant_id))")
_NEW_ROW = 0


def own_columns(model: type[Record]) -> list[str]:
    """Return the columns of work that refer to work of its own kind."""
    fields = fields_of(model).values() if issubclass(model, Work) else ()
    return [field.name for field in fields if field.refers_to == model.resource_type]


def check_tour(
    db: Connection,
    tenant_id: int,
    model: type[Record],
    values: Mapping[str, Any],
    row_id: int = _NEW_ROW,
) -> None:
    """Check that a new or a locked row may get these values.

    Raises:
        RuleRefused: A tour would be part of another tour.
    """
    reason = nested_tours(db, tenant_id, model, {row_id: values}, [row_id]).get(row_id)
    if reason is not None:
        raise RuleRefused(message=reason.message, reasons=[{"code": reason.code}], id=row_id)


def nested_tours(
    db: Connection,
    tenant_id: int,
    model: type[Record],
    written: Mapping[int, Mapping[str, Any]],
    ids: Sequence[int],
) -> dict[int, Reason]:
    """Return, by id, why some of these locked rows can't get their values.

    Args:
        db: The transaction that writes them.
        tenant_id: The tenant of the rows.
        model: The model of the rows.
        written: The values, by id; also of rows that are written with these.
        ids: The locked rows.
    """
    reasons: dict[int, Reason] = {}
    for name in own_columns(model):
        tours = {row_id: written[row_id].get(name) for row_id in written}
        checkpoints = {row_id: tour for row_id in ids if (tour := tours.get(row_id)) is not None}
        if not checkpoints:
            continue
        db.execute(_TAKE_TURNS, {"tenant_id": tenant_id})
        # Rows that become checkpoints in the same write count as checkpoints already.
        nested = {row_id for row_id, tour in tours.items() if tour not in (None, row_id)}
        nested |= checkpoints_among(db, model, name, set(checkpoints.values()))
        column = table_of(model).c[name]
        select_tours = select(column).distinct()
        select_tours = select_tours.where(
            column == _any_of(checkpoints), table_of(model).c.deleted_at.is_(None)
        )
        with_checkpoints = set(db.scalars(select_tours))
        for row_id, tour in checkpoints.items():
            if tour in nested:
                reasons[row_id] = _tour_nested(
                    f"{model.resource_type} {tour} is a checkpoint itself"
                )
            elif row_id == tour or row_id in with_checkpoints:
                whose = (
                    "itself"
                    if row_id == tour
                    else f"{model.resource_type} {tour}: it has checkpoints"
                )
                reasons[row_id] = _tour_nested(
                    f"{model.resource_type} {row_id} can't be a checkpoint of {whose}"
                )
    return reasons


def checkpoints_among(
    db: Connection, model: type[Record], name: str, ids: Collection[int]
) -> set[int]:
    """Return which rows are checkpoints, that is, have a tour in the column *name*."""
    table = table_of(model)
    query = select(table.c.id).where(table.c.id == _any_of(ids), table.c[name].is_not(None))
    return set(db.scalars(query))


def _tour_nested(message: str) -> Reason:
    return Reason("tour_nested", message)


def _any_of(ids: Collection[int]) -> Any:
    return any_(literal(list(ids), ARRAY(BigInteger)))
