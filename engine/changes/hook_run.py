"""Hook runs: run a hook's `after` as a follow-up operation of its own."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from domain.bulk import Outcome
from engine.audit.outbox import Measured
from engine.changes.change import Change
from engine.changes.outcomes import Outcomes
from engine.ports.hooks import Hook, naming_hook

VERB = "hook"


class HookRun(Change):
    """A change that runs a hook's `after` for the items of one chunk."""

    def __init__(self, operation: Row[Any], hook: Hook) -> None:
        """Take the *hook* that the follow-up *operation* runs."""
        super().__init__(operation)
        self._hook = hook

    def lock(self, db: Connection, ids: Sequence[int]) -> tuple[Sequence[Row[Any]], set[int]]:
        """Lock nothing: the items aren't rows of work."""
        return (), set()

    def judge(
        self,
        rows: Iterable[Row[Any]],
        ids: Iterable[int],
        expected: Mapping[int, int],
        now: datetime,
    ) -> Outcomes:
        """Let every item pass."""
        return Outcomes(outcomes=dict.fromkeys(ids, Outcome.SUCCEEDED))

    def write(self, db: Connection, outcomes: Outcomes, now: datetime) -> None:
        """Call the hook's `after`."""
        operation = self.operation
        ids = sorted(outcomes.outcomes)
        with naming_hook(self._hook):
            self._hook.after(db, operation.parent_id, operation.tenant_id, ids, now)

    def log(self, db: Connection, outcomes: Outcomes, now: datetime, measured: Measured) -> None:
        """Record nothing: no work was changed."""

    def required(self, rows: Iterable[Row[Any]]) -> set[str]:
        """Return nothing: the system runs hooks, and needs no permission."""
        return set()
