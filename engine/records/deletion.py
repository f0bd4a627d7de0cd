"""Deletion guards: refuse to delete what open work refers to, or the actor's own access."""

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
    """Check that a locked record may be deleted.

    Raises:
        RuleRefused: The actor would remove their own access, or open work refers to it.
    """
    if actor.person_id is not None and _is_own_access(db, actor.person_id, model, row):
        message = f"{model.resource_type} {row.id} is your own access: ask another administrator"
        raise RuleRefused(message=message, reasons=[{"code": "own_access"}], id=row.id)
    references = list(_open_work(db, actor.tenant_id, model, row.id))
    if references:
        counted = " and ".join(_counted(work, count) for work, count in references)
        message = f"{counted} name{'s' if sum(n for _, n in references) == 1 else ''} it"
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
    """Yield how many rows of open work refer to a record, for each column that may."""
    for work in kinds().values():
        columns = [
            column.name
            for column in fields_of(work).values()
            if column.refers_to == model.resource_type
        ]
        for name in columns:
            query = select(func.count()).where(
                work.tenant_id == tenant_id,
                table_of(work).c[name] == row_id,
                work.deleted_at.is_(None),
                work.state.not_in(work.machine.final),
            )
            count = db.scalar(query)
            if count:
                yield work, count


def _counted(work: type[Work], count: int) -> str:
    return f"{count:,} open {work.resource_type.replace('_', ' ')}{'' if count == 1 else 's'}"
