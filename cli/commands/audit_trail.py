"""`lockside audit trail`, `export` and `anomalies`: search the records, find unusual hours."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import rich_click as click

from cli.input.completion import complete_resource_types
from cli.input.ids import read_id
from cli.input.times import read_time, span_options
from cli.printing.bars import how_long
from cli.printing.output import Output, format_time, table
from cli.printing.output_file import FORMATS, write_out
from cli.printing.timeline import brief, what_happened
from cli.program.command import Command, Invocation
from domain.errors import InvalidInput
from domain.selection import MOST_LISTED


def _filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that filter a trail to a command."""
    for add in (
        click.option("--oldest-first", is_flag=True, help="The other order."),
        click.option("--denied", is_flag=True, help="Only denials."),
        click.option("--done", is_flag=True, help="Only what was done."),
        click.option("--failed", is_flag=True, help="Only what was refused or went wrong."),
        click.option(
            "--event",
            metavar="EVENT",
            help="Only one of created, updated, deleted, state-changed, bulk-operation, "
            "permission-denied.",
        ),
        click.option(
            "--record",
            metavar="RECORD",
            help="Only of state-transition, audit-log, bulk-operation or permission-denial.",
        ),
        span_options,
        click.option("--operation", metavar="ID", help="Only what this operation did."),
        click.option("--by-system", is_flag=True, help="Only what the system itself did."),
        click.option("--by", metavar="NAME", help="Only what this person did, by name or id."),
        click.argument("row_id", metavar="[ID]", required=False),
        click.argument("resource_type", required=False, shell_complete=complete_resource_types),
    ):
        command = add(command)
    return command


@click.command(
    cls=Command,
    examples="""
    lockside audit trail --since 24h
    lockside audit trail --by asha --failed --since 7d
    lockside audit trail work-order 17 --oldest-first
    lockside audit trail --operation ID
    lockside audit trail --denied
    """,
)
@_filters
@click.option(
    "--limit",
    type=click.IntRange(1, MOST_LISTED),
    default=50,
    show_default=True,
    metavar="N",
    help="At most so many.",
)
@click.option("--after", metavar="CURSOR", help="Go on behind this place.")
@click.pass_obj
def trail(invocation: Invocation, /, *, limit: int, after: str | None, **filters: Any) -> None:
    """Show what happened, newest first: of everything, of a kind, or of one row.

    One row takes the permission to view it; everything else takes audit.view.
    """
    output = invocation.output
    kind, row_id, options = _parse_filters(filters)
    with invocation.connect() as site:
        records = site.trail(kind, row_id, limit=limit + 1, after=after, **options)
        if output.as_json:
            output.json_list(islice(records, limit))
            return
        page = list(islice(records, limit))
        is_more = next(records, None) is not None
        cursor = site.cursor_of(page[-1]) if page else ""
    if not page:
        output.note("Nothing. What happened in the last seconds may yet have to be written.")
        return
    _print_trail(output, page)
    if is_more:
        output.note(f"There are more: --after {cursor}", "dim")


@click.command(
    "export",
    cls=Command,
    examples="""
    lockside audit export --since 2026-10-01T00:00Z --until 2026-11-01T00:00Z --out october.csv
    lockside audit export ticket --by asha --format ndjson
    """,
)
@_filters
@click.option("--format", "form", type=FORMATS, help="By the ending of --out, or csv.")
@click.option("--out", type=click.Path(path_type=Path), help="Write to this file, when all is out.")
@click.pass_obj
def export_trail(
    invocation: Invocation, /, *, form: str | None, out: Path | None, **filters: Any
) -> None:
    """Write the trail as a file, page by page, however long it is.

    Cells hold what the records hold: a spreadsheet may take some for formulas.
    """
    output = invocation.output
    kind, row_id, options = _parse_filters(filters)
    with invocation.connect() as site:
        if out is None and output.as_json:
            output.json_list(site.trail(kind, row_id, **options))
            return

        def pieces(form: str, show: Callable[[int], None]) -> Iterator[str]:
            return site.trail_text(form, kind, row_id, on_progress=show, **options)

        write_out(output, out, form, pieces, what="records")


