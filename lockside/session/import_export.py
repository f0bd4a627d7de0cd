"""Import and export: bring work in from rows and files, and write it out to them."""

import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from io import BufferedReader, TextIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from sqlalchemy import ColumnElement, Connection

from domain.errors import InvalidInput
from domain.permissions import Actor
from engine.access.permissions import authorize
from engine.files.rejects import Reject, readable
from engine.files.source import Load, Loaded
from engine.input.record_types import known_kind
from engine.ports.platform import Platform
from models.base import kinds

if TYPE_CHECKING:
    from reads.records.export import ExportRequest

__all__ = ["STDIN", "ImportExport", "Loaded", "Reject", "form_of", "readable"]

STDIN = "-"
_ENDINGS = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}
_TABBED = ".tsv"


class ImportExport:
    """The part of a session that imports and exports work in bulk."""

    platform: Platform
    actor: Actor

    def import_work(self, kind: str, rows: Sequence[Mapping[str, Any]]) -> list[int]:
        """Import rows, all or none; return the ids of those that are new."""
        from engine.importing.insert_rows import import_work

        return import_work(self.platform, self.actor, known_kind(kind).resource_type, rows)

    def load(
        self,
        kind: str,
        file: str | Path | BinaryIO,
        *,
        columns: Mapping[str, str] | None = None,
        ignore: Collection[str] = (),
        form: str | None = None,
        delimiter: str | None = None,
        on_reject: Callable[[Reject], object] = lambda _: None,
        on_progress: Callable[[Loaded], object] = lambda _: None,
    ) -> Loaded:
        """Import a file of new work, batch by batch; bad lines are rejected, all others stored.

        The same call again, also after a crash, continues and stores no row twice: a row with a
        `reference` is recognized by it, a row without one by its place in the same file. Lines
        that were rejected are tried again.

        Args:
            kind: The kind of work, e.g. `task`.
            file: A path, `-` for standard input, or a file that is open for reading bytes.
            columns: The field that a column fills, by the column's name; other columns fill
                the field of their name. References are ids or names.
            ignore: Columns that are skipped.
            form: `csv` or `ndjson`; by default by the file's extension, `.tsv` is CSV too.
            delimiter: The separator of a CSV file; by default a comma, or a tab if the file's
                name ends in `.tsv`.
            on_reject: Called with each fault of a rejected line.
            on_progress: Called after each batch with the counts so far.

        Returns:
            How many lines were read, are new, existed, were rejected, and for which reasons.

        Raises:
            InvalidInput: The file, the kind or a column is not what was expected; nothing was
                stored. Or the database refuses a value; batches stored before stay.
            PermissionDenied: The actor may not.
            LockBusy: Somebody holds a lock that is needed; batches stored before stay.
        """
        from engine.importing.load_file import load_file

        with opened_load(kind, file, form, delimiter, columns=columns, ignore=ignore) as source:
            load = replace(source, on_reject=on_reject, on_progress=on_progress)
            return load_file(self.platform, self.actor, load)

    def export(
        self,
        kind: str,
        *,
        state: str | None = None,
        where: str | None = None,
        fields: Sequence[str] | None = None,
        names: bool = False,
    ) -> Iterator[dict[str, Any]]:
        """Yield rows in the order of their ids, read page by page; never one long transaction.

        Args:
            kind: The kind of work.
            state: Only rows in this state.
            where: Only rows that a filter matches.
            fields: The columns; by default those that an import takes.
            names: Show other records by their name, where they have one; `site_id` becomes
                `site`. So the rows can be imported elsewhere.

        Raises:
            InvalidInput: A kind, a state or a column is not known, or the filter can't be read.
            NotFound: There is no record of a name in the filter.
            PermissionDenied: The actor may not see such rows.
        """
        pages = self._pages(self._export_request(kind, state, where, fields, names=names))
        return (row for page in pages for row in page)

    def export_text(
        self,
        kind: str,
        form: str = "csv",
        *,
        state: str | None = None,
        where: str | None = None,
        fields: Sequence[str] | None = None,
        names: bool = False,
        on_progress: Callable[[int], object] = lambda _: None,
    ) -> Iterator[str]:
        """Yield a file of rows in pieces, as `csv` or `ndjson`.

        Arguments and errors are those of `export`; *on_progress* is called with how many rows
        have been written.
        """
        from reads.records.export import write_csv, write_ndjson

        request = self._export_request(kind, state, where, fields, names=names)
        pages = report_progress(self._pages(request), on_progress)
        if form_of("", form) == "csv":
            return write_csv(request.headings, pages)
        return write_ndjson(pages)

    def _export_request(
        self,
        kind: str,
        state: str | None,
        where: str | None,
        fields: Sequence[str] | None,
        *,
        names: bool,
    ) -> "ExportRequest":
        from reads.records.export import ExportRequest, known_fields

        resource_type, in_state = self._authorize_kind(kind, state)
        request = ExportRequest(resource_type, known_fields(resource_type, fields), in_state, names)
        if where is None:
            return request
        with self.platform.database.connect() as db:
            return replace(request, meant=self._condition(db, resource_type, where))

    def _condition(self, db: Connection, kind: str, where: str) -> ColumnElement[bool]:
        from engine.input.filters import select_where

        now = self.platform.clock(db)
        return select_where(db, self.actor.tenant_id, kinds()[kind], where, now)

    def _pages(self, request: "ExportRequest") -> Iterator[list[dict[str, Any]]]:
        from reads.records.export import read_page

        after = 0
        most = self.platform.pace.export_rows
        page: list[dict[str, Any]] | None = None
        while page is None or len(page) == most:
            with self.platform.database.connect() as db:
                page, after = read_page(db, self.actor.tenant_id, request, after=after, most=most)
            yield page

    def _authorize_kind(self, kind: str, state: str | None = None) -> tuple[str, str | None]:
        """Return the names of a kind and a state, if the actor may view such rows."""
        model = known_kind(kind)
        states = model.machine.states
        if state is not None and state.upper() not in states:
            raise InvalidInput(field="state", got=state, expected=f"one of {', '.join(states)}")
        authorize(self.platform, self.actor, model.resource_type, "view")
        return model.resource_type, None if state is None else state.upper()


