"""What is not deleted: what open work names, and by what somebody may do what they do."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row, func, select

from domain.errors import RuleRefused
from domain.permissions import Actor
from engine.input.fields import fields_of
from engine.input.record_types import table_of
from models.base import Record, Work, kinds
from models.people import Person, PersonRole, Role


def check_deletable(db: Connection, actor: Actor, model: type[Record], row: Row[Any]) -> None:
    """Check that a locked record may go.

    Raises:
        RuleRefused: The actor would take away their own access, or open work names it.
    """
    if actor.person_id is not None and _is_own_access(db, actor.person_id, model, row):
        message = f"{model.resource_type} {row.id} is your own access: ask another administrator"
        raise RuleRefused(message=message, reasons=[{"code": "own_access"}], id=row.id)
    named = list(_open_work(db, actor.tenant_id, model, row.id))
    if named:
        told = " and ".join(_counted(kind, count) for kind, count in named)
        message = f"{told} name{'s' if sum(n for _, n in named) == 1 else ''} it"
        raise RuleRefused(message=message, reasons=[{"code": "record_in_use"}], id=row.id)


def _is_own_access(db: Connection, person_id: int, model: type[Record], row: Row[Any]) -> bool:
    if model is Person:
        return bool(row.id == person_id)
    if model is PersonRole:
        return bool(row.person_id == person_id)
    if model is not Role:
        return False
    held = select(PersonRole.id).where(
        PersonRole.person_id == person_id,
        PersonRole.role_id == row.id,
        PersonRole.deleted_at.is_(None),
    )
    return db.scalar(held) is not None


def _open_work(
    db: Connection, tenant_id: int, model: type[Record], row_id: int
) -> Iterator[tuple[type[Work], int]]:
    """Yield how much work of a kind that isn't over names a record, a column after the other."""
    for kind in kinds().values():
        columns = [
            each.name for each in fields_of(kind).values() if each.refers_to == model.resource_type
        ]
        for name in columns:
            query = select(func.count()).where(
                kind.tenant_id == tenant_id,
                table_of(kind).c[name] == row_id,
                kind.deleted_at.is_(None),
                kind.state.not_in(kind.machine.final),
            )
            count = db.scalar(query)
            if count:
                yield kind, count


def _counted(kind: type[Work], count: int) -> str:
    return f"{count:,} open {kind.resource_type.replace('_', ' ')}{'' if count == 1 else 's'}"
