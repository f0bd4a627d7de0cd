"""Load a file of new work batch by batch: each batch is one transaction, stored exactly once.

While some batches are stored the next one is read. The idempotency key of a batch is a digest of
its content, so a file can be loaded again, also after a crash, without inserting a row twice.
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
from engine.files.column_mapping import ColumnMapping
from engine.files.columns import Fault, incoming, parse_columns
from engine.files.layout import BatchColumns, Layout
from engine.files.lines import Batch
from engine.files.references import (
    faults_of_deleted,
    refers_to_own_kind,
    resolve_columns,
    unknown_references,
)
from engine.files.rejects import reject
from engine.files.seen_references import SeenReferences
from engine.files.source import Load, Loaded, open_batches
from engine.importing.initial_states import authorize_import, faults_of_state
from engine.importing.store_batch import BatchProgress, Prepared, Store, Stored
from engine.input.fields import REFERENCE
from engine.input.record_types import known_kind
from engine.ports.platform import Platform
from models.base import Work

_WRITERS = 2
"""Batches that are stored at the same time; half of the work is PostgreSQL's checks of foreign
keys."""


def load_file(platform: Platform, actor: Actor, load: Load) -> Loaded:
    """Load a file of new work; bad records are reported and left out, all others are inserted.

    An interrupted load keeps the batches that are stored; loading the file again goes on there.

    Raises:
        InvalidInput: The kind, the form, the mapping or the header is not what was expected;
            nothing was stored. Or the database refuses a value; batches stored before stay.
        PermissionDenied: The actor may not; the denial is recorded.
        LockBusy: Another session holds a lock that is needed; batches stored before stay.
    """
    model = known_kind(load.kind)
    states = authorize_import(platform, actor, model)
    column_mapping = ColumnMapping(incoming(model), load.mapping, load.ignore)
    batches, layout = open_batches(load, column_mapping, platform.pace.import_rows)
    store = Store(platform, actor, model, load.name)
    attempt = AttemptedWrite(
        "CREATED", model.resource_type, reason="import", details={"file": load.name}
    )
    with (
        recorded_if_refused(platform, actor, attempt),
        SeenReferences() as seen_references,
        ThreadPoolExecutor(_WRITERS, "import") as writers,
    ):
        preparation = _Preparation(platform, actor, model, layout, store, seen_references, states)
        settlement = _Settlement(load)
        try:
            for batch in batches:
                prepared = preparation.prepare(batch)
                settlement.settle(
                    0 if refers_to_own_kind(model, prepared.columns) else _WRITERS - 1
                )
                settlement.wait_for(prepared, writers.submit(store.store, prepared))
        finally:
            settlement.settle()
    return settlement.loaded


@dataclass(frozen=True, slots=True)
class _Preparation:
    """Prepares a batch for storing, while batches before it are stored."""

    platform: Platform
    actor: Actor
    model: type[Work]
    layout: Layout
    store: Store
    seen_references: SeenReferences
    states: Sequence[str]

    def prepare(self, batch: Batch) -> Prepared:
        """Return the rows of a batch that are to be inserted, and the faults of the others."""
        cells = self.layout.read(batch)
        progress = self.store.look_up(self._digest(batch))
        if progress.left is not None and not progress.left:
            # Its references still count: later batches may repeat them.
            columns = parse_columns(self.model, _only_references(cells)).columns
            self._repeats(batch, cells, columns)
            gone = self._faults_of_deleted(progress, cells, columns)
            return Prepared(batch, progress, REFERENCE in cells.columns, faults=gone)
        parsed = parse_columns(self.model, cells.columns)
        repeats = self._repeats(batch, cells, parsed.columns)
        with self.platform.database.connect() as db:
            late = resolve_columns(db, self.actor.tenant_id, self.model, parsed.columns)
        record_probes(self.platform, self.actor, "import", unknown_references(self.model, late))
        row_faults = [*parsed.faults, *faults_of_state(parsed.columns, self.states), *late]
        places = cells.positions
        faults = [
            *cells.faults,
            *(replace(fault, position=places[fault.position]) for fault in row_faults),
            *repeats,
        ]
        fit = _rows_to_insert(batch, progress, BatchColumns(places, dict(parsed.columns), faults))
        return replace(
            fit, faults=[*fit.faults, *self._faults_of_deleted(progress, cells, parsed.columns)]
        )

    def _faults_of_deleted(
        self, progress: BatchProgress, cells: BatchColumns, columns: Mapping[str, Sequence[Any]]
    ) -> list[Fault]:
        """Return a fault for each row that an earlier attempt inserted and that is deleted now."""
        if progress.left is None or REFERENCE not in columns:
            return []
        references = dict(zip(cells.positions, columns[REFERENCE], strict=True))
        stored = {place: name for place, name in references.items() if place not in progress.left}
        with self.platform.database.connect() as db:
            return faults_of_deleted(db, self.actor.tenant_id, self.model, stored)

    def _digest(self, batch: Batch) -> str:
        meaning = f"{self.model.resource_type}\n{self.layout.meaning}\n{batch.number}\n"
        content = meaning + "".join(batch.texts)
        return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()

    def _repeats(
        self, batch: Batch, cells: BatchColumns, columns: Mapping[str, Sequence[Any]]
    ) -> list[Fault]:
        if REFERENCE not in columns:
            return []
        references = columns[REFERENCE]
        lines = [batch.lines[position] for position in cells.positions]
        return [
            Fault(
                cells.positions[place],
                REFERENCE,
                references[place],
                "duplicate_reference",
                f"one that no line before has; line {first} has it",
            )
            for place, first in self.seen_references.note(references, lines).items()
        ]


def _only_references(cells: BatchColumns) -> dict[str, Sequence[Any]]:
    return {name: values for name, values in cells.columns.items() if name == REFERENCE}


def _rows_to_insert(batch: Batch, progress: BatchProgress, cells: BatchColumns) -> Prepared:
    """Return the rows to insert: without fault, and not inserted by an earlier attempt."""
    unfit = {fault.position for fault in cells.faults}
    left = progress.among(range(len(batch.lines)))
    fit = set(left) - unfit
    chosen = [position in fit for position in cells.positions]
    return Prepared(
        batch,
        progress,
        REFERENCE in cells.columns,
        list(compress(cells.positions, chosen)),
        {name: list(compress(values, chosen)) for name, values in cells.columns.items()},
        [
            fault
            for fault in cells.faults
            if progress.left is None or fault.position in progress.left
        ],
    )


class _Settlement:
    """Counts and reports what became of each batch."""

    def __init__(self, load: Load) -> None:
        self.loaded = Loaded()
        self._load = load
        self._waiting: deque[tuple[Prepared, Future[Stored]]] = deque()

    def wait_for(self, prepared: Prepared, stored: Future[Stored]) -> None:
        """Add a batch that is being stored."""
        self._waiting.append((prepared, stored))

    def settle(self, most: int = 0) -> None:
        """Wait until at most *most* batches are being stored; report the finished, oldest first."""
        while len(self._waiting) > most:
            prepared, future = self._waiting[0]
            wait([future])
            self._waiting.popleft()
            stored = future.result()
            self._count(prepared, stored)
            for fault in sorted(stored.faults, key=lambda fault: fault.position):
                self._load.on_reject(reject(prepared.batch, fault))
            self._load.on_progress(self.loaded)

    def _count(self, prepared: Prepared, stored: Stored) -> None:
        batch = prepared.batch
        bad = len({fault.position for fault in stored.faults})
        self.loaded.read += len(batch.lines)
        self.loaded.new += stored.new
        self.loaded.bad += bad
        self.loaded.there += len(batch.lines) - stored.new - bad
        self.loaded.codes.update(fault.code for fault in stored.faults)
        self.loaded.has_references |= prepared.has_references
        self.loaded.read_bytes = batch.read_bytes
