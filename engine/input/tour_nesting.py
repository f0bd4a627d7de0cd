"""Tours have two levels: the tour of a checkpoint is no checkpoint itself.

So no way leads back to where it began. Work of every kind that can name work of its own kind is
held to it.
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

# Two who make each the checkpoint of the other would both see that it is none yet.
_TAKE_TURNS = text("SELECT pg_advisory_xact_lock(hashtextextended('tour', :tenant_id))")
_NEW = 0


def own_columns(model: type[Record]) -> list[str]:
    """Return the columns of work that name work of its own kind."""
    fields = fields_of(model).values() if issubclass(model, Work) else ()
    return [each.name for each in fields if each.refers_to == model.resource_type]


def check_tour(
    db: Connection,
    tenant_id: int,
    model: type[Record],
    values: Mapping[str, Any],
    row_id: int = _NEW,
) -> None:
    """Check that a new or a locked row may get these values.

    Raises:
        RuleRefused: A tour would stand within another.
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
        tenant_id: Whose rows they are.
        model: What they are.
        written: The values, by id; also of rows that are written beside these.
        ids: The locked rows.
    """
    found: dict[int, Reason] = {}
    for name in own_columns(model):
        tours = {each: written[each].get(name) for each in written}
        asked = {each: tour for each in ids if (tour := tours.get(each)) is not None}
        if not asked:
            continue
        db.execute(_TAKE_TURNS, {"tenant_id": tenant_id})
        # What becomes a checkpoint beside them is as good as one.
        inner = {each for each, tour in tours.items() if tour not in (None, each)}
        inner |= checkpoints_among(db, model, name, set(asked.values()))
        column = table_of(model).c[name]
        outer = select(column).distinct()
        outer = outer.where(column == _any_of(asked), table_of(model).c.deleted_at.is_(None))
        with_checkpoints = set(db.scalars(outer))
        for each, tour in asked.items():
            if tour in inner:
                found[each] = _nested(f"{model.resource_type} {tour} is a checkpoint itself")
            elif each == tour or each in with_checkpoints:
                told = (
                    "itself"
                    if each == tour
                    else f"{model.resource_type} {tour}: it has checkpoints"
                )
                found[each] = _nested(
                    f"{model.resource_type} {each} can't be a checkpoint of {told}"
                )
    return found


def checkpoints_among(
    db: Connection, model: type[Record], name: str, ids: Collection[int]
) -> set[int]:
    """Return which of some rows are checkpoints by the column *name*."""
    table = table_of(model)
    query = select(table.c.id).where(table.c.id == _any_of(ids), table.c[name].is_not(None))
    return set(db.scalars(query))


def _nested(message: str) -> Reason:
    return Reason("tour_nested", message)


def _any_of(ids: Collection[int]) -> Any:
    return any_(literal(list(ids), ARRAY(BigInteger)))
