"""Tenants: open and list tenants, and add records that have only a name."""

from collections.abc import Mapping, Sequence
from typing import Any

from domain.errors import InvalidInput
from domain.permissions import Actor
from engine.access.permissions import authorize
from engine.ports.platform import Platform


class Tenants:
    """The part of a session for tenants."""

    platform: Platform
    actor: Actor

    def open_tenant(self, name: str, people: Mapping[str, Sequence[str]]) -> int:
        """Make sure that a tenant with its roles and these people exists; return its id.

        Raises:
            InvalidInput: There is no such role, a new tenant would have no admin, or the
                name belongs to a tenant that isn't the actor's.
            PermissionDenied: The actor may not open tenants.
        """
        from engine.records.tenants import open_tenant

        existing = {tenant["name"] for tenant in self.tenants()}
        if name not in existing and not any("admin" in roles for roles in people.values()):
            got = ", ".join(people) or None
            raise InvalidInput(field="people", got=got, expected="at least one admin among them")
        return open_tenant(self.platform, name, people, by=self.actor)

    def tenants(self) -> list[dict[str, Any]]:
        """Return all tenants by name: `id`, `name`, and how many `people` each has.

        Raises:
            PermissionDenied: The actor may not open tenants.
        """
        from reads.people import list_tenants

        authorize(self.platform, self.actor, "tenant", "create")
        with self.platform.database.connect() as db:
            return list_tenants(db)

    def add_named(self, resource_type: str, names: Sequence[str]) -> dict[str, int]:
        """Make sure that records of these names exist; return the ids of all records, by name.

        Raises:
            InvalidInput: There is no such resource type, or its records need more than a name.
            PermissionDenied: The actor may not create them.
        """
        from engine.records.tenants import add_named

        return add_named(self.platform, self.actor, resource_type, names)
