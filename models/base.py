"""Base classes: the base of all tables, of all records, and of all work."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    ForeignKey,
    Identity,
    Index,
    MetaData,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.schema import SchemaItem

from domain.check import Check
from domain.machines.machine import Machine
from domain.tags import EXPECTED as TAGS
from domain.tags import parse_tags
from models.clock import Clock
from models.related import Related


class Base(DeclarativeBase):
    """The base of all tables; constraints are named by rule so that migrations can name them."""

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
        date: Date(),
        UUID: Uuid(),
        str: Text(),
        dict[str, Any]: JSONB(),
        list[int]: ARRAY(BigInteger()),
        list[str]: ARRAY(Text()),
    }


NOW = text("clock_timestamp()")
LIVE = text("deleted_at IS NULL")


class Record(Base):
    """A row that interfaces create, read, update, list and delete, each write as a new version.

    Mapped subclasses are found through `records`, by resource type. Deletion is soft: `deleted_at`.

    Attributes:
        resource_type: Its name at the interfaces, e.g. `site`.
        parent: The column that names the parent row; a write of the child locks the parent and
            makes its next version as well.
        permit: The verb of the permission over the parent that a write of the child needs; None
            for children with permissions of their own.
        choices: The words that a column may have, by column.
        parsers: For text with a form of its own, by column: a function that returns the value to
            store, or raises InvalidInput or ValueError; and the expected form, for errors.
        checks: Rules over several columns.
        set_by_platform: Columns that no interface writes, beside those of every record.
    """

    __abstract__ = True
    resource_type: ClassVar[str]
    parent: ClassVar[str | None] = None
    permit: ClassVar[str | None] = "update"
    choices: ClassVar[Mapping[str, Iterable[str]]] = {}
    parsers: ClassVar[Mapping[str, tuple[Callable[[Any], Any], str]]] = {}
    checks: ClassVar[tuple[Check, ...]] = ()
    set_by_platform: ClassVar[frozenset[str]] = frozenset()

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    tenant_id: Mapped[int] = mapped_column(ForeignKey("tenant.id"))
    version: Mapped[int] = mapped_column(server_default=text("1"))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    created_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    updated_at: Mapped[datetime] = mapped_column(server_default=NOW)
    updated_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    deleted_at: Mapped[datetime | None]


@dataclass(frozen=True, slots=True)
class Readings:
    """The readings that work takes: children with a `name`, once for each row, and a `value`.

    Attributes:
        part: The model of the children.
        missing: The fact that lists the names that a row still lacks.
    """

    part: type[Record]
    missing: str


class Work(Record):
    """The columns of every resource type that is work; a mapped subclass has a `machine`.

    `state_since` is when the row came into its state, `version` counts its writes from 1.
    The database refuses every change that the machine doesn't allow (see the guard migration).

    Attributes:
        machine: Its states and the transitions between them.
        related: The facts of its rules that are in other tables, by name.
        derived: Conditions over other tables that filters may use, by name.
        readings: The readings that its rows take and a file may have; None for most types.
        clocks: Its own named events from which a policy may count, by name.
        words: What the comments of a policy may say of a row, by name.
    """

    __abstract__ = True
    machine: ClassVar[Machine]
    related: ClassVar[Mapping[str, Related]] = {}
    derived: ClassVar[Mapping[str, ColumnElement[bool]]] = {}
    readings: ClassVar[Readings | None] = None
    clocks: ClassVar[Mapping[str, Clock]] = {}
    words: ClassVar[Mapping[str, ColumnElement[Any]]] = {}
    set_by_platform = frozenset({"state", "state_since", "uuid"})
    parsers = {"tags": (parse_tags, TAGS)}  # noqa: RUF012 -- declared as a ClassVar by Record

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Set the resource type to the name that the machine has."""
        if "machine" in cls.__dict__:
            cls.resource_type = cls.machine.kind
        super().__init_subclass__(**keywords)

    uuid: Mapped[UUID] = mapped_column(server_default=text("gen_random_uuid()"), unique=True)
    reference: Mapped[str | None]
    state: Mapped[str]
    state_since: Mapped[datetime] = mapped_column(server_default=NOW)
    tags: Mapped[list[str]] = mapped_column(server_default="{}")


ASSIGNED = ("assigned_to_user", "assigned_to_team")


class Assignable:
    """The columns of work that is assigned: to a person, a team, or both."""

    assigned_to_user: Mapped[int | None] = mapped_column(BigInteger)
    assigned_to_team: Mapped[int | None] = mapped_column(BigInteger)


def work_table(name: str, *others: SchemaItem) -> tuple[Any, ...]:
    """Return the `__table_args__` of a table of work: the shared indexes and *others*."""
    return (
        # Lists and filters of a tenant's rows by state, and of those that have been in it for long.
        Index(f"ix_{name}_tenant_id_state", "tenant_id", "state", "state_since"),
        # A row with a reference is imported once, however often it is sent.
        Index(
            f"uq_{name}_tenant_id_reference",
            "tenant_id",
            "reference",
            unique=True,
            postgresql_where=text("reference IS NOT NULL"),
        ),
        *others,
        # Leaves room for the new version of a row on the same page as the old one.
        {"postgresql_with": {"fillfactor": 70}},
    )


def unique_name_index(table: str) -> Index:
    """Return the index that keeps a name unique among a tenant's records that aren't deleted."""
    return Index(
        f"uq_{table}_tenant_id_name", "tenant_id", "name", unique=True, postgresql_where=LIVE
    )


def kinds() -> dict[str, type[Work]]:
    """Return every model of work by its resource type; new ones are found without a list."""
    return {
        resource_type: model
        for resource_type, model in records().items()
        if issubclass(model, Work)
    }


def records() -> dict[str, type[Record]]:
    """Return every model that interfaces create and change, work included, by resource type."""
    mapped = (mapper.class_ for mapper in Base.registry.mappers)
    models = [model for model in mapped if issubclass(model, Record)]
    models.sort(key=lambda model: model.resource_type)
    return {model.resource_type: model for model in models}


def clocks_of(model: type[Work]) -> Mapping[str, Clock]:
    """Return the clocks of work by name: those that all work has, and its own."""
    common = {
        "created": Clock(model.created_at, "created"),
        "state": Clock(model.state_since, None),
    }
    return common | dict(model.clocks)


class _Kinds:
    """The resource types of work, read when all models are mapped."""

    def __iter__(self) -> Iterator[str]:
        return iter(kinds())


KINDS = _Kinds()
"""The words that a column may have that names a resource type of work."""
