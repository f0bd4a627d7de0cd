"""A file that names rows, each with values of its own: read, checked, and ready to be cut up.

Its lines go into a table of the submitting transaction by COPY, batch by batch, so that memory
stays flat; what is left is set-based. A line that names no row is an item all the same, with a
number below zero, in chunks of its own, and has failed before anything begins: so counts are
those of the file, and results tell all lines.
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
from engine.operations.request import ASSIGN, Submission, how_many, most_items
from engine.ports.platform import Pace
from models.base import ASSIGNED, Work

ID = "id"
VERSION = "version"
COMMENTS = "comments"
_BESIDE = (ID, REFERENCE, VERSION, COMMENTS)
_WRITES = (ASSIGN, "update")
_BEYOND_IDS = 2**63

_OF_RESULTS = ("line", "outcome", "code", "message", "retryable")
"""Columns that results add to a file's own; they are passed over when it is sent again."""

_MAKE = text("""
CREATE TEMP TABLE row_file (
  line int PRIMARY KEY, id bigint, reference text, version bigint, inputs jsonb, fault jsonb
) ON COMMIT DROP
""")

_COPY = "COPY row_file (line, id, reference, version, inputs, fault) FROM STDIN"

_FIND = """
UPDATE row_file s SET id = w.id FROM {table} w
 WHERE s.id IS NULL AND s.fault IS NULL AND w.tenant_id = :tenant_id
   AND w.reference = s.reference AND w.deleted_at IS NULL
"""

_OTHER = """
UPDATE row_file s SET fault = jsonb_build_object('code', 'other_reference', 'field', 'reference',
         'value', s.reference,
         'message', 'not the reference of this id: expected that of the same row, or only one of '
           || 'the two')
  FROM {table} w
 WHERE s.id = w.id AND s.fault IS NULL AND w.tenant_id = :tenant_id AND w.deleted_at IS NULL
   AND w.reference IS DISTINCT FROM s.reference AND s.reference IS NOT NULL
"""

_UNKNOWN = text("""
UPDATE row_file SET fault = jsonb_build_object('code', 'unknown_reference', 'field', 'reference',
         'value', reference,
         'message', 'No row of this reference: expected that of a row that is there')
 WHERE id IS NULL AND fault IS NULL
""")

_TWICE = text("""
UPDATE row_file s SET fault = jsonb_build_object('code', 'duplicate_row', 'field', 'id',
         'value', CAST(s.id AS text),
         'message', 'a row for the second time: expected each once; line ' || first.line
           || ' has it')
  FROM (SELECT id, min(line) AS line FROM row_file WHERE fault IS NULL
         GROUP BY id HAVING count(*) > 1) AS first
 WHERE s.id = first.id AND s.fault IS NULL AND s.line > first.line
""")

_CHOSEN = "SELECT id, version, inputs FROM row_file WHERE fault IS NULL"


