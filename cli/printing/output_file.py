"""Files that go out: to standard output, or whole into a file."""

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
    pieces_of: Callable[[str, Callable[[int], None]], Iterable[str]],
    *,
    what: str,
) -> None:
    """Write the pieces of a file, to standard output if no file is named.

    Args:
        output: Where to say how many there are.
        out: The file; it is there as a whole, or not at all.
        form: `csv` or `ndjson`; by the file's ending, or CSV.
        pieces_of: Gives the pieces in a form, and tells how many rows are out.
        what: What is written, such as `rows of ticket`.

    Raises:
        InvalidInput: The file can't be written, or its form isn't known.
    """
    counted = [0]
    with _rows_shown(output, counted) as show:
        pieces = pieces_of(_form(out, form), show)
        if out is None:
            sys.stdout.writelines(pieces)
            return
        _write_whole(out, pieces)
    if output.as_json:
        output.json({"rows": counted[0], "file": str(out)})
    else:
        output.say(f"{counted[0]:,} {what} are in {out}.")


@contextmanager
def _rows_shown(output: Output, counted: list[int]) -> Iterator[Callable[[int], None]]:
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
            counted[0] = rows
            bar.update(task, completed=rows)

        yield show


def _form(out: Path | None, form: str | None) -> str:
    from lockside.session.import_export import form_of  # noqa: PLC0415 -- only when it is needed

    if out is not None and out.is_dir():
        raise InvalidInput(field="out", got=f"{out}: a directory", expected="a file to write")
    return form or (form_of(out.name) if out is not None else "csv")


def _write_whole(out: Path, pieces: Iterable[str]) -> None:
    """Write a file that is there as a whole or, if it is an ordinary one, not at all."""
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