def report_progress(
    pages: Iterator[Sequence[dict[str, Any]]], on_progress: Callable[[int], object]
) -> Iterator[Sequence[dict[str, Any]]]:
    """Yield the pages, and tell after each how many rows there were so far."""
    count = 0
    for page in pages:
        count += len(page)
        yield page
        on_progress(count)


def form_of(name: str, form: str | None = None) -> str:
    """Return the form of a file: *form*, or by default by the extension of its name.

    Raises:
        InvalidInput: There is no such form.
    """
    from reads.records.export import FORMS

    known_form = form or _ENDINGS.get(Path(name).suffix.lower())
    if known_form not in FORMS:
        got = name if form is None else form
        raise InvalidInput(field="format", got=got, expected=f"{' or '.join(FORMS)}")
    return known_form


@contextmanager
def opened_load(
    kind: str,
    file: str | Path | BinaryIO,
    form: str | None = None,
    delimiter: str | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    ignore: Collection[str] = (),
) -> Iterator[Load]:
    """Open a file for reading; `ImportExport.load` explains the arguments.

    Raises:
        InvalidInput: It can't be read, or its form isn't known.
    """
    with _opened(file) as (source, name):
        is_tabbed = Path(name).suffix.lower() == _TABBED
        yield Load(
            kind=kind,
            source=source,
            name=name,
            form=form_of(name, form or ("csv" if is_tabbed else None)),
            delimiter=delimiter or ("\t" if is_tabbed else ","),
            mapping=columns or {},
            ignore=ignore,
        )


@contextmanager
def _opened(file: str | Path | BinaryIO) -> Iterator[tuple[Any, str]]:
    if not isinstance(file, str | Path):
        with _buffered(file) as source:
            yield source, Path(str(getattr(file, "name", ""))).name
    elif str(file) == STDIN:
        yield sys.stdin.buffer, ""
    else:
        path = Path(file)
        try:
            opened = path.open("rb")
        except OSError as error:
            got = f"{path}: {error.strerror}"
            raise InvalidInput(field="file", got=got, expected="a file to read") from error
        with opened:
            yield opened, path.name


@contextmanager
def _buffered(file: Any) -> Iterator[Any]:
    if isinstance(file, TextIOBase):
        raise InvalidInput(field="file", got="a file open for text", expected="one open for bytes")
    if hasattr(file, "read1"):
        yield file
        return
    buffered = BufferedReader(file)
    try:
        yield buffered
    finally:
        buffered.detach()  # otherwise it would close the caller's file
