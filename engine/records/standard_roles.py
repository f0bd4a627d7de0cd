"""Standard roles: give those that nobody has changed the permissions of today's machines."""

from collections.abc import Mapping, Sequence

from sqlalchemy import select

from domain.permissions import ROLES, Actor, permissions_of
from engine.ports.platform import Platform
from engine.records.crud import update_record
from models.base import kinds, records
from models.people import Role


def standard_permissions() -> dict[str, tuple[str, ...]]:
    """Return what each standard role holds by the machines and resource types that there are."""
    machines = [model.machine for model in kinds().values()]
    return {name: permissions_of(name, machines, records()) for name in ROLES}


def update_standard_roles(
    platform: Platform, permissions: Mapping[str, Sequence[str]] | None = None
) -> int:
    """Update the standard roles of all tenants that only the system has written; return how many.

    Each is a recorded change of its own, by the system. A role that a person has changed stays;
    one that a script has changed as the system does not: that is the system's own hand.

    Args:
        platform: The outside world.
        permissions: What each role is to hold, by its name; `standard_permissions` by default.
    """
    wanted = standard_permissions() if permissions is None else permissions
    untouched = select(Role.tenant_id, Role.id, Role.name, Role.permissions).where(
        Role.name.in_(wanted),
        Role.created_by.is_(None),
        Role.updated_by.is_(None),
        Role.deleted_at.is_(None),
    )
    with platform.database.connect() as db:
        stale = [each for each in db.execute(untouched) if each.permissions != [*wanted[each.name]]]
    for role in stale:
        values = {"permissions": list(wanted[role.name])}
        system = Actor(role.tenant_id, None)
        update_record(platform, system, "role", role.id, values, reason="system_auto")
    return len(stale)
