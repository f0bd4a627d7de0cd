"""`lockside import` and `lockside export`: read work from files, and write it to files."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from cli.exits import DONE, INTERRUPTED, SOME_FAILED
from cli.input.completion import complete_kinds, complete_states
from cli.input.ids import where_option
from cli.printing.output import Output
from cli.printing.output_file import FORMATS, write_out
from cli.printing.rejects import Rejects, collect_rejects
from cli.program.command import Command, Invocation
from domain.errors import InvalidInput

if TYPE_CHECKING:
    from lockside.session.import_export import Loaded

_PAIR = re.compile(r"\s*([^=]+?)\s*=\s*([A-Za-z_][A-Za-z _-]*?)\s*(?:,|$)")
_AGAIN = "The same command again goes on from there."
_BY_PLACE = (
    "Rows without a reference are known by their place in the file: send changed and mended lines "
    "in a file of their own, or what is in comes in again."
)


@click.command(
    "import",
    cls=Command,
    examples="""
    lockside import ticket tickets.csv
    lockside import task rounds.csv --map "Where=site,Due=due_at" --ignore Notes --rejects bad.csv
    lockside export ticket --names | lockside import ticket - --format csv --tenant harbor
    """,
)
@click.argument("kind", shell_complete=complete_kinds)
@click.argument("file", type=click.Path())
@click.option(
    "--map",
    "mapped",
    multiple=True,
    metavar="COLUMN=FIELD,…",
    help="Which field a column fills; else it fills the field of its name.",
)
@click.option("--ignore", multiple=True, metavar="COLUMN", help="Pass over a column.")
@click.option("--format", "form", type=FORMATS, help="By the file's ending by default.")
@click.option(
    "--delimiter",
    metavar="C",
    help="What divides cells, `tab` for tabulators; a comma by default, a tabulator in .tsv.",
)
@click.option(
    "--rejects",
    "rejects_file",
    type=click.Path(path_type=Path),
    help="Write everything that is wrong to this CSV file.",
)
@click.pass_obj
def import_file(
    invocation: Invocation,
    /,
    *,
    kind: str,
    file: str,
    mapped: Sequence[str],
    delimiter: str | None,
    rejects_file: Path | None,
    **options: Any,
) -> int:
    """Import a file of work: good lines are stored, bad ones are listed with what is wrong.

    FILE is CSV with a header, or one JSON object a line; - is standard input. What names other
    records holds ids or names. The same command again, also after a crash, goes on from there
    and brings nothing twice.
    """
    from lockside.session.import_export import Loaded

    begun = time.monotonic()
    output = invocation.output
    columns = _read_map(mapped)
    last = [Loaded()]
    with invocation.connect() as site, collect_rejects(output, rejects_file, file) as rejects:
        with _bytes_shown(output, file) as show:

            def keep_and_show(loaded: "Loaded") -> None:
                last[:] = [loaded]
                show(loaded)

            try:
                site.load(
                    kind,
                    file,
                    columns=columns,
                    delimiter="\t" if delimiter == "tab" else delimiter,
                    on_reject=rejects,
                    on_progress=keep_and_show,
                    **options,
                )
            except BaseException as error:
                is_interrupted = isinstance(error, KeyboardInterrupt)
                if last[0].read:
                    output.note(f"Stopped: {_counts(last[0])}. {_AGAIN}", "yellow")
                if is_interrupted and output.as_json:
                    rejects.print_json(_as_json(last[0], begun) | {"interrupted": True})
                if not is_interrupted or not last[0].read:
                    raise
                return INTERRUPTED
        if output.as_json:
            rejects.print_json(_as_json(last[0], begun))
        else:
            _say(output, last[0], rejects, time.monotonic() - begun, rejects_file)
    return SOME_FAILED if last[0].bad else DONE


@click.command(
    cls=Command,
    examples="""
    lockside export ticket > tickets.csv
    lockside export task --state COMPLETED --fields id,title,site --names
    lockside export work-order --where 'created_at > -30d' --out orders.ndjson
    """,
)
@click.argument("kind", shell_complete=complete_kinds)
@click.option(
    "--state", metavar="STATE", help="Only rows of this state.", shell_complete=complete_states
)
@where_option
@click.option(
    "--fields", metavar="FIELD,…", help="These columns; by default those that an import takes."
)
@click.option("--names", is_flag=True, help="Show other records by their name, not their id.")
@click.option("--format", "form", type=FORMATS, help="By the ending of --out, or csv.")
@click.option("--out", type=click.Path(path_type=Path), help="Write to this file, when all is out.")
@click.pass_obj
def export(
    invocation: Invocation,
    /,
    *,
    kind: str,
    fields: str | None,
    form: str | None,
    out: Path | None,
    **selection: Any,
) -> None:
    """Write the rows of a kind as a file, in the order of their ids.

    With --names it can be imported elsewhere, where records of these names are. Cells hold what
    the rows hold: a spreadsheet may take some for formulas.
    """
    output = invocation.output
    selection["fields"] = None if fields is None else [field.strip() for field in fields.split(",")]
    with invocation.connect() as site:
        if out is None and output.as_json:
            output.json_list(site.export(kind, **selection))
            return

        def pieces(form: str, show: Callable[[int], None]) -> Iterator[str]:
            return site.export_text(kind, form, on_progress=show, **selection)

        write_out(output, out, form, pieces, what=f"rows of {kind}")


def _read_map(mapped: Sequence[str]) -> dict[str, str]:
    columns: dict[str, str] = {}
    for text in mapped:
        place = 0
        while place < len(text):
            pair = _PAIR.match(text, place)
            column = pair and pair[1]
            if pair is None or column in columns:
                expected = "pairs such as Title=title,Where=site, each column once"
                raise InvalidInput(field="map", got=text, expected=expected)
            columns[pair[1]] = pair[2]
            place = pair.end()
    return columns


@contextmanager
def _bytes_shown(output: Output, file: str) -> Iterator[Callable[["Loaded"], None]]:
    bar = Progress(
        BarColumn(30),
        DownloadColumn(),
        TextColumn("{task.description}"),
        console=output.err,
        transient=True,
        disable=output.as_json or not output.err.is_terminal,
    )
    with bar:
        size = Path(file).stat().st_size if Path(file).is_file() else None
        task = bar.add_task("", total=size)
        yield lambda loaded: bar.update(
            task, completed=loaded.read_bytes, description=f"{loaded.new:,} new, {loaded.bad:,} bad"
        )


def _counts(loaded: "Loaded") -> str:
    counts = {"new": loaded.new, "there already": loaded.there, "bad": loaded.bad}
    summary = ", ".join(f"{rows:,} {name}" for name, rows in counts.items())
    return f"{loaded.read:,} read, {summary}"


def _as_json(loaded: "Loaded", begun: float) -> dict[str, Any]:
    return {
        "read": loaded.read,
        "new": loaded.new,
        "already_there": loaded.there,
        "bad": loaded.bad,
        "codes": dict(loaded.codes),
        "seconds": round(time.monotonic() - begun, 2),
    }


def _say(
    output: Output, loaded: "Loaded", rejects: Rejects, seconds: float, file: Path | None
) -> None:
    rate = f", {loaded.read / seconds:,.0f} a second" if seconds > 1 else ""
    style = "bold yellow" if loaded.bad else "bold green"
    output.say(f"{_counts(loaded)}, in {seconds:.1f} s{rate}.", style)
    if loaded.bad:
        rejects.say(loaded.codes)
        if file is not None:
            output.say(f"All of them are in {file}.")
    if loaded.read and not loaded.has_references:
        output.note(_BY_PLACE, "yellow")
