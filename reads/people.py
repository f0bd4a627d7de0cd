"""Who somebody is, and what they may do."""

from sqlalchemy import Connection, select

from domain.errors import NotFound
from domain.permissions import Actor
from models.people import Person, Tenant


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
    person_id = db.scalar(select(Person.id).filter_by(tenant_id=tenant_id, name=person))
    if person_id is None:
        raise NotFound(what="person", got=person)
    return Actor(tenant_id, person_id)
