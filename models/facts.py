"""Facts: select rows of work with the values that rules need, from whichever tables."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, any_, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY

from models.base import Work

IDS = ARRAY(BigInteger)


def is_own(model: type[Work], name: str) -> bool:
    """Say whether a fact is a column of the row itself."""
    return name not in model.related


def select_rows(model: type[Work], names: Iterable[str]) -> Select[Any]:
    """Select the rows `:ids` of `:tenant_id` that aren't deleted, in the order of their ids.

    Returns:
        A query for id, state, version, state_since in this order, and the facts of *names*.
    """
    facts = [name for name in dict.fromkeys(names) if name not in ("id", "state", "version")]
    related = [model.related[name] for name in facts if not is_own(model, name)]
    query = select(
        model.id, model.state, model.version, model.state_since, *(_value(model, f) for f in facts)
    )
    joins = {fact.joined: fact.on for fact in related if fact.joined is not None}
    for table, on in joins.items():
        query = query.outerjoin(table, on)
    return query.where(*is_requested(model)).order_by(model.id)


def locks_of(model: type[Work], names: Sequence[str]) -> list[Select[Any]]:
    """Return the queries that lock what rules read in other tables, to run before reading it."""
    locks = [model.related[name].lock for name in names if not is_own(model, name)]
    return list(dict.fromkeys(lock for lock in locks if lock is not None))


def is_requested(model: type[Work]) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for the rows `:ids` of `:tenant_id` that aren't deleted."""
    return (
        model.tenant_id == bindparam("tenant_id"),
        model.id == any_(bindparam("ids", type_=IDS)),
        model.deleted_at.is_(None),
    )


def _value(model: type[Work], name: str) -> ColumnElement[Any]:
    if is_own(model, name):
        column: ColumnElement[Any] = model.__table__.c[name]
        return column
    value: ColumnElement[Any] = model.related[name].value.label(name)
    return value
