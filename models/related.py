"""Related facts: say how a rule reads a fact from another table than the row's own."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select
from sqlalchemy.orm import InstrumentedAttribute


@dataclass(frozen=True, slots=True)
class Related:
    """The source of a fact.

    Attributes:
        value: The expression; it may use columns of the row's own table and of *joined*.
        joined: Another table, if it has at most one row for each row of work.
        on: The condition of the join.
        lock: A query that locks, `FOR SHARE`, what must not change until the commit, for the rows
            `:ids` of `:tenant_id`. Children need no lock: whoever writes them locks the row
            itself.
    """

    value: ColumnElement[Any] | InstrumentedAttribute[Any]
    joined: Any = None
    on: ColumnElement[bool] | None = None
    lock: Select[Any] | None = None
