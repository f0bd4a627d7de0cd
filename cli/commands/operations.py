"""`lockside operations`: list, show and watch operations, and the outcome of each item."""

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import rich_click as click

from cli.commands.steer import cancel, pause, resume, retry, undo
from cli.input.completion import complete_operation_states
from cli.input.options import timeout_option
from cli.printing.output import Output, counts_text, format_time, table
from cli.printing.progress import watch as follow
from cli.printing.results import print_failures, print_result
from cli.program.command import Group, Invocation
from domain.errors import InvalidInput

_BESIDE_CELLS = ("line", "outcome", "code", "message")
_UNEVEN = (
    "Not every line of this file has every key, and CSV can't leave a cell out: sent again as an "
    "update, an empty cell empties its field. --ndjson keeps the lines as they were."
)
_CSV_COLUMNS = ("id", "outcome", "version", "code", "message", "retryable")


@click.group(
    cls=Group,
    examples="""
    lockside operations list
    lockside operations watch ID
    lockside operations results ID --failed --csv > failed.csv
    """,
)
def operations() -> None:
    """Look at work that was submitted, wait for it, steer it."""


for command in (cancel, pause, resume, retry, undo):
    operations.add_command(command)


@operations.command(
    "list",
    examples="""
    lockside operations list
    lockside operations list --state RUNNING --limit 100
    """,
)
@click.option(
    "--state",
    metavar="STATE",
    help="Only operations of this state, in any case.",
    shell_complete=complete_operation_states,
)
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=20,
    show_default=True,
    help="At most so many, newest first.",
)
@click.pass_obj
def list_newest(invocation: Invocation, *, state: str | None, limit: int) -> None:
    """List the newest operations."""
    with invocation.connect() as site:
        newest = site.operations(state=state, limit=limit)
    output = invocation.output
    if output.as_json:
        output.json(newest)
    elif newest:
        _print_list(output, newest)
    elif state is not None:
        output.note(f"No operation in {state.upper()}.")
    else:
        output.note("No operation yet. `lockside submit --help` shows how to submit work.")


@operations.command(
    examples="""
    lockside operations show ID
    """,
)
@click.argument("operation_id", metavar="ID")
@click.pass_obj
def show(invocation: Invocation, *, operation_id: str) -> None:
    """Show one operation with its counts, as stored now, and what came out of it."""
    with invocation.connect() as site:
        operation = site.operation(operation_id)
        stored = operation.show()
        if invocation.output.as_json:
            invocation.output.json(stored)
            return
        _print_operation(invocation.output, stored)
        if stored["result"] and stored["result"]["failed_items"]:
            print_failures(invocation.output, operation)


@operations.command(
    examples="""
    lockside operations watch ID --timeout 60
    """,
)
@click.argument("operation_id", metavar="ID")
@timeout_option
@click.pass_obj
def watch(invocation: Invocation, *, operation_id: str, timeout: float) -> int:
    """Wait for an operation and show its result; Ctrl-C stops waiting, never the work."""
    with invocation.connect() as site:
        operation = site.operation(operation_id)
        result = follow(site, operation, invocation.output, within_s=timeout)
        return print_result(invocation.output, operation, result)


@operations.command(
    examples="""
    lockside operations results ID --failed
    lockside operations results ID --csv > outcomes.csv
    lockside operations results ID --failed --ids | lockside submit approve work-order -
    """,
)
@click.argument("operation_id", metavar="ID")
@click.option("--failed", is_flag=True, help="Only items that failed.")
@click.option("--csv", "form", flag_value="csv", help="As CSV.")
@click.option("--ndjson", "form", flag_value="ndjson", help="As JSON, one item a line.")
@click.option("--ids", "form", flag_value="ids", help="Only ids, one a line, for a pipe.")
@click.pass_obj
def results(invocation: Invocation, *, operation_id: str, failed: bool, form: str | None) -> None:
    """Show what became of each item."""
    if form is not None and invocation.output.as_json:
        raise InvalidInput(field="--json", got=f"--{form} beside it", expected="one form")
    with invocation.connect() as site:
        operation = site.operation(operation_id)
        stored = operation.show()  # raises NotFound before the first line is printed
        items = operation.results(only="FAILED" if failed else None)
        if form == "csv":
            own, is_even = _columns_of_file(operation.results())
            if not is_even and stored["operation_type"] == "update":
                invocation.output.note(_UNEVEN)
            _write_csv(items, own)
        elif form == "ndjson":
            sys.stdout.writelines(json.dumps(item) + "\n" for item in items)
        elif form == "ids":
            invocation.output.lines(item["id"] for item in items if item["id"] is not None)
        elif invocation.output.as_json:
            invocation.output.json_list(items)
        else:
            _write_lines(items)


