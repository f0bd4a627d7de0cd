"""Who somebody is, and what they may do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from domain.errors import NotFound
from domain.permissions import Actor, granted
from models.people import HELD_ROLES, Person, Tenant


def find_actor(db: Connection, tenant: str, person: str | None) -> Actor:
    """Return the actor of a name in a tenant; without a name the system itself.

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


def find_person_ever(db: Connection, tenant_id: int, named: str | int) -> int:
    """Return the id of a person by id or name, of one who was deleted too.

    Raises:
        NotFound: The tenant never had such a person.
    """
    which = Person.id == named if isinstance(named, int) else Person.name == named
    query = select(Person.id).where(Person.tenant_id == tenant_id, which)
    found = db.scalar(query.order_by(Person.deleted_at.desc().nulls_first(), Person.id.desc()))
    if found is None:
        raise NotFound(what="person", got=named)
    return int(found)


def list_tenants(db: Connection) -> list[dict[str, Any]]:
    """Return every tenant's `id` and `name`, in the order of names, and its number of `people`."""
    people = (
        select(func.count())
        .where(Person.tenant_id == Tenant.id, Person.deleted_at.is_(None))
        .scalar_subquery()
    )
    query = select(Tenant.id, Tenant.name, people.label("people")).order_by(Tenant.name)
    return [dict(each._mapping) for each in db.execute(query)]


@dataclass(frozen=True, slots=True)
class SeenBy:
    """A person, and the resource types of what they may view."""

    person_id: int
    resource_types: Sequence[str]


def seen_by(db: Connection, actor: Actor) -> SeenBy | None:
    """Return what an actor may view; None for the system, which may view all."""
    if actor.person_id is None:
        return None
    people = {"tenant_id": actor.tenant_id, "people": [actor.person_id]}
    held, _ = granted(db.execute(HELD_ROLES, people), actor.person_id)
    parted = (each.partition(".") for each in held)
    return SeenBy(
        actor.person_id,
        sorted(resource_type for resource_type, _, verb in parted if verb == "view"),
    )
