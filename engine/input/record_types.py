"""Resource types: look up the model of what interfaces create and change, by its name."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table

from domain.errors import InvalidInput
from engine.input.checks import refuse
from engine.input.fields import fields_of
from models.base import Record, Work, kinds, records


@dataclass(frozen=True, slots=True)
class Target:
    """The model of a resource type that is written, and the model of its parent, if it has one."""

    model: type[Record]
    parent: type[Record] | None

    @property
    def guarded(self) -> str:
        """Return the resource type that the database's guard checks: the parent's, if any."""
        return (self.parent or self.model).resource_type

    def permission(self, verb: str) -> tuple[str, str]:
        """Return kind and action of the permission that *verb* needs."""
        if self.parent is None or self.model.permit is None:
            return self.model.resource_type, verb
        return self.parent.resource_type, self.model.permit


def known_resource_type(resource_type: Any) -> type[Record]:
    """Return the model of a resource type; a dash is taken for an underscore.

    Raises:
        InvalidInput: There is no such resource type.
    """
    name = resource_type.replace("-", "_") if isinstance(resource_type, str) else resource_type
    models = records()
    if name not in list(models):
        raise InvalidInput(field="kind", got=resource_type, expected=f"one of {', '.join(models)}")
    return models[name]


def parent_of(model: type[Record]) -> type[Record] | None:
    """Return the model of the parent of a record, if it has one."""
    refers_to = fields_of(model)[model.parent].refers_to if model.parent else None
    return records()[refers_to] if refers_to else None


def target_of(resource_type: Any) -> Target:
    """Return the models that a write of a resource type is about.

    Raises:
        InvalidInput: There is no such resource type.
    """
    model = known_resource_type(resource_type)
    return Target(model, parent_of(model))


def table_of(model: type[Record]) -> Table:
    """Return the table of a model, as SQLAlchemy Core takes it."""
    table: Any = model.__table__
    return table  # type: ignore[no-any-return]


def known_kind(kind: Any) -> type[Work]:
    """Return the model of a kind of work; a dash is taken for an underscore.

    Raises:
        InvalidInput: There is no such kind.
    """
    name = kind.replace("-", "_") if isinstance(kind, str) else kind
    models = kinds()
    if name not in list(models):
        refuse("kind", kind, f"one of {', '.join(models)}")
    return models[name]
