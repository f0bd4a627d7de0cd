"""Work in and out in bulk: rows and files come in, rows and files go out."""

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
from engine.files.source import Loaded
from engine.input.record_types import known_kind
from engine.ports.platform import Platform
from models.base import kinds

if TYPE_CHECKING:
    from engine.files.source import Load
    from reads.records.export import ExportRequest

__all__ = ["STDIN", "ImportExport", "Loaded", "Reject", "form_of", "readable"]

STDIN = "-"
_ENDINGS = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}
_TABBED = ".tsv"


class ImportExport:
    """What a site takes in and gives out in bulk."""

    platform: Platform
    actor: Actor

    def import_work(self, kind: str, rows: Sequence[Mapping[str, Any]]) -> list[int]:
        """Bring new rows in, all or none; return the ids of those that were not there yet."""
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
        """Bring a file of new work in, batch by batch; bad records are told, the rest goes in.

        The same call again, also after a crash, goes on and brings no row twice: a row with a
        `reference` is known by it, a row without by standing in the same place of the same
        file. What was told as bad is tried again.

        Args:
            kind: The kind of work, e.g. `task`.
            file: A path, `-` for standard input, or a file that is open for reading bytes.
            columns: The field that a column fills, by the column's name; other columns fill
                the field of their name. References are ids or names.
            ignore: Columns that are passed over.
            form: `csv` or `ndjson`; by the file's ending by default, `.tsv` is CSV too.
            delimiter: What divides the cells of a CSV file; by default a comma, a tabulator if
                the file's name ends in `.tsv`.
            on_reject: Told what is wrong with a record, fault by fault.
            on_progress: Told how far it is, after each batch.

        Returns:
            How many records were read, are new, were there, were bad, and for what.

        Raises:
            InvalidInput: The file, the kind or a column is not what was expected; nothing was
                stored. Or the database refuses a value; what is in stays.
            PermissionDenied: The actor may not.
            LockBusy: Somebody holds what is needed; what is in stays.
        """
        from engine.importing.load_file import load_file

        with opened_load(kind, file, form, delimiter, columns=columns, ignore=ignore) as found:
            told = replace(found, on_reject=on_reject, on_progress=on_progress)
            return load_file(self.platform, self.actor, told)

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
            state: Only rows of this state.
            where: Only rows that a filter matches.
            fields: The columns; by default those that an import takes.
            names: Tell other records by their name, where they have one; `site_id` becomes
                `site`. So the rows can be imported elsewhere.

        Raises:
            InvalidInput: A kind, a state or a column is not known, or the filter can't be read.
            NotFound: There is no record of a name in the filter.
            PermissionDenied: The actor may not see such rows.
        """
        pages = self._pages(self._wanted(kind, state, where, fields, names=names))
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
        """Yield a file of rows in pieces, `csv` or `ndjson`.

        Arguments and errors are those of `export`; *on_progress* is told how many rows are out.
        """
        from reads.records.export import write_csv, write_ndjson

        wanted = self._wanted(kind, state, where, fields, names=names)
        pages = _counted(self._pages(wanted), on_progress)
        if form_of("", form) == "csv":
            return write_csv(wanted.headings, pages)
        return write_ndjson(pages)

    def _wanted(
        self,
        kind: str,
        state: str | None,
        where: str | None,
        fields: Sequence[str] | None,
        *,
        names: bool,
    ) -> "ExportRequest":
        from reads.records.export import ExportRequest, known_fields

        known, in_state = self._seen(kind, state)
        wanted = ExportRequest(known, known_fields(known, fields), in_state, names)
        if where is None:
            return wanted
        with self.platform.database.connect() as db:
            return replace(wanted, meant=self._meant(db, known, where))

    def _meant(self, db: Connection, kind: str, where: str) -> ColumnElement[bool]:
        from engine.input.filters import select_where

        now = self.platform.clock(db)
        return select_where(db, self.actor.tenant_id, kinds()[kind], where, now)

    def _pages(self, wanted: "ExportRequest") -> Iterator[list[dict[str, Any]]]:
        from reads.records.export import read_page

        after = 0
        most = self.platform.pace.export_rows
        page: list[dict[str, Any]] | None = None
        while page is None or len(page) == most:
            with self.platform.database.connect() as db:
                page, after = read_page(db, self.actor.tenant_id, wanted, after=after, most=most)
            yield page

    def _seen(self, kind: str, state: str | None = None) -> tuple[str, str | None]:
        """Return kind and state as they are known, if the actor may see such rows."""
        model = known_kind(kind)
        states = model.machine.states
        if state is not None and state.upper() not in states:
            raise InvalidInput(field="state", got=state, expected=f"one of {', '.join(states)}")
        authorize(self.platform, self.actor, model.resource_type, "view")
        return model.resource_type, None if state is None else state.upper()


def _counted(
    pages: Iterator[list[dict[str, Any]]], tell: Callable[[int], object]
) -> Iterator[list[dict[str, Any]]]:
    out = 0
    for page in pages:
        out += len(page)
        yield page
        tell(out)


def form_of(name: str, form: str | None = None) -> str:
    """Return the form of a file: the one that is asked for, or what its name ends in.

    Raises:
        InvalidInput: It is none that is known.
    """
    from reads.records.export import FORMS

    found = form or _ENDINGS.get(Path(name).suffix.lower())
    if found not in FORMS:
        got = name if form is None else form
        raise InvalidInput(field="format", got=got, expected=f"{' or '.join(FORMS)}")
    return found


@contextmanager
def opened_load(
    kind: str,
    file: str | Path | BinaryIO,
    form: str | None = None,
    delimiter: str | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    ignore: Collection[str] = (),
) -> "Iterator[Load]":
    """Open a file to be read; `Transfer.load` tells what the arguments mean.

    Raises:
        InvalidInput: It can't be read, or its form isn't known.
    """
    from engine.files.source import Load

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
        buffered.detach()  # or it would close what isn't ours
