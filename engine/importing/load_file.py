"""A file of new work, brought in batch by batch: each is one transaction, once, whatever happens.

While some batches are stored the next is read. A batch is known again by what stands in it, so
that a file may be sent again, or again after a crash, and brings no row twice.
"""

import hashlib
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import compress
from typing import Any

from domain.permissions import Actor
from engine.access.cross_tenant_watch import record_probes
from engine.access.refused_writes import AttemptedWrite, recorded_if_refused
from engine.files.column_mapping import Naming
from engine.files.columns import Fault, incoming, parse_columns
from engine.files.layout import Given, Shape
from engine.files.lines import Batch
from engine.files.references import faults_of_deleted, named_in, names_others, resolve_columns
from engine.files.rejects import reject
from engine.files.seen_references import Seen
from engine.files.source import Load, Loaded, open_batches
from engine.importing.initial_states import authorize_import, faults_of_state
from engine.importing.store_batch import Known, Prepared, Store, Stored
from engine.input.fields import REFERENCE
from engine.input.record_types import known_kind
from engine.ports.platform import Platform
from models.base import Work

_WRITERS = 2
"""Batches that are stored at the same time: half of the work is checking foreign keys."""


def load_file(platform: Platform, actor: Actor, load: Load) -> Loaded:
    """Bring a file of new work in; bad records are told and left out, the rest goes in.

    Interrupted, it leaves in what is in; the same again goes on from there.

    Raises:
        InvalidInput: The kind, the form, the mapping or the header is not what was expected;
            nothing was stored. Or the database refuses a value; what is in stays.
        PermissionDenied: The actor may not; the denial is recorded.
        LockBusy: Somebody holds what is needed; what is in stays.
    """
    model = known_kind(load.kind)
    states = authorize_import(platform, actor, model)
    naming = Naming(incoming(model), load.mapping, load.ignore)
    batches, shape = open_batches(load, naming, platform.pace.import_rows)
    store = Store(platform, actor, model, load.name)
    wanted = AttemptedWrite(
        "CREATED", model.resource_type, reason="import", details={"file": load.name}
    )
    with (
        recorded_if_refused(platform, actor, wanted),
        Seen() as seen,
        ThreadPoolExecutor(_WRITERS, "import") as writers,
    ):
        preparing = _Preparing(platform, actor, model, shape, store, seen, states)
        settling = _Settling(load)
        try:
            for batch in batches:
                prepared = preparing.prepare(batch)
                settling.settle(0 if names_others(model, prepared.columns) else _WRITERS - 1)
                settling.wait_for(prepared, writers.submit(store.store, prepared))
        finally:
            settling.settle()
    return settling.loaded


@dataclass(frozen=True, slots=True)
class _Preparing:
    """Reads what a batch brings, while the batch before it is stored."""

    platform: Platform
    actor: Actor
    model: type[Work]
    shape: Shape
    store: Store
    seen: Seen
    states: Sequence[str]

    def prepare(self, batch: Batch) -> Prepared:
        """Return what of a batch comes in, and what is wrong with the rest."""
        given = self.shape.read(batch)
        known = self.store.look_up(self._digest(batch))
        if known.left is not None and not known.left:
            # Its references still count: what comes later may repeat them.
            columns = parse_columns(self.model, _references(given)).columns
            self._repeats(batch, given, columns)
            gone = self._deleted(known, given, columns)
            return Prepared(batch, known, REFERENCE in given.columns, faults=gone)
        parsed = parse_columns(self.model, given.columns)
        repeats = self._repeats(batch, given, parsed.columns)
        with self.platform.database.connect() as db:
            late = resolve_columns(db, self.actor.tenant_id, self.model, parsed.columns)
        record_probes(self.platform, self.actor, "import", named_in(self.model, late))
        found = [*parsed.faults, *faults_of_state(parsed.columns, self.states), *late]
        places = given.positions
        faults = [
            *given.faults,
            *(replace(each, position=places[each.position]) for each in found),
            *repeats,
        ]
        fit = _fit(batch, known, Given(places, dict(parsed.columns), faults))
        return replace(fit, faults=[*fit.faults, *self._deleted(known, given, parsed.columns)])

    def _deleted(
        self, known: Known, given: Given, columns: Mapping[str, Sequence[Any]]
    ) -> list[Fault]:
        """Return a fault for each row that an earlier attempt brought in and that was deleted."""
        if known.left is None or REFERENCE not in columns:
            return []
        named = dict(zip(given.positions, columns[REFERENCE], strict=True))
        there = {place: name for place, name in named.items() if place not in known.left}
        with self.platform.database.connect() as db:
            return faults_of_deleted(db, self.actor.tenant_id, self.model, there)

    def _digest(self, batch: Batch) -> str:
        meaning = f"{self.model.resource_type}\n{self.shape.told}\n{batch.number}\n"
        content = meaning + "".join(batch.texts)
        return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()

    def _repeats(
        self, batch: Batch, given: Given, columns: Mapping[str, Sequence[Any]]
    ) -> list[Fault]:
        if REFERENCE not in columns:
            return []
        references = columns[REFERENCE]
        lines = [batch.lines[each] for each in given.positions]
        return [
            Fault(
                given.positions[place],
                REFERENCE,
                references[place],
                "duplicate_reference",
                f"one that no line before has; line {first} has it",
            )
            for place, first in self.seen.note(references, lines).items()
        ]


def _references(given: Given) -> dict[str, Sequence[Any]]:
    return {name: values for name, values in given.columns.items() if name == REFERENCE}


def _fit(batch: Batch, known: Known, given: Given) -> Prepared:
    """Return what comes in: what has no fault, and was not brought in by an earlier attempt."""
    unfit = {each.position for each in given.faults}
    left = known.among(range(len(batch.lines)))
    wanted = set(left) - unfit
    chosen = [each in wanted for each in given.positions]
    return Prepared(
        batch,
        known,
        REFERENCE in given.columns,
        list(compress(given.positions, chosen)),
        {name: list(compress(values, chosen)) for name, values in given.columns.items()},
        [each for each in given.faults if known.left is None or each.position in known.left],
    )


class _Settling:
    """Counts and tells what became of each batch."""

    def __init__(self, load: Load) -> None:
        self.loaded = Loaded()
        self._load = load
        self._waiting: deque[tuple[Prepared, Future[Stored]]] = deque()

    def wait_for(self, prepared: Prepared, stored: Future[Stored]) -> None:
        """Note a batch that is being stored."""
        self._waiting.append((prepared, stored))

    def settle(self, most: int = 0) -> None:
        """Wait until *most* batches are being stored, oldest first; count and tell the others."""
        while len(self._waiting) > most:
            prepared, future = self._waiting[0]
            wait([future])
            self._waiting.popleft()
            stored = future.result()
            self._count(prepared, stored)
            for fault in sorted(stored.faults, key=lambda each: each.position):
                self._load.on_reject(reject(prepared.batch, fault))
            self._load.on_progress(self.loaded)

    def _count(self, prepared: Prepared, stored: Stored) -> None:
        batch = prepared.batch
        bad = len({each.position for each in stored.faults})
        self.loaded.read += len(batch.lines)
        self.loaded.new += stored.new
        self.loaded.bad += bad
        self.loaded.there += len(batch.lines) - stored.new - bad
        self.loaded.codes.update(each.code for each in stored.faults)
        self.loaded.has_references |= prepared.has_references
        self.loaded.read_bytes = batch.read_bytes
