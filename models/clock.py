"""Clocks: the named events of work that a policy counts from; never its last change."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.orm import InstrumentedAttribute


@dataclass(frozen=True, slots=True)
class Clock:
    """When something happened to a row, or was to happen.

    Attributes:
        value: The expression; it may name columns of the row's own table and of *joined*. A row
            without one has no time, and never is due.
        told: What happened, as in `due 2026-11-14 09:12`; None is the row's state.
        joined: The other table, if it has one row at most for each row of work.
        on: What joins the two.
        extra_minutes: A column of *joined*: so much longer a row has time.
    """

    value: ColumnElement[Any] | InstrumentedAttribute[Any]
    told: str | None
    joined: Any = None
    on: ColumnElement[bool] | None = None
    extra_minutes: InstrumentedAttribute[Any] | None = None
