"""Clocks: define the named events of work from which a policy counts; never the last change."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.orm import InstrumentedAttribute


@dataclass(frozen=True, slots=True)
class Clock:
    """When something happened to a row, or should happen.

    Attributes:
        value: The expression; it may use columns of the row's own table and of *joined*. A row
            for which it is NULL is never due.
        event: What happened, as in `due 2026-11-14 09:12`; None is the row's state.
        joined: Another table, if it has at most one row for each row of work.
        on: The condition of the join.
        extra_minutes: A column of *joined*: the minutes that are added to a row's time.
    """

    value: ColumnElement[Any] | InstrumentedAttribute[Any]
    event: str | None
    joined: Any = None
    on: ColumnElement[bool] | None = None
    extra_minutes: InstrumentedAttribute[Any] | None = None
