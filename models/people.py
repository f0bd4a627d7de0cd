"""People: store tenants, people, their roles and teams, and the vendors they hire."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    ForeignKeyConstraint,
    Identity,
    Index,
    UniqueConstraint,
    any_,
    bindparam,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from domain.check import Check
from domain.permissions import permissions_of
from models.base import LIVE, Base, Record, kinds, records, unique_name_index


class Tenant(Base):
    """A facility company; every other row belongs to one."""

    __tablename__ = "tenant"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class Person(Record):
    """A person who acts; the name is unique in the tenant."""

    __tablename__ = "person"
    __table_args__ = (unique_name_index("person"), UniqueConstraint("tenant_id", "id"))
    resource_type = "person"

    name: Mapped[str]


def _are_known_permissions(values: Mapping[str, Any]) -> bool:
    machines = [model.machine for model in kinds().values()]
    # An administrator's role has every permission.
    all_permissions = permissions_of("admin", machines, records())
    return set(values.get("permissions") or ()) <= set(all_permissions)


class Role(Record):
    """A named set of permissions such as `work_order.approve`."""

    __tablename__ = "role"
    __table_args__ = (unique_name_index("role"), UniqueConstraint("tenant_id", "id"))
    resource_type = "role"
    checks = (
        Check(
            "permissions",
            "permissions that there are: a kind of record or work, a dot and what is done with it, "
            "such as ticket.open",
            _are_known_permissions,
        ),
    )

    name: Mapped[str]
    permissions: Mapped[list[str]]


class PersonRole(Record):
    """A role that a person holds; both of the same tenant."""

    __tablename__ = "person_role"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "person_id"], ["person.tenant_id", "person.id"]),
        ForeignKeyConstraint(["tenant_id", "role_id"], ["role.tenant_id", "role.id"]),
        Index(
            "uq_person_role_person_id_role_id",
            "person_id",
            "role_id",
            unique=True,
            postgresql_where=LIVE,
        ),
    )
    resource_type = "person_role"
    parent = "person_id"
    permit = None

    person_id: Mapped[int] = mapped_column(BigInteger)
    role_id: Mapped[int] = mapped_column(BigInteger)


HELD_ROLES = (
    select(PersonRole.person_id, Role.name, Role.permissions)
    .join(Role, Role.id == PersonRole.role_id)
    .join(Person, Person.id == PersonRole.person_id)
    .where(
        PersonRole.tenant_id == bindparam("tenant_id"),
        PersonRole.person_id == any_(bindparam("people", type_=ARRAY(BigInteger))),
        PersonRole.deleted_at.is_(None),
        Role.deleted_at.is_(None),
        Person.deleted_at.is_(None),
    )
)
"""The roles of some `people` of a tenant, with permissions; people who were deleted have none."""


class Team(Record):
    """People who take work together."""

    __tablename__ = "team"
    __table_args__ = (unique_name_index("team"), UniqueConstraint("tenant_id", "id"))
    resource_type = "team"

    name: Mapped[str]


class TeamMember(Record):
    """A person's membership in a team; both of the same tenant."""

    __tablename__ = "team_member"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "team_id"], ["team.tenant_id", "team.id"]),
        ForeignKeyConstraint(["tenant_id", "person_id"], ["person.tenant_id", "person.id"]),
        Index(
            "uq_team_member_team_id_person_id",
            "team_id",
            "person_id",
            unique=True,
            postgresql_where=LIVE,
        ),
    )
    resource_type = "team_member"
    parent = "team_id"

    team_id: Mapped[int] = mapped_column(BigInteger)
    person_id: Mapped[int] = mapped_column(BigInteger)


class Vendor(Record):
    """A company that does work orders."""

    __tablename__ = "vendor"
    __table_args__ = (unique_name_index("vendor"), UniqueConstraint("tenant_id", "id"))
    resource_type = "vendor"

    name: Mapped[str]


def assignee_keys() -> tuple[Any, ...]:
    """Return the foreign keys of work that can be assigned, within its tenant."""
    return (
        ForeignKeyConstraint(["tenant_id", "assigned_to_user"], ["person.tenant_id", "person.id"]),
        ForeignKeyConstraint(["tenant_id", "assigned_to_team"], ["team.tenant_id", "team.id"]),
    )
