"""Open a file of rows: its source, its header, and its batches."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain

from domain.errors import InvalidInput
from engine.files.column_mapping import Naming
from engine.files.layout import CsvShape, ObjectShape, Shape
from engine.files.lines import Batch, Lines, Source, read_batches, read_records
from engine.files.rejects import Reject


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
    """A file to bring in, as the interfaces hand it over.

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
