"""Facts of a rule that stand in other tables than the row itself."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select
from sqlalchemy.orm import InstrumentedAttribute


@dataclass(frozen=True, slots=True)
class Related:
    """Where a fact comes from.

    Attributes:
        value: The expression; it may name columns of the row's own table and of *joined*.
        joined: The other table, if it has one row at most for each row of work.
        on: What joins the two.
        lock: Locks what must stay as it is until the change is committed, `FOR SHARE`, for the
            rows `:ids` of `:tenant_id`. What the writers of parts change needs none: they lock
            the row itself.
    """

    value: ColumnElement[Any] | InstrumentedAttribute[Any]
    joined: Any = None
    on: ColumnElement[bool] | None = None
    lock: Select[Any] | None = None