@click.command(
    cls=Command,
    examples="""
    lockside audit anomalies
    lockside audit anomalies --since 7d
    """,
)
@span_options
@click.pass_obj
def anomalies(invocation: Invocation, *, since: str | None, until: str | None) -> None:
    """Show hours with far more failures, denials or work of one person than usual.

    By default those of the last day. An hour is compared with the same hour of earlier weeks,
    with too little history with that of earlier days, or with the hours before it.
    """
    output = invocation.output
    begin, end = read_time("since", since), read_time("until", until)
    with invocation.connect() as site:
        spikes = site.anomalies(since=begin, until=end)
    if output.as_json:
        output.json(spikes)
    elif not spikes:
        output.note("Nothing unusual.")
    else:
        _print_anomalies(output, spikes)


def _parse_filters(filters: Mapping[str, Any]) -> tuple[str | None, int | None, dict[str, Any]]:
    options = dict(filters)
    resource_type, row_id = options.pop("resource_type"), options.pop("row_id")
    failed, done = options.pop("failed"), options.pop("done")
    if failed and done:
        raise InvalidInput(field="--done", got="--failed beside it", expected="one of them")
    by_system = options.pop("by_system")
    if by_system and options["by"] is not None:
        raise InvalidInput(field="--by-system", got="--by beside it", expected="one of them")
    by = "" if by_system else options["by"]
    options |= {
        "by": int(by) if by and by.isdecimal() else by,
        "failed": True if failed else False if done else None,
        "since": read_time("since", options["since"]),
        "until": read_time("until", options["until"]),
    }
    return resource_type, None if row_id is None else read_id(row_id), options


def _print_trail(output: Output, page: Sequence[Mapping[str, Any]]) -> None:
    shown = table("when", "which", "what", "by", "reason", "comments")
    for record in page:
        shown.add_row(
            format_time(record["occurred_at"]),
            _which(record),
            _what(record),
            record["actor"] or "system",
            record["reason"] or "",
            brief(record["comments"] or ""),
        )
    output.say_table(shown, is_wrapped=True)


def _which(record: Mapping[str, Any]) -> str:
    return f"{record['kind']} {record['entity_id'] or ''}".strip()


def _what(record: Mapping[str, Any]) -> str:
    metadata: Mapping[str, Any] = record["metadata"] or {}
    if record["record"] == "bulk_operation":
        done, total = metadata["successful_items"], metadata["total_items"]
        return f"{metadata['operation_type']}: {done:,} of {total:,} done, {metadata['state']}"
    if record["record"] == "permission_denial":
        needed = " or ".join(metadata["required_permissions"])
        return f"denied: {needed} (risk {metadata['risk_score']})"
    return what_happened(record)


def _print_anomalies(output: Output, spikes: Sequence[Mapping[str, Any]]) -> None:
    shown = table(
        "what", "since", "for", "usual", "came", "total", right=("usual", "came", "total")
    )
    for spike in spikes:
        whose = f" of {spike['kind'] or spike['actor']}" if spike["kind"] or spike["actor"] else ""
        shown.add_row(
            f"{spike['what']}{whose}",
            format_time(spike["since"]),
            how_long((spike["until"] - spike["since"]).total_seconds()),
            f"{spike['usual']:,.0f}",
            f"{spike['came']:,}",
            f"{spike['total']:,}",
        )
    output.say_table(shown)
    output.say(f"Look at the first:\n{_look(spikes[0])}", "dim")


def _look(spike: Mapping[str, Any]) -> str:
    chosen = {"failures": f"{spike['kind']} --failed", "denials": "--denied"}
    by = f"--by {_quoted(spike['actor'])}"
    return (
        f"lockside audit trail {chosen.get(spike['what'], by)} "
        f"--since {_short(spike['since'])} --until {_short(spike['until'])}"
    )


def _quoted(name: str | None) -> str:
    return f"'{name}'" if name and " " in name else str(name)


def _short(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%MZ}"
