"""The base of all tables, and what every row of work has."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, MetaData, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.schema import SchemaItem

from domain.machine import Machine


class Base(DeclarativeBase):
    """All tables; names of constraints are made by rule so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: TIMESTAMP(timezone=True),
        UUID: Uuid(),
        str: Text(),
        dict[str, Any]: JSONB(),
        list[int]: ARRAY(BigInteger()),
        list[str]: ARRAY(Text()),
    }


NOW = text("clock_timestamp()")


class Work(Base):
    """The columns of every kind of work; a mapped subclass with a `machine` is a kind.

    `state_since` is when the row came into its state, `version` counts its writes from 1.
    The database refuses every change that the machine doesn't know (see the guard migration).
    """

    __abstract__ = True
    machine: ClassVar[Machine]

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    uuid: Mapped[UUID] = mapped_column(server_default=text("gen_random_uuid()"), unique=True)
    tenant_id: Mapped[int] = mapped_column(ForeignKey("tenant.id"))
    reference: Mapped[str | None]
    state: Mapped[str]
    version: Mapped[int] = mapped_column(server_default=text("1"))
    state_since: Mapped[datetime] = mapped_column(server_default=NOW)
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    created_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    updated_at: Mapped[datetime] = mapped_column(server_default=NOW)
    updated_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))


def work_table(name: str, *others: SchemaItem) -> tuple[Any, ...]:
    """Return the `__table_args__` of a kind of work: the shared indexes and *others*."""
    return (
        # Listing and selecting a tenant's rows by state.
        Index(f"ix_{name}_tenant_id_state", "tenant_id", "state"),
        # A row of another system is imported once, however often it is sent.
        Index(
            f"uq_{name}_tenant_id_reference",
            "tenant_id",
            "reference",
            unique=True,
            postgresql_where=text("reference IS NOT NULL"),
        ),
        *others,
        # Room for the new version of a row on the page of the old one.
        {"postgresql_with": {"fillfactor": 70}},
    )


def kinds() -> dict[str, type[Work]]:
    """Return every kind of work by its name; a newly mapped class is found by itself."""
    found = [each.class_ for each in Base.registry.mappers if issubclass(each.class_, Work)]
    return {each.machine.kind: each for each in sorted(found, key=lambda each: each.machine.kind)}
