"""Who works here: tenants, people, their roles, and the vendors they hire."""

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    UniqueConstraint,
    any_,
    bindparam,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class Tenant(Base):
    """A facility company; every other row belongs to one."""

    __tablename__ = "tenant"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class Person(Base):
    """Somebody who acts; the name is unique in the tenant."""

    __tablename__ = "person"
    __table_args__ = (UniqueConstraint("tenant_id", "name"), UniqueConstraint("tenant_id", "id"))

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    tenant_id: Mapped[int] = mapped_column(ForeignKey("tenant.id"))
    name: Mapped[str]


class Role(Base):
    """A named set of permissions such as `work_order.approve`."""

    __tablename__ = "role"

    tenant_id: Mapped[int] = mapped_column(ForeignKey("tenant.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    permissions: Mapped[list[str]]


class PersonRole(Base):
    """That a person holds a role; both of the same tenant."""

    __tablename__ = "person_role"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "person_id"], ["person.tenant_id", "person.id"]),
        ForeignKeyConstraint(["tenant_id", "role_name"], ["role.tenant_id", "role.name"]),
    )

    tenant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    person_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    role_name: Mapped[str] = mapped_column(primary_key=True)


HELD_ROLES = (
    select(PersonRole.person_id, Role.name, Role.permissions)
    .join(Role, (Role.tenant_id == PersonRole.tenant_id) & (Role.name == PersonRole.role_name))
    .where(
        PersonRole.tenant_id == bindparam("tenant_id"),
        PersonRole.person_id == any_(bindparam("people", type_=ARRAY(BigInteger))),
    )
)
"""The roles that some `people` of a tenant hold, with their permissions."""


class Vendor(Base):
    """A company that does work orders."""

    __tablename__ = "vendor"
    __table_args__ = (UniqueConstraint("tenant_id", "name"), UniqueConstraint("tenant_id", "id"))

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    tenant_id: Mapped[int] = mapped_column(ForeignKey("tenant.id"))
    name: Mapped[str]