def _print_list(output: Output, newest: Iterable[Mapping[str, Any]]) -> None:
    shown = table(
        *("id", "state", "items", "failed", "what", "by", "submitted"),
        whole=("id",),
        right=("items", "failed"),
    )
    for operation in newest:
        shown.add_row(
            operation["id"],
            operation["state"],
            f"{operation['total']:,}",
            f"{operation['counts']['failed']:,}",
            _what(operation),
            operation["actor"] or "system",
            format_time(operation["created_at"]),
        )
    output.say_table(shown)


def _what(operation: Mapping[str, Any]) -> str:
    done = operation["operation_type"].replace("undo_", "undo of ").replace("transition_to_", "→ ")
    what = f"{operation['kind']} {done}"
    return f"{what} (dry run)" if operation["dry_run"] else what


def _print_operation(output: Output, operation: Mapping[str, Any]) -> None:
    shown = table("", "")
    shown.show_header = False
    facts = {
        "operation": operation["id"],
        "what": _what(operation),
        "state": operation["state"],
        "items": f"{operation['total']:,}: {counts_text(operation['counts'])}",
        "mode": _mode(operation),
        "by": operation["actor"] or "system",
        "comments": operation["comments"],
        "submitted": format_time(operation["created_at"]),
        "chosen by": operation["where"],
        "out of": operation["parent_id"] and f"{operation['parent_id']} ({operation['purpose']})",
        "canary": operation["canary"] and f"the first {operation['canary']:,} items, then a pause",
        "led to": "\n".join(
            f"{child['id']} ({child['purpose']}, {child['state']})"
            for child in operation["children"]
        ),
        "rate": operation["rate"] and f"at most {operation['rate']:,g} items a second",
        "not before": format_time(operation["run_at"]),
        "started": format_time(operation["started_at"]),
        "paused by": operation["paused_by"],
        "cancelled by": operation["cancelled_by"],
        "ended": format_time(operation["finished_at"]),
    }
    for name, value in facts.items():
        if value:
            shown.add_row(name, value)
    output.say(shown)


def _mode(operation: Mapping[str, Any]) -> str:
    return "all or nothing" if operation["atomic"] else "each item for itself"


def _columns_of_file(items: Iterable[Mapping[str, Any]]) -> tuple[list[str], bool]:
    """Return the columns of an operation's row file, and whether each line has all of them.

    Without a row file there are none.
    """
    own: dict[str, None] = {}
    fewest = sys.maxsize
    for item in items:
        if "cells" not in item:
            break
        own |= dict.fromkeys(item["cells"])
        if item["cells"] and item.get("code") != "wrong_columns":
            fewest = min(fewest, len(item["cells"]))
    return list(own), fewest >= len(own)


def _write_csv(items: Iterable[Mapping[str, Any]], own: Sequence[str]) -> None:
    """Write outcomes; for a row file behind its own columns, so that it can be submitted again."""
    beside = [name for name in _BESIDE_CELLS if name not in own]
    columns = [*own, *beside] if own else list(_CSV_COLUMNS)
    # If the row file was such a result itself, its old outcomes are replaced.
    over = () if beside else _BESIDE_CELLS
    writer = csv.DictWriter(sys.stdout, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for item in items:
        cells = item.get("cells", {}).items()
        values = {name: _as_cell(value) for name, value in cells if name not in over}
        writer.writerow({**item, **values})


def _as_cell(value: Any) -> Any:
    """Return a value for a cell of CSV; objects and lists as JSON."""
    return json.dumps(value) if isinstance(value, dict | list) else value


def _write_lines(items: Iterable[Mapping[str, Any]]) -> None:
    for item in items:
        why = f"{item['code']}: {item['message']}" if item.get("code") else ""
        version = item["version"] or ""
        name = item["id"] or f"line {item['line']}"
        sys.stdout.write(f"{name:>10}  {item['outcome']:<9}  {version:>4}  {why}".rstrip() + "\n")
