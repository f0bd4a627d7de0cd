"""Row files: read a file that names rows, check its lines and store them for chunking.

Its lines go into a table of the submitting transaction by COPY, batch by batch, so that memory
stays flat; the rest is set-based. A line that names no row is an item all the same, with a number
below zero, in chunks of its own, and has failed before anything begins: so the counts are those
of the file, and the results report every line.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

from sqlalchemy import BigInteger, Connection, TextualSelect, text
from sqlalchemy.dialects.postgresql import JSONB

from domain.errors import InvalidInput
from engine.files.column_mapping import ColumnMapping
from engine.files.columns import SINCE, STATE, Fault, Incoming, incoming, parse_incoming
from engine.files.layout import BatchColumns, Layout
from engine.files.lines import Batch, Broken, Record
from engine.files.reading_columns import ALL_READINGS, ReadingCells
from engine.files.references import resolve_columns
from engine.files.rejects import readable, reject
from engine.files.source import Load, open_batches
from engine.input.column_types import LONGEST_TEXT, as_id
from engine.input.fields import REFERENCE, Field, plain
from engine.input.record_types import known_kind
from engine.operations.request import ASSIGN, Submission, allowed_items, most_items
from engine.ports.platform import Pace
from models.base import ASSIGNED, Work

ID = "id"
VERSION = "version"
COMMENTS = "comments"
_ROW_COLUMNS = (ID, REFERENCE, VERSION, COMMENTS)
_WRITES = (ASSIGN, "update")
_BIGINT_LIMIT = 2**63

_RESULT_COLUMNS = ("line", "outcome", "code", "message", "retryable")
"""Columns that results add to a file; they are ignored when it is submitted again."""

_CREATE_TABLE = text("""
CREATE TEMP TABLE row_file (
  line int PRIMARY KEY, id bigint, reference text, version bigint, inputs jsonb, fault jsonb
) ON COMMIT DROP
""")

_COPY = "COPY row_file (line, id, reference, version, inputs, fault) FROM STDIN"

_RESOLVE_REFERENCES = """
UPDATE row_file s SET id = w.id FROM {table} w
 WHERE s.id IS NULL AND s.fault IS NULL AND w.tenant_id = :tenant_id
   AND w.reference = s.reference AND w.deleted_at IS NULL
"""

_MARK_OTHER_REFERENCE = """
UPDATE row_file s SET fault = jsonb_build_object('code', 'other_reference', 'field', 'reference',
         'value', s.reference,
         'message', 'not the reference of this id: expected that of the same row, or only one of '
           || 'the two')
  FROM {table} w
 WHERE s.id = w.id AND s.fault IS NULL AND w.tenant_id = :tenant_id AND w.deleted_at IS NULL
   AND w.reference IS DISTINCT FROM s.reference AND s.reference IS NOT NULL
"""

_MARK_UNKNOWN_REFERENCE = text("""
UPDATE row_file SET fault = jsonb_build_object('code', 'unknown_reference', 'field', 'reference',
         'value', reference,
         'message', 'No row of this reference: expected that of a row that is there')
 WHERE id IS NULL AND fault IS NULL
""")

_MARK_DUPLICATES = text("""
UPDATE row_file s SET fault = jsonb_build_object('code', 'duplicate_row', 'field', 'id',
         'value', CAST(s.id AS text),
         'message', 'a row for the second time: expected each once; line ' || first.line
           || ' has it')
  FROM (SELECT id, min(line) AS line FROM row_file WHERE fault IS NULL
         GROUP BY id HAVING count(*) > 1) AS first
 WHERE s.id = first.id AND s.fault IS NULL AND s.line > first.line
