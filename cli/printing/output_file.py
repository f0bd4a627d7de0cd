"""Output files: write an export to standard output, or atomically to a file."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import rich_click as click
from rich.progress import Progress, SpinnerColumn, TextColumn

from cli.printing.output import Output
from domain.errors import InvalidInput

FORMATS = click.Choice(["csv", "ndjson"])


def write_out(
    output: Output,
    out: Path | None,
    form: str | None,
    make_pieces: Callable[[str, Callable[[int], None]], Iterable[str]],
    *,
    what: str,
) -> None:
    """Write the pieces of a file, to standard output if no file is named.

    Args:
        output: Where to print how many rows there are.
        out: The file; it is written completely, or not at all.
        form: `csv` or `ndjson`; by default by the file's extension, or CSV.
        make_pieces: Yields the pieces in a form, and reports how many rows have been written.
        what: What the rows are, such as `rows of ticket`.

    Raises:
        InvalidInput: The file can't be written, or its form isn't known.
    """
    count = [0]
    with _rows_shown(output, count) as show:
        pieces = make_pieces(_form(out, form), show)
        if out is None:
            sys.stdout.writelines(pieces)
            return
        _write_whole(out, pieces)
    if output.as_json:
        output.json({"rows": count[0], "file": str(out)})
    else:
        output.say(f"{count[0]:,} {what} are in {out}.")


@contextmanager
def _rows_shown(output: Output, count: list[int]) -> Iterator[Callable[[int], None]]:
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.completed:,.0f} rows"),
        console=output.err,
        transient=True,
        disable=output.as_json or not output.err.is_terminal or sys.stdout.isatty(),
    )
    with bar:
        task = bar.add_task("", total=None)

        def show(rows: int) -> None:
            count[0] = rows
            bar.update(task, completed=rows)

        yield show


def _form(out: Path | None, form: str | None) -> str:
    from lockside.session.import_export import form_of  # noqa: PLC0415 -- only when it is needed

    if out is not None and out.is_dir():
        raise InvalidInput(field="out", got=f"{out}: a directory", expected="a file to write")
    return form or (form_of(out.name) if out is not None else "csv")


def _write_whole(out: Path, pieces: Iterable[str]) -> None:
    """Write a file; a regular file is replaced only when it is complete."""
    is_ordinary = out.is_file() or not out.exists()
    target = out.with_name(f"{out.name}.part") if is_ordinary else out
    try:
        with target.open("w", newline="", encoding="utf-8") as file:
            file.writelines(pieces)
        if is_ordinary:
            target.replace(out)
    except OSError as error:
        got = f"{out}: {error.strerror}"
        raise InvalidInput(field="out", got=got, expected="a file to write") from error
    finally:
        if is_ordinary:
            target.unlink(missing_ok=True)
