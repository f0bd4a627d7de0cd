"""The base of all tables, and what every record and every row of work has."""

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
    """What interfaces create, read, update, list and delete, each write as its next version.

    A mapped subclass is found by itself, by its resource type. Deletion is soft: `deleted_at`.

    Attributes:
        resource_type: What the interfaces call it, e.g. `site`.
        parent: The column that names the row it is a part of; whoever writes the part locks
            that row and makes its next version as well.
        permit: The verb whose permission over the parent a part's writer needs; None for
            parts with permissions of their own.
        choices: The words that a column takes, by column.
        parsers: For text that has a form of its own, by column: what returns it as it is stored,
            or raises InvalidInput or ValueError; and how it looks, as the end of a sentence.
        checks: What must hold of the columns together.
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
    """What work brings home: parts with a `name` and a `value`, a name once for each row.

    Attributes:
        part: Their model.
        missing: The fact that names those which a row still lacks.
    """

    part: type[Record]
    missing: str


class Work(Record):
    """The columns of every kind of work; a mapped subclass with a `machine` is a kind.

    `state_since` is when the row came into its state, `version` counts its writes from 1.
    The database refuses every change that the machine doesn't know (see the guard migration).

    Attributes:
        machine: Its states and the ways between them.
        related: The facts of its rules that stand in other tables, by name.
        derived: What can be said of a row by what stands elsewhere, by name; filters ask for it.
        readings: What its rows bring home, and a file brings with them; None for most kinds.
        clocks: The named events of its own that a policy counts from, by name.
        words: What a row says in the comments of a policy, by name.
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

    def __init_subclass__(cls, **more: Any) -> None:
        """Call a kind at the interfaces what its machine calls it."""
        if "machine" in cls.__dict__:
            cls.resource_type = cls.machine.kind
        super().__init_subclass__(**more)

    uuid: Mapped[UUID] = mapped_column(server_default=text("gen_random_uuid()"), unique=True)
    reference: Mapped[str | None]
    state: Mapped[str]
    state_since: Mapped[datetime] = mapped_column(server_default=NOW)
    tags: Mapped[list[str]] = mapped_column(server_default="{}")


ASSIGNED = ("assigned_to_user", "assigned_to_team")


class Assignable:
    """The columns of work that is somebody's: of a person, a team, or both."""

    assigned_to_user: Mapped[int | None] = mapped_column(BigInteger)
    assigned_to_team: Mapped[int | None] = mapped_column(BigInteger)


def work_table(name: str, *others: SchemaItem) -> tuple[Any, ...]:
    """Return the `__table_args__` of a kind of work: the shared indexes and *others*."""
    return (
        # Listing and selecting a tenant's rows by state, and those that are in it for long.
        Index(f"ix_{name}_tenant_id_state", "tenant_id", "state", "state_since"),
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


def unique_name_index(table: str) -> Index:
    """Return the index that keeps a name unique among a tenant's records that aren't deleted."""
    return Index(
        f"uq_{table}_tenant_id_name", "tenant_id", "name", unique=True, postgresql_where=LIVE
    )


def kinds() -> dict[str, type[Work]]:
    """Return every kind of work by its name; a newly mapped class is found by itself."""
    return {
        resource_type: model
        for resource_type, model in records().items()
        if issubclass(model, Work)
    }


def records() -> dict[str, type[Record]]:
    """Return everything that interfaces create and change, by its resource type, work included."""
    found = [each.class_ for each in Base.registry.mappers if issubclass(each.class_, Record)]
    return {each.resource_type: each for each in sorted(found, key=lambda each: each.resource_type)}


def clocks_of(model: type[Work]) -> Mapping[str, Clock]:
    """Return the clocks of a kind of work by name: those that every kind has, and its own."""
    common = {
        "created": Clock(model.created_at, "created"),
        "state": Clock(model.state_since, None),
    }
    return common | dict(model.clocks)


class _Kinds:
    """The kinds of work, asked for when all of them are mapped."""

    def __iter__(self) -> Iterator[str]:
        return iter(kinds())


KINDS = _Kinds()
"""The words of a column that names a kind of work."""