""")

_CHOSEN = "SELECT id, version, inputs FROM row_file WHERE fault IS NULL"


def copy_row_file(
    pace: Pace, db: Connection, tenant_id: int, submission: Submission, row_file: Load
) -> tuple[TextualSelect, bytes]:
    """Copy a file's lines into a table of this transaction, and check them.

    Args:
        pace: How many lines are in memory at a time, and how many a file may have.
        db: The transaction that stores the operation.
        tenant_id: Whose rows the file names.
        submission: The request; the file of an assignment or an update brings the values.
        row_file: The file; its `on_reject` isn't called here.

    Returns:
        The query for the rows that the file names, and a digest of its content.

    Raises:
        InvalidInput: The header is not what was expected, or the file has more lines than an
            operation may have items; it is not read to its end.
    """
    model = known_kind(submission.kind)
    columns = _known_columns(model, submission.verb)
    carries = _RESULT_COLUMNS if submission.verb in _WRITES else None
    ignored = row_file.ignore
    mapping = ColumnMapping(columns, row_file.mapping, ignored, carries=carries, is_new=False)
    batches, layout = open_batches(row_file, mapping, pace.import_rows)
    cells = ReadingCells(
        None if submission.verb in _WRITES else model.readings,
        {*row_file.mapping, *ignored},
    )
    cells.check_header(layout.header)
    _require_row_column(mapping, layout.header)
    lines_read, most = 0, most_items(pace, submission)
    reader = _LineReader(db, tenant_id, submission, model, columns, mapping, cells, layout.header)
    digest = hashlib.sha256(_content_key(row_file, mapping, layout).encode())
    db.execute(_CREATE_TABLE)
    raw: Any = db.connection.driver_connection
    for batch in batches:
        lines_read += len(batch.lines)
        if lines_read > most:
            got, expected = f"more than {most:,} lines", allowed_items(pace, submission)
            raise InvalidInput(field="file", got=got, expected=expected)
        digest.update("".join(batch.texts).encode("utf-8", "surrogateescape"))
        lines = reader.read(batch, layout.read(batch))
        with raw.cursor() as cursor, cursor.copy(_COPY) as copy:
            for line in lines:
                copy.write_row(line)
    names = {"tenant_id": tenant_id}
    for statement in (_MARK_OTHER_REFERENCE, _RESOLVE_REFERENCES):
        db.execute(text(statement.format(table=model.__tablename__)), names)
    db.execute(_MARK_UNKNOWN_REFERENCE)
    db.execute(_MARK_DUPLICATES)
    return text(_CHOSEN).columns(id=BigInteger, version=BigInteger, inputs=JSONB), digest.digest()


def _require_row_column(mapping: ColumnMapping, header: Sequence[str]) -> None:
    # Checked once for the file: every line would be wrong.
    if header and not {ID, REFERENCE} & {mapping.field_of(column.strip()) for column in header}:
        got = readable(", ".join(header))
        raise InvalidInput(field="header", got=got, expected="a column id or reference")


def _content_key(row_file: Load, mapping: ColumnMapping, layout: Layout) -> str:
    """Return as JSON all that changes the meaning of lines; readings depend on names alone."""
    mapped = sorted(mapping.mapping.items())
    header, ignored = list(layout.header), sorted(row_file.ignore)
    return json.dumps((row_file.form, row_file.delimiter, header, mapped, ignored, layout.meaning))


def _known_columns(model: type[Work], verb: str) -> dict[str, Incoming]:
    """Return the columns that a file may have: the row, what is expected of it, its values."""
    reference = incoming(model)[REFERENCE]
    comments = f"text of at most {LONGEST_TEXT:,} characters"
    number = Field(
        ID, required=False, nullable=True, expected="a whole number", refers_to=None, parse=_number
    )
    columns = {
        ID: Incoming(number, "not_a_number"),
        REFERENCE: reference,
        VERSION: Incoming(replace(number, name=VERSION), "not_a_number"),
        COMMENTS: Incoming(replace(reference.field, name=COMMENTS, expected=comments), "not_text"),
    }
    for name, column in incoming(model).items() if verb in _WRITES else ():
        # Tours are not rebuilt by a file: that takes more than one look at a row.
        is_ours = name in (STATE, SINCE) or column.field.refers_to == model.resource_type
        if not is_ours and (name in ASSIGNED) == (verb == ASSIGN):
            # An empty cell empties the field; the default of a new row doesn't apply.
            is_list = column.field.is_list
            written = replace(column.field, required=not (column.field.nullable or is_list))
            empty = column.default if is_list else None
            columns.setdefault(name, replace(column, field=written, default=empty))
    return columns


def _number(value: Any) -> int:
    parsed = as_id(value) if isinstance(value, int | str) and not isinstance(value, bool) else None
    if parsed is None or not 1 <= parsed < _BIGINT_LIMIT:
        raise ValueError
    return parsed


@dataclass(frozen=True, slots=True)
class _LineReader:
    """Reads batches into the lines of the table."""

    db: Connection
    tenant_id: int
    submission: Submission
    model: type[Work]
    known_columns: Mapping[str, Incoming]
    mapping: ColumnMapping
    cells: ReadingCells
    header: Sequence[str]

    def read(self, batch: Batch, batch_columns: BatchColumns) -> Iterator[tuple[Any, ...]]:
        """Return the lines of a batch as the table holds them, faulty ones too.

        The database isn't queried while they are iterated. What is kept of a line may be much
        longer than the line, because the names of its cells are kept too: so they come one by one.
        """
        parsed = parse_incoming(self.known_columns, batch_columns.columns)
        values = {name: parsed.columns[name] for name in parsed.columns if name not in _ROW_COLUMNS}
        unresolved = resolve_columns(self.db, self.tenant_id, self.model, values)
        columns = parsed.columns | values
        faults = {fault.position: fault for fault in batch_columns.faults}
        readings, reading_faults = self.cells.read(self.header, batch.records)
        for fault in reading_faults:
            faults.setdefault(fault.position, fault)
        for fault in (*parsed.faults, *unresolved):
            position = batch_columns.positions[fault.position]
            if fault.field in self._fields_of(batch.records[position], parsed.columns):
                faults.setdefault(position, replace(fault, position=position))
        return self._lines(batch, batch_columns, columns, readings, faults)

    def _lines(
        self,
        batch: Batch,
        batch_columns: BatchColumns,
        columns: Mapping[str, Sequence[Any]],
        readings: Sequence[Mapping[str, str]],
        faults: Mapping[int, Fault],
    ) -> Iterator[tuple[Any, ...]]:
        places = {position: place for place, position in enumerate(batch_columns.positions)}
        for position, line in enumerate(batch.lines):
            place = places.get(position)
            own = {} if place is None else {name: columns[name][place] for name in columns}
            fault = faults.get(position)
            if fault is None and own.get(ID) is None and own.get(REFERENCE) is None:
                fault = Fault(position, ID, None, "value_missing", "an id, or a reference")
            inputs = self._inputs(batch.records[position], line, own)
            if fault is None and self._writes_nothing(inputs):
                fields = ", ".join(name for name in self.known_columns if name not in _ROW_COLUMNS)
                fault = Fault(position, None, None, "value_missing", f"at least one of {fields}")
            if readings[position]:
                inputs[ALL_READINGS] = readings[position]
            if fault is None:
                row_columns = (own.get(ID), own.get(REFERENCE), own.get(VERSION))
                yield line, *row_columns, json.dumps(inputs), None
            else:
                rejected = reject(batch, fault)
                value = _readable(rejected.value)
                details = {"code": rejected.code, "field": rejected.field, "value": value}
                fault_json = json.dumps({**details, "message": rejected.reason})
                yield line, None, None, None, json.dumps(inputs), fault_json

    def _writes_nothing(self, inputs: Mapping[str, Any]) -> bool:
        has_values = self.submission.verb not in _WRITES or self.submission.values
        return not has_values and not inputs.get("values")

    def _fields_of(self, record: Record, columns: Mapping[str, Any]) -> Collection[str | None]:
        """Return the fields that a record has: an object needn't have all keys."""
        if isinstance(record, Mapping):
            return {self.mapping.field_of(str(name)) for name in record}
        return columns.keys()

    def _inputs(self, record: Record, line: int, own: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is stored of a line: its original cells and the row's values."""
        if isinstance(record, Broken):
            return {"line": line, "cells": []}
        if isinstance(record, Mapping):
            cells = {str(name): value for name, value in record.items()}
        else:
            cells = dict(zip(self.header, record, strict=False))
        fields = self._fields_of(record, own)
        kept: dict[str, Any] = {
            "line": line,
            # Pairs, because an object would lose their order.
            "cells": [[readable(name), _readable(value)] for name, value in cells.items()],
        }
        if own.get(COMMENTS):
            kept["comments"] = own[COMMENTS]
        values = {
            name: plain(value)
            for name, value in own.items()
            if name not in _ROW_COLUMNS
            and name in fields
            # An assignment leaves whoever it doesn't name.
            and not (value is None and self.submission.verb == ASSIGN)
        }
        return kept | ({"values": values} if values else {})


def _readable(value: Any) -> Any:
    """Return a value that jsonb can store, which is less than JSON allows."""
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if isinstance(value, list):
        return [_readable(item) for item in value]
    if isinstance(value, dict):
        return {readable(name): _readable(item) for name, item in value.items()}
    return value
