"""Change: the interface of what an operation does to the rows of a chunk, one class a verb."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from domain.permissions import granted
from engine.audit.outbox import Measured
from engine.changes.outcomes import Outcomes


class Change(ABC):
    """The steps of an operation on the rows of a chunk, all in the chunk's one transaction.

    Attributes:
        operation: The operation as stored.
        permissions: The permissions that its actor holds at this moment.
        by_manager: The actor, or the person named as `approved_by`, is a manager.
        by_system: The actor is the system, which needs no permission.
    """

    def __init__(self, operation: Row[Any]) -> None:
        """Take the actor from *operation*, and the permissions that they hold at this moment."""
        self.operation = operation
        self.by_system = operation.actor_id is None
        self.permissions: frozenset[str] = frozenset()
        self.by_manager = False
        if not self.by_system:
            held = operation.held_roles or ()
            self.permissions, self.by_manager = granted(held, operation.actor_id)

    @abstractmethod
    def lock(self, db: Connection, ids: Sequence[int]) -> tuple[Sequence[Row[Any]], set[int]]:
        """Lock the rows that are free; return them, and the ids of the contended ones."""

    @abstractmethod
    def judge(
        self,
        rows: Iterable[Row[Any]],
        ids: Iterable[int],
        expected: Mapping[int, int],
        now: datetime,
    ) -> Outcomes:
        """Return the outcome of each row, and of each id that has no row."""

    @abstractmethod
    def write(self, db: Connection, outcomes: Outcomes, now: datetime) -> None:
        """Write the rows that passed."""

    @abstractmethod
    def log(self, db: Connection, outcomes: Outcomes, now: datetime, measured: Measured) -> None:
        """Write the records of what was done and refused to the outbox."""

    @abstractmethod
    def required(self, rows: Iterable[Row[Any]]) -> set[str]:
        """Return the permissions that the change of these rows needs."""