def hold_row_file(
    pace: Pace, db: Connection, tenant_id: int, submission: Submission, row_file: Load
) -> tuple[TextualSelect, bytes]:
    """Read a file into the table of this transaction.

    Args:
        pace: How many lines are in memory at a time, and how many a file may have.
        db: The transaction that stores the operation.
        tenant_id: Whose rows are meant.
        submission: What is to be done: the file of an assignment or an update brings its fields.
        row_file: The file; its `on_reject` isn't told here.

    Returns:
        The query for the rows that are meant, and a digest of what the file says.

    Raises:
        InvalidInput: The header is not what was expected, or it has more lines than an
            operation has items; it is read no further.
    """
    model = known_kind(submission.kind)
    known = _known(model, submission.verb)
    carries = _OF_RESULTS if submission.verb in _WRITES else None
    naming = ColumnMapping(known, row_file.mapping, row_file.ignore, carries=carries, is_new=False)
    batches, shape = open_batches(row_file, naming, pace.import_rows)
    cells = ReadingCells(
        None if submission.verb in _WRITES else model.readings,
        {*row_file.mapping, *row_file.ignore},
    )
    cells.check_header(shape.header)
    _demand_name(naming, shape.header)
    read, most = 0, most_items(pace, submission)
    reader = _Reader(db, tenant_id, submission, model, known, naming, cells, shape.header)
    digest = hashlib.sha256(_meaning(row_file, naming, shape).encode())
    db.execute(_MAKE)
    raw: Any = db.connection.driver_connection
    for batch in batches:
        read += len(batch.lines)
        if read > most:
            got, expected = f"more than {most:,} lines", how_many(pace, submission)
            raise InvalidInput(field="file", got=got, expected=expected)
        digest.update("".join(batch.texts).encode("utf-8", "surrogateescape"))
        lines = reader.read(batch, shape.read(batch))
        with raw.cursor() as cursor, cursor.copy(_COPY) as copy:
            for line in lines:
                copy.write_row(line)
    names = {"tenant_id": tenant_id}
    for each in (_OTHER, _FIND):
        db.execute(text(each.format(table=model.__tablename__)), names)
    db.execute(_UNKNOWN)
    db.execute(_TWICE)
    return text(_CHOSEN).columns(id=BigInteger, version=BigInteger, inputs=JSONB), digest.digest()


def _demand_name(naming: ColumnMapping, header: Sequence[str]) -> None:
    # Said once: every line would be wrong.
    if header and not {ID, REFERENCE} & {naming.field_of(each.strip()) for each in header}:
        got = readable(", ".join(header))
        raise InvalidInput(field="header", got=got, expected="a column id or reference")


def _meaning(row_file: Load, naming: ColumnMapping, shape: Layout) -> str:
    """Return all that gives the same lines another meaning; readings stand in the names alone."""
    mapped = sorted(naming.mapping.items())
    told = (row_file.form, row_file.delimiter, list(shape.header), mapped, sorted(row_file.ignore))
    return json.dumps((*told, shape.meaning))


def _known(model: type[Work], verb: str) -> dict[str, Incoming]:
    """Return what a column may be: which row, what of it, and the values that are written."""
    reference = incoming(model)[REFERENCE]
    comments = f"text of at most {LONGEST_TEXT:,} characters"
    number = Field(
        ID, required=False, nullable=True, expected="a whole number", refers_to=None, parse=_number
    )
    known = {
        ID: Incoming(number, "not_a_number"),
        REFERENCE: reference,
        VERSION: Incoming(replace(number, name=VERSION), "not_a_number"),
        COMMENTS: Incoming(replace(reference.field, name=COMMENTS, expected=comments), "not_text"),
    }
    for name, each in incoming(model).items() if verb in _WRITES else ():
        # Tours are not rebuilt by a file: that takes more than one look at a row.
        is_ours = name in (STATE, SINCE) or each.field.refers_to == model.resource_type
        if not is_ours and (name in ASSIGNED) == (verb == ASSIGN):
            # An empty cell empties the field: what a new row would begin with isn't meant.
            is_list = each.field.is_list
            written = replace(each.field, required=not (each.field.nullable or is_list))
            empty = each.default if is_list else None
            known.setdefault(name, replace(each, field=written, default=empty))
    return known


