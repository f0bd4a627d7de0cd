"""`lockside operations`: what was handed in, how far it is, what became of each item."""

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import rich_click as click

from cli.commands.steer import cancel, pause, resume, retry, undo
from cli.input.completion import complete_operation_states
from cli.input.options import timeout_option
from cli.printing.output import Output, counted, format_time, table
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
    """Look at work that was handed in, wait for it, steer it."""


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
        found = site.operations(state=state, limit=limit)
    output = invocation.output
    if output.as_json:
        output.json(found)
    elif found:
        _print_list(output, found)
    elif state is not None:
        output.note(f"No operation in {state.upper()}.")
    else:
        output.note("No operation yet. `lockside submit --help` shows how to hand work in.")


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
        found = operation.show()
        if invocation.output.as_json:
            invocation.output.json(found)
            return
        _print_operation(invocation.output, found)
        if found["result"] and found["result"]["failed_items"]:
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
        found = operation.show()  # refused before the first line, if it isn't there
        items = operation.results(only="FAILED" if failed else None)
        if form == "csv":
            own, is_even = _columns_of_file(operation.results())
            if not is_even and found["operation_type"] == "update":
                invocation.output.note(_UNEVEN)
            _write_csv(items, own)
        elif form == "ndjson":
            sys.stdout.writelines(json.dumps(each) + "\n" for each in items)
        elif form == "ids":
            invocation.output.lines(each["id"] for each in items if each["id"] is not None)
        elif invocation.output.as_json:
            invocation.output.json_list(items)
        else:
            _write_lines(items)


def _print_list(output: Output, found: Iterable[Mapping[str, Any]]) -> None:
    shown = table(
        *("id", "state", "items", "failed", "what", "by", "handed in"),
        whole=("id",),
        right=("items", "failed"),
    )
    for each in found:
        shown.add_row(
            each["id"],
            each["state"],
            f"{each['total']:,}",
            f"{each['counts']['failed']:,}",
            _what(each),
            each["actor"] or "system",
            format_time(each["created_at"]),
        )
    output.say_table(shown)


def _what(found: Mapping[str, Any]) -> str:
    done = found["operation_type"].replace("undo_", "undo of ").replace("transition_to_", "→ ")
    what = f"{found['kind']} {done}"
    return f"{what} (dry run)" if found["dry_run"] else what


def _print_operation(output: Output, found: Mapping[str, Any]) -> None:
    shown = table("", "")
    shown.show_header = False
    facts = {
        "operation": found["id"],
        "what": _what(found),
        "state": found["state"],
        "items": f"{found['total']:,}: {counted(found['counts'])}",
        "mode": _mode(found),
        "by": found["actor"] or "system",
        "comments": found["comments"],
        "handed in": format_time(found["created_at"]),
        "chosen by": found["where"],
        "out of": found["parent_id"] and f"{found['parent_id']} ({found['purpose']})",
        "canary": found["canary"] and f"the first {found['canary']:,} items, then a pause",
        "led to": "\n".join(
            f"{each['id']} ({each['purpose']}, {each['state']})" for each in found["children"]
        ),
        "rate": found["rate"] and f"at most {found['rate']:,g} items a second",
        "not before": format_time(found["run_at"]),
        "started": format_time(found["started_at"]),
        "paused by": found["paused_by"],
        "cancelled by": found["cancelled_by"],
        "ended": format_time(found["finished_at"]),
    }
    for name, value in facts.items():
        if value:
            shown.add_row(name, value)
    output.say(shown)


def _mode(found: Mapping[str, Any]) -> str:
    return "all or nothing" if found["atomic"] else "each item for itself"


def _columns_of_file(items: Iterable[Mapping[str, Any]]) -> tuple[list[str], bool]:
    """Return the columns of the file that named the rows, and whether each line has them all.

    Rows that no file named have none.
    """
    own: dict[str, None] = {}
    fewest = sys.maxsize
    for each in items:
        if "cells" not in each:
            break
        own |= dict.fromkeys(each["cells"])
        if each["cells"] and each.get("code") != "wrong_columns":
            fewest = min(fewest, len(each["cells"]))
    return list(own), fewest >= len(own)


def _write_csv(items: Iterable[Mapping[str, Any]], own: Sequence[str]) -> None:
    """Write outcomes; of a file's rows behind its own columns, so that it can be sent again."""
    beside = [name for name in _BESIDE_CELLS if name not in own]
    columns = [*own, *beside] if own else list(_CSV_COLUMNS)
    # Results that were sent again: what was wrong then is over.
    over = () if beside else _BESIDE_CELLS
    writer = csv.DictWriter(sys.stdout, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for each in items:
        cells = each.get("cells", {}).items()
        told = {name: _as_cell(value) for name, value in cells if name not in over}
        writer.writerow({**each, **told})


def _as_cell(value: Any) -> Any:
    """Return what CSV holds; of JSON that is more than a value it is JSON."""
    return json.dumps(value) if isinstance(value, dict | list) else value


def _write_lines(items: Iterable[Mapping[str, Any]]) -> None:
    for each in items:
        why = f"{each['code']}: {each['message']}" if each.get("code") else ""
        version = each["version"] or ""
        item = each["id"] or f"line {each['line']}"
        sys.stdout.write(f"{item:>10}  {each['outcome']:<9}  {version:>4}  {why}".rstrip() + "\n")
