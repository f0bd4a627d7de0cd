"""Store batches: insert a batch of a file once, by its idempotency key.

A batch that is sent again inserts only the rows that earlier attempts left out.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from psycopg import errors
from sqlalchemy import Connection, TextClause, select, text, update
from sqlalchemy.exc import DBAPIError

from domain.errors import InvalidInput, LockBusy
from domain.permissions import Actor
from engine.files.columns import Fault
from engine.files.lines import Batch
from engine.files.references import faults_of_deleted, order_rows
from engine.importing.insert_rows import insert_levels
from engine.input.fields import REFERENCE
from engine.ports.platform import Platform
from engine.records.inline_operation import InlineOperation, inline_operation
from models.base import Work
from models.operation import OperationRow

_MORE_TRIES = 4
_LEFT_OUT = "left_out"
_KEY = "uq_operation_idempotency_key"

# Two files with the same references in different orders can deadlock, and one must try again. It
# then takes the lock alone and so waits for all others first, or the two could deadlock forever.
_BESIDE_OTHERS = text("SELECT pg_advisory_xact_lock_shared(hashtextextended('import', :tenant_id))")
_ALONE = text("SELECT pg_advisory_xact_lock(hashtextextended('import', :tenant_id))")


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """What earlier attempts have stored of a batch.

    Attributes:
        key: The idempotency key of the next attempt.
        left: The positions that no attempt has stored; None if there was no attempt.
    """

    key: str
    left: frozenset[int] | None

    def among(self, positions: Collection[int]) -> Collection[int]:
        """Return those of *positions* that are still to be stored."""
        return [p for p in positions if p in self.left] if self.left is not None else positions


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch as it is to be stored.

    Attributes:
        batch: The batch of the file.
        progress: What earlier attempts have stored of it.
        positions: The positions of the records to insert.
        columns: Their values, as many as there are positions.
        faults: Why other records are left out, by their positions in the batch.
        has_references: Whether its records can have a reference.
    """

    batch: Batch
    progress: BatchProgress
    has_references: bool
    positions: Sequence[int] = ()
    columns: dict[str, list[Any]] = field(default_factory=dict)
    faults: Sequence[Fault] = ()

    def only(self, progress: BatchProgress) -> "Prepared":
        """Return the batch with only the rows that the attempts in *progress* have left."""
        places = [
            n for n, position in enumerate(self.positions) if position in (progress.left or ())
        ]
        return replace(
            self,
            progress=progress,
            positions=[self.positions[place] for place in places],
            columns={name: [v[place] for place in places] for name, v in self.columns.items()},
            faults=[fault for fault in self.faults if fault.position in (progress.left or ())],
        )


@dataclass(frozen=True, slots=True)
class Stored:
    """The result of storing a batch: how many rows are new, and every fault."""

    new: int
    faults: Sequence[Fault]


class Store:
    """Stores the batches of one file, each in one transaction."""

    def __init__(self, platform: Platform, actor: Actor, model: type[Work], name: str) -> None:
        """Keep who imports which kind of work from the file *name*."""
        self._platform = platform
        self._actor = actor
        self._model = model
        self._name = name

    def look_up(self, digest: str) -> BatchProgress:
        """Return what earlier attempts have stored of the batch with a digest."""
        key, left = digest, None
        with self._platform.single.connect() as db:
            while (left_out := self._left_out(db, key)) is not None:
                left = frozenset(left_out)
                if not left:
                    break
                # What is left is a batch with a key of its own: it may be corrected until it fits.
                key = hashlib.sha256(f"{key} {sorted(left)}".encode()).hexdigest()
        return BatchProgress(key, left)

    def store(self, prepared: Prepared) -> Stored:
        """Insert the rows of a batch, in one transaction.

        Raises:
            InvalidInput: The database refuses a value; nothing of the batch was stored.
            LockBusy: Another session holds a lock for longer than the lock timeout.
        """
        for take_turn in (_BESIDE_OTHERS, *[_ALONE] * _MORE_TRIES):
            try:
                return self._store(prepared, take_turn)
            except (InvalidInput, LockBusy, DBAPIError) as error:
                refused = error
                if not _is_a_race(error):
                    break
            # Another session loads the same file: what it stored exists now.
            progress = self.look_up(prepared.progress.key)
            if progress.left is not None:
                prepared = prepared.only(progress)
        raise _with_lines(refused, prepared.batch) from refused

    def _store(self, prepared: Prepared, take_turn: TextClause) -> Stored:
        if not prepared.positions:
            return Stored(0, prepared.faults)
        columns = {name: list(values) for name, values in prepared.columns.items()}
        with self._platform.database.connect() as db:
            levels, late = order_rows(db, self._actor.tenant_id, self._model, columns)
        places = prepared.positions
        faults = [
            *prepared.faults,
            *(replace(fault, position=places[fault.position]) for fault in late),
        ]
        fit = [places[place] for place in chain.from_iterable(levels)]
        if not fit:
            return Stored(0, faults)
        with inline_operation(
            self._platform,
            self._actor,
            kind=self._model.resource_type,
            verb="import",
            reason="import",
            total=len(fit),
            idempotency_key=prepared.progress.key,
            details=self._details(prepared, fit),
        ) as running:
            running.db.execute(take_turn, {"tenant_id": self._actor.tenant_id})
            running.ids = insert_levels(running, self._actor, self._model, columns, levels)
            if len(running.ids) < len(fit):
                by_position = dict(zip(places, prepared.columns.get(REFERENCE, ()), strict=False))
                references = {position: by_position.get(position) for position in fit}
                gone = faults_of_deleted(running.db, self._actor.tenant_id, self._model, references)
                faults += gone
                self._leave_out(running, prepared, set(fit) - {fault.position for fault in gone})
        return Stored(len(running.ids), faults)

    def _leave_out(
        self, running: InlineOperation, prepared: Prepared, fit: Collection[int]
    ) -> None:
        changed = update(OperationRow).where(OperationRow.id == running.operation_id)
        running.db.execute(changed.values(details=self._details(prepared, fit)))

    def _details(self, prepared: Prepared, fit: Collection[int]) -> dict[str, Any]:
        lines = prepared.batch.lines
        out = set(prepared.progress.among(range(len(lines)))) - set(fit)
        return {"file": self._name, "lines": [lines[0], lines[-1]], _LEFT_OUT: sorted(out)}

    def _left_out(self, db: Connection, key: str) -> list[int] | None:
        person = self._actor.person_id
        whose = (
            OperationRow.actor_id.is_(None) if person is None else OperationRow.actor_id == person
        )
        query = select(OperationRow.details[_LEFT_OUT]).where(
            OperationRow.tenant_id == self._actor.tenant_id,
            whose,
            OperationRow.idempotency_key == key,
        )
        return db.scalar(query)


def _is_a_race(error: Exception) -> bool:
    """Return whether a retry may succeed: the key was used meanwhile, or a lock was held."""
    cause = error.__cause__ if isinstance(error, InvalidInput) else error
    reason = getattr(cause, "orig", None)
    if isinstance(reason, errors.UniqueViolation):
        return reason.diag.constraint_name == _KEY
    return isinstance(error, LockBusy) or isinstance(reason, errors.DeadlockDetected)


def _with_lines(error: Exception, batch: Batch) -> Exception:
    if not isinstance(error, InvalidInput):
        return error
    got = f"{error.facts['got']}, in lines {batch.lines[0]} to {batch.lines[-1]}"
    return InvalidInput(**(error.facts | {"got": got}))
