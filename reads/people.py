"""People queries: find the actor of a name, and say what a person may view."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from domain.errors import NotFound
from domain.permissions import Actor, granted
from models.people import HELD_ROLES, Person, Tenant


def find_actor(db: Connection, tenant: str, person: str | None) -> Actor:
    """Return the actor of a name in a tenant; without a name, the system itself.

    Raises:
        NotFound: There is no such tenant, or it has no such person.
    """
    tenant_id = db.scalar(select(Tenant.id).filter_by(name=tenant))
    if tenant_id is None:
        raise NotFound(what="tenant", got=tenant)
    if person is None:
        return Actor(tenant_id, None)
    person_id = db.scalar(
        select(Person.id).filter_by(tenant_id=tenant_id, name=person, deleted_at=None)
    )
    if person_id is None:
        raise NotFound(what="person", got=person)
    return Actor(tenant_id, person_id)


def find_person_ever(db: Connection, tenant_id: int, name_or_id: str | int) -> int:
    """Return the id of a person by id or name, including people who were deleted.

    Raises:
        NotFound: The tenant never had such a person.
    """
    is_person = (
        Person.id == name_or_id if isinstance(name_or_id, int) else Person.name == name_or_id
    )
    query = select(Person.id).where(Person.tenant_id == tenant_id, is_person)
    person_id = db.scalar(query.order_by(Person.deleted_at.desc().nulls_first(), Person.id.desc()))
    if person_id is None:
        raise NotFound(what="person", got=name_or_id)
    return int(person_id)


def list_tenants(db: Connection) -> list[dict[str, Any]]:
    """Return every tenant's `id` and `name`, in the order of names, and its number of `people`."""
    people = (
        select(func.count())
        .where(Person.tenant_id == Tenant.id, Person.deleted_at.is_(None))
        .scalar_subquery()
    )
    query = select(Tenant.id, Tenant.name, people.label("people")).order_by(Tenant.name)
    return [dict(row._mapping) for row in db.execute(query)]


@dataclass(frozen=True, slots=True)
class Viewer:
    """A person, and the resource types that they may view."""

    person_id: int
    resource_types: Sequence[str]


def find_viewer(db: Connection, actor: Actor) -> Viewer | None:
    """Return what an actor may view; None for the system, which may view all."""
    if actor.person_id is None:
        return None
    people = {"tenant_id": actor.tenant_id, "people": [actor.person_id]}
    permissions, _ = granted(db.execute(HELD_ROLES, people), actor.person_id)
    split = (permission.partition(".") for permission in permissions)
    return Viewer(
        actor.person_id,
        sorted(resource_type for resource_type, _, verb in split if verb == "view"),
    )
