"""A file of new work, brought in batch by batch: each is one transaction, once, whatever happens.

While some batches are stored the next is read. A batch is known again by what stands in it, so
that a file may be sent again, or again after a crash, and brings no row twice.
"""

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from itertools import chain, compress
from typing import Any

from domain.errors import InvalidInput
from domain.permissions import Actor
from engine.columns import Fault, incoming, parse_columns
from engine.entry import demand_import, faults_of_state
from engine.fields import REFERENCE
from engine.lines import Batch, Lines, Source, read_batches, read_records
from engine.naming import Naming
from engine.platform import Platform
from engine.references import faults_of_deleted, named_in, names_others, resolve_columns
from engine.rejects import Reject, reject
from engine.seen import Seen
from engine.shape import CsvShape, Given, ObjectShape, Shape
from engine.storing import Known, Prepared, Store, Stored
from engine.submission import known_kind
from engine.wanted import Wanted, recorded_if_refused
from engine.watch import watch_named
from models.base import Work

_WRITERS = 2
"""Batches that are stored at the same time: half of the work is checking foreign keys."""


@dataclass(slots=True)
class Loaded:
    """How far a file has come in; `read` is the sum of `new`, `there` and `bad`.

    Attributes:
        read: Records, bad ones included.
        new: Rows that are in now.
        there: Rows that were there already: by their reference, or from an earlier attempt.
        bad: Records that were left out.
        codes: How many faults of which sort; a record can have several.
        has_references: Whether the file has references, by which its rows are known again.
        read_bytes: So much of the file is read.
    """

    read: int = 0
    new: int = 0
    there: int = 0
    bad: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    has_references: bool = False
    read_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Load:
    """A file to bring in, as the doors hand it over.

    Attributes:
        kind: The kind of work; a dash is taken for an underscore.
        source: The file.
        name: What it is called, for the records.
        form: `csv` or `ndjson`.
        delimiter: What divides the cells of a CSV file.
        mapping: Fields by the columns that fill them; others go by their name.
        ignore: Columns that are passed over.
        on_reject: Told each fault, in the order of lines within a batch.
        on_progress: Told how far it is after each batch.
    """

    kind: str
    source: Source
    name: str = ""
    form: str = "csv"
    delimiter: str = ","
    mapping: Mapping[str, str] = field(default_factory=dict)
    ignore: Collection[str] = ()
    on_reject: Callable[[Reject], object] = lambda _: None
    on_progress: Callable[[Loaded], object] = lambda _: None


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
    states = demand_import(platform, actor, model)
    naming = Naming(incoming(model), load.mapping, load.ignore)
    batches, shape = open_batches(load, naming, platform.pace.import_rows)
    store = Store(platform, actor, model, load.name)
    wanted = Wanted("CREATED", model.noun, reason="import", details={"file": load.name})
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


def open_batches(load: Load, naming: Naming, most: int) -> tuple[Iterable[Batch], Shape]:
    """Return the batches of a file, *most* records each, and what stands where in them.

    Raises:
        InvalidInput: The file is empty, or its header or first record is not what was expected.
    """
    if len(load.delimiter) != 1 or load.delimiter in '"\r\n':
        expected = "one character, such as a comma or a semicolon"
        raise InvalidInput(field="delimiter", got=load.delimiter, expected=expected)
    lines = Lines(load.source)
    records = read_records(lines, load.form, load.delimiter)
    if load.form == "csv":
        _, _, header = next(records, (0, "", None))
        if header is None:
            raise _empty("a line of column names")
        shape: Shape = CsvShape(naming, header)
        return read_batches(records, lines, most), shape
    batches = read_batches(records, lines, most)
    first = next(batches, None)
    if first is None:
        raise _empty("one JSON object a line")
    objects = (each for each in first.records if isinstance(each, Mapping))
    return chain([first], batches), ObjectShape(
        naming, next(objects, first.records[0]), first.texts[0]
    )


def _empty(expected: str) -> InvalidInput:
    return InvalidInput(field="file", got="nothing: it is empty", expected=expected)


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
        watch_named(self.platform, self.actor, "import", named_in(self.model, late))
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
        meaning = f"{self.model.noun}\n{self.shape.told}\n{batch.number}\n"
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