def _number(value: Any) -> int:
    found = as_id(value) if isinstance(value, int | str) and not isinstance(value, bool) else None
    if found is None or not 1 <= found < _BEYOND_IDS:
        raise ValueError
    return found


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads batches into lines of the table."""

    db: Connection
    tenant_id: int
    asked: Submission
    model: type[Work]
    known: Mapping[str, Incoming]
    naming: ColumnMapping
    cells: ReadingCells
    header: Sequence[str]

    def read(self, batch: Batch, given: BatchColumns) -> Iterator[tuple[Any, ...]]:
        """Return the lines of a batch as the table holds them, faulty ones too.

        The database isn't asked any more while they are taken. What is kept of a line may be
        much longer than it, for the names of its cells are kept too: so they come one by one.
        """
        parsed = parse_incoming(self.known, given.columns)
        written = {name: parsed.columns[name] for name in parsed.columns if name not in _BESIDE}
        late = resolve_columns(self.db, self.tenant_id, self.model, written)
        columns = parsed.columns | written
        faults = {each.position: each for each in given.faults}
        readings, unread = self.cells.read(self.header, batch.records)
        for each in unread:
            faults.setdefault(each.position, each)
        for each in (*parsed.faults, *late):
            position = given.positions[each.position]
            if each.field in self._named_by(batch.records[position], parsed.columns):
                faults.setdefault(position, replace(each, position=position))
        return self._lines(batch, given, columns, readings, faults)

    def _lines(
        self,
        batch: Batch,
        given: BatchColumns,
        columns: Mapping[str, Sequence[Any]],
        readings: Sequence[Mapping[str, str]],
        faults: Mapping[int, Fault],
    ) -> Iterator[tuple[Any, ...]]:
        places = {position: place for place, position in enumerate(given.positions)}
        for position, line in enumerate(batch.lines):
            place = places.get(position)
            own = {} if place is None else {name: columns[name][place] for name in columns}
            fault = faults.get(position)
            if fault is None and own.get(ID) is None and own.get(REFERENCE) is None:
                fault = Fault(position, ID, None, "value_missing", "an id, or a reference")
            inputs = self._inputs(batch.records[position], line, own)
            if fault is None and self._writes_nothing(inputs):
                fields = ", ".join(each for each in self.known if each not in _BESIDE)
                fault = Fault(position, None, None, "value_missing", f"at least one of {fields}")
            if readings[position]:
                inputs[ALL_READINGS] = readings[position]
            if fault is None:
                named = (own.get(ID), own.get(REFERENCE), own.get(VERSION))
                yield line, *named, json.dumps(inputs), None
            else:
                told = reject(batch, fault)
                value = _readable(told.value)
                shown = {"code": told.code, "field": told.field, "value": value}
                fault_told = json.dumps({**shown, "message": told.reason})
                yield line, None, None, None, json.dumps(inputs), fault_told

    def _writes_nothing(self, inputs: Mapping[str, Any]) -> bool:
        is_said = self.asked.verb not in _WRITES or self.asked.values
        return not is_said and not inputs.get("values")

    def _named_by(self, record: Record, columns: Mapping[str, Any]) -> Collection[str | None]:
        """Return the fields that a record speaks of: an object needs not have all keys."""
        if isinstance(record, Mapping):
            return {self.naming.field_of(str(name)) for name in record}
        return columns.keys()

    def _inputs(self, record: Record, line: int, own: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is kept of a line: its cells as they stood, and the row's own values."""
        if isinstance(record, Broken):
            return {"line": line, "cells": []}
        if isinstance(record, Mapping):
            cells = {str(name): value for name, value in record.items()}
        else:
            cells = dict(zip(self.header, record, strict=False))
        given = self._named_by(record, own)
        kept: dict[str, Any] = {
            "line": line,
            # Pairs: an object would lose their order.
            "cells": [[readable(name), _readable(value)] for name, value in cells.items()],
        }
        if own.get(COMMENTS):
            kept["comments"] = own[COMMENTS]
        values = {
            name: plain(value)
            for name, value in own.items()
            if name not in _BESIDE
            and name in given
            # Whoever isn't named by an assignment stays.
            and not (value is None and self.asked.verb == ASSIGN)
        }
        return kept | ({"values": values} if values else {})


def _readable(value: Any) -> Any:
    """Return a value that jsonb takes, which is less than JSON has."""
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if isinstance(value, list):
        return [_readable(each) for each in value]
    if isinstance(value, dict):
        return {readable(name): _readable(each) for name, each in value.items()}
    return value
