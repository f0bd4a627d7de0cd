"""What a chunk does to its rows: the steps that every verb has, in its own way."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from domain.permissions import granted
from engine.audit.outbox import Measured
from engine.changes.outcomes import Outcomes


class Change(ABC):
    """One operation's way with the rows of a chunk, in the chunk's one transaction.

    Attributes:
        operation: What was submitted, as stored.
        permissions: What its actor may do at this moment.
        by_manager: The actor, or the person named as `approved_by`, is a manager.
        by_system: The platform itself asks; it needs no permission.
    """

    def __init__(self, operation: Row[Any]) -> None:
        """Take over who asks, and what they may do at this moment."""
        self.operation = operation
        self.by_system = operation.actor_id is None
        self.permissions: frozenset[str] = frozenset()
        self.by_manager = False
        if not self.by_system:
            held = operation.held_roles or ()
            self.permissions, self.by_manager = granted(held, operation.actor_id)

    @abstractmethod
    def lock(self, db: Connection, ids: Sequence[int]) -> tuple[Sequence[Row[Any]], set[int]]:
        """Lock the rows that are free; return them, and the ids of those that are contended."""

    @abstractmethod
    def judge(
        self,
        rows: Iterable[Row[Any]],
        ids: Iterable[int],
        expected: Mapping[int, int],
        now: datetime,
    ) -> Outcomes:
        """Say what becomes of each row, and of ids that have none."""

    @abstractmethod
    def write(self, db: Connection, outcomes: Outcomes, now: datetime) -> None:
        """Write the rows that passed."""

    @abstractmethod
    def log(self, db: Connection, outcomes: Outcomes, now: datetime, measured: Measured) -> None:
        """Leave the records of what was done and refused in the outbox."""

    @abstractmethod
    def required(self, rows: Iterable[Row[Any]]) -> set[str]:
        """Return the permissions that these rows would have needed."""
