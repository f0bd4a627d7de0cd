"""A batch of a file, stored once: sent again it is known by its key, and brings what is left."""

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

# Two files with the same references in different orders wait for each other, and one is told to
# try again: it then waits for all others before it begins, or the two would meet forever.
_BESIDE_OTHERS = text("SELECT pg_advisory_xact_lock_shared(hashtextextended('import', :tenant_id))")
_ALONE = text("SELECT pg_advisory_xact_lock(hashtextextended('import', :tenant_id))")


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a batch from earlier attempts.

    Attributes:
        key: Of the next attempt.
        left: The positions that no attempt has brought in; None if there was none.
    """

    key: str
    left: frozenset[int] | None

    def among(self, positions: Collection[int]) -> Collection[int]:
        """Return those of *positions* that have yet to come in."""
        return [p for p in positions if p in self.left] if self.left is not None else positions


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch as it is to be stored.

    Attributes:
        batch: Where it comes from.
        known: What is known of it from earlier attempts.
        positions: Which of its records come in.
        columns: Their values, as many as there are positions.
        faults: Why others don't, by their positions in the batch.
        has_references: Whether its records have a reference, if they like.
    """

    batch: Batch
    known: Known
    has_references: bool
    positions: Sequence[int] = ()
    columns: dict[str, list[Any]] = field(default_factory=dict)
    faults: Sequence[Fault] = ()

    def only(self, known: Known) -> "Prepared":
        """Return what of it is left by attempts that have become known."""
        places = [n for n, each in enumerate(self.positions) if each in (known.left or ())]
        return replace(
            self,
            known=known,
            positions=[self.positions[each] for each in places],
            columns={name: [v[each] for each in places] for name, v in self.columns.items()},
            faults=[each for each in self.faults if each.position in (known.left or ())],
        )


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a batch: how many rows are new, and everything that was wrong."""

    new: int
    faults: Sequence[Fault]


class Store:
    """Stores the batches of one file; one at a time."""

    def __init__(self, platform: Platform, actor: Actor, model: type[Work], name: str) -> None:
        """Say who brings which kind of work from the file *name*."""
        self._platform = platform
        self._actor = actor
        self._model = model
        self._name = name

    def look_up(self, digest: str) -> Known:
        """Return what is known of the batch of a digest."""
        key, left = digest, None
        with self._platform.single.connect() as db:
            while (found := self._left_out(db, key)) is not None:
                left = frozenset(found)
                if not left:
                    break
                # What is left of a batch is another batch: it may change until it fits.
                key = hashlib.sha256(f"{key} {sorted(left)}".encode()).hexdigest()
        return Known(key, left)

    def store(self, prepared: Prepared) -> Stored:
        """Bring the rows of a batch in, in one transaction.

        Raises:
            InvalidInput: The database refuses a value; the batch was left out.
            LockBusy: Somebody holds what is needed for longer than the lock timeout.
        """
        for turn in (_BESIDE_OTHERS, *[_ALONE] * _MORE_TRIES):
            try:
                return self._store(prepared, turn)
            except (InvalidInput, LockBusy, DBAPIError) as error:
                refused = error
                if not _is_a_race(error):
                    break
            # Somebody else sends the same file: what they brought in is there now.
            known = self.look_up(prepared.known.key)
            if known.left is not None:
                prepared = prepared.only(known)
        raise _located(refused, prepared.batch) from refused

    def _store(self, prepared: Prepared, turn: TextClause) -> Stored:
        if not prepared.positions:
            return Stored(0, prepared.faults)
        columns = {name: list(values) for name, values in prepared.columns.items()}
        with self._platform.database.connect() as db:
            levels, late = order_rows(db, self._actor.tenant_id, self._model, columns)
        places = prepared.positions
        faults = [
            *prepared.faults,
            *(replace(each, position=places[each.position]) for each in late),
        ]
        fit = [places[each] for each in chain.from_iterable(levels)]
        if not fit:
            return Stored(0, faults)
        with inline_operation(
            self._platform,
            self._actor,
            kind=self._model.resource_type,
            verb="import",
            reason="import",
            total=len(fit),
            idempotency_key=prepared.known.key,
            details=self._details(prepared, fit),
        ) as running:
            running.db.execute(turn, {"tenant_id": self._actor.tenant_id})
            running.ids = insert_levels(running, self._actor, self._model, columns, levels)
            if len(running.ids) < len(fit):
                given = dict(zip(places, prepared.columns.get(REFERENCE, ()), strict=False))
                named = {each: given.get(each) for each in fit}
                gone = faults_of_deleted(running.db, self._actor.tenant_id, self._model, named)
                faults += gone
                self._leave_out(running, prepared, set(fit) - {each.position for each in gone})
        return Stored(len(running.ids), faults)

    def _leave_out(
        self, running: InlineOperation, prepared: Prepared, fit: Collection[int]
    ) -> None:
        changed = update(OperationRow).where(OperationRow.id == running.operation_id)
        running.db.execute(changed.values(details=self._details(prepared, fit)))

    def _details(self, prepared: Prepared, fit: Collection[int]) -> dict[str, Any]:
        lines = prepared.batch.lines
        out = set(prepared.known.among(range(len(lines)))) - set(fit)
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
    """Say whether the same may succeed now: the key was used meanwhile, or a lock was held."""
    cause = error.__cause__ if isinstance(error, InvalidInput) else error
    reason = getattr(cause, "orig", None)
    if isinstance(reason, errors.UniqueViolation):
        return reason.diag.constraint_name == _KEY
    return isinstance(error, LockBusy) or isinstance(reason, errors.DeadlockDetected)


def _located(error: Exception, batch: Batch) -> Exception:
    if not isinstance(error, InvalidInput):
        return error
    got = f"{error.facts['got']}, in lines {batch.lines[0]} to {batch.lines[-1]}"
    return InvalidInput(**(error.facts | {"got": got}))
