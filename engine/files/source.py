"""Row files: open a file of rows, read its header, and yield its batches."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain

from domain.errors import InvalidInput
from engine.files.column_mapping import ColumnMapping
from engine.files.layout import CsvLayout, Layout, ObjectLayout
from engine.files.lines import Batch, Lines, Source, read_batches, read_records
from engine.files.rejects import Reject


@dataclass(slots=True)
class Loaded:
    """The progress of loading a file; `read` is the sum of `new`, `there` and `bad`.

    Attributes:
        read: Records that were read, bad ones included.
        new: Rows that were inserted.
        there: Rows that existed already: by their reference, or from an earlier attempt.
        bad: Records that were left out.
        codes: How many faults of each code; a record can have several.
        has_references: Whether the file has references, by which a later attempt finds its rows.
        read_bytes: How many bytes of the file have been read.
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
    """A request to load a file, as interfaces make it.

    Attributes:
        kind: The kind of work; a dash is taken for an underscore.
        source: The file, open for reading.
        name: The name of the file, for the records.
        form: `csv` or `ndjson`.
        delimiter: The character between the cells of a CSV file.
        mapping: Fields by the columns that fill them; other columns fill the field of their name.
        ignore: Columns that are skipped.
        on_reject: Called with each fault, in the order of lines within a batch.
        on_progress: Called with the progress after each batch.
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


def open_batches(
    load: Load, column_mapping: ColumnMapping, most: int
) -> tuple[Iterable[Batch], Layout]:
    """Return the batches of a file, at most *most* records each, and the layout of its records.

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
        layout: Layout = CsvLayout(column_mapping, header)
        return read_batches(records, lines, most), layout
    batches = read_batches(records, lines, most)
    first = next(batches, None)
    if first is None:
        raise _empty("one JSON object a line")
    objects = (record for record in first.records if isinstance(record, Mapping))
    return chain([first], batches), ObjectLayout(
        column_mapping, next(objects, first.records[0]), first.texts[0]
    )


def _empty(expected: str) -> InvalidInput:
    return InvalidInput(field="file", got="nothing: it is empty", expected=expected)
