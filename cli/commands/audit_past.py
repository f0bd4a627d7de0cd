"""`lockside audit as-of | times`: what rows were at a past time, and how long in which state."""

from collections.abc import Mapping
from typing import Any

import rich_click as click

from cli.input.completion import complete_kinds, complete_resource_types
from cli.input.ids import read_id
from cli.input.times import read_time, span_options
from cli.printing.bars import bar, how_long
from cli.printing.output import Output, format_time, table
from cli.printing.records import in_order
from cli.printing.timeline import brief
from cli.program.command import Command, Invocation
from domain.errors import InvalidInput


@click.command(
    "as-of",
    cls=Command,
    examples="""
    lockside audit as-of work-order 17 --at 2026-11-20T09:00Z
    lockside audit as-of ticket 42 --at 7d
    lockside audit as-of ticket --at 7d
    """,
)
@click.argument("resource_type", shell_complete=complete_resource_types)
@click.argument("row_id", metavar="[ID]", required=False)
@click.option(
    "--at", required=True, metavar="TIME", help="The time, with its zone, or 24h, 7d back."
)
@click.pass_obj
def as_of(invocation: Invocation, *, resource_type: str, row_id: str | None, at: str) -> None:
    """Show what a record was at a past time; without an ID how many were in which state.

    What no record tells is told as unknown, and why.
    """
    time = read_time("at", at)
    output = invocation.output
    with invocation.connect() as site:
        if time is None:
            raise InvalidInput(field="at", got=at, expected="a time")
        if row_id is None:
            found = site.states_as_of(resource_type, time)
        else:
            found = site.as_of(resource_type, read_id(row_id), time)
    if output.as_json:
        output.json(found)
    elif row_id is None:
        _print_counts(output, found)
    else:
        _print_past(output, found)


@click.command(
    cls=Command,
    examples="""
    lockside audit times work-order 17
    lockside audit times ticket --since 30d
    """,
)
@click.argument("kind", shell_complete=complete_kinds)
@click.argument("row_id", metavar="[ID]", required=False)
@span_options
@click.pass_obj
def times(
    invocation: Invocation, *, kind: str, row_id: str | None, since: str | None, until: str | None
) -> None:
    """Show how long a row was in each state, or what is usual for its kind.

    For a kind it counts the stays that ended in the span, by default in the last 30 days.
    """
    number = None if row_id is None else read_id(row_id)
    begin, end = read_time("since", since), read_time("until", until)
    with invocation.connect() as site:
        found = site.time_in_states(kind, number, since=begin, until=end)
    if invocation.output.as_json:
        invocation.output.json(found)
    elif number is None:
        _print_usual(invocation.output, found)
    else:
        _print_stays(invocation.output, found)


def _print_past(output: Output, found: Mapping[str, Any]) -> None:
    named = f"{found['kind']} {found['id']}"
    if not found["exists"]:
        is_before = found["since"] > found["at"]
        told = "came only" if is_before else "was deleted"
        output.say(f"{named} wasn't there: it {told} at {format_time(found['since'])}.")
        return
    version = "an unknown version" if found["version"] is None else f"version {found['version']}"
    output.say(f"{named} at {format_time(found['at'])}, {version}:")
    output.say(_fields(found))
    for part, pasts in found.items():
        if isinstance(pasts, list):
            for each in pasts:
                output.say(f"\n{part.removesuffix('s').replace('_', ' ')}", "bold")
                output.say(_fields(each))


def _fields(past: Mapping[str, Any]) -> Any:
    shown = table("", "")
    shown.show_header = False
    for name in in_order(past["values"]):
        value = past["values"][name]
        if value is not None:
            shown.add_row(name, format_time(value) if hasattr(value, "hour") else brief(value))
    for name, why in past["unknown"].items():
        shown.add_row(name, f"? {why['message']}")
    return shown


def _print_counts(output: Output, found: Mapping[str, Any]) -> None:
    counts = dict(found["states"])
    if found["unknown"]:
        counts["unknown"] = found["unknown"]
    if not counts:
        output.note(f"There was no {found['kind']} at {format_time(found['at'])}.")
        return
    shown = table("state", "rows", "", right=("rows",))
    most = max(counts.values())
    for state, rows in counts.items():
        shown.add_row(state, f"{rows:,}", bar(rows / most))
    output.say(f"{found['kind']} at {format_time(found['at'])}:")
    output.say_table(shown)


def _print_stays(output: Output, found: Mapping[str, Any]) -> None:
    shown = table("state", "time", "visits", "", right=("time", "visits"))
    whole = sum(each["seconds"] for each in found["states"]) or 1.0
    for each in found["states"]:
        is_here = " ← now" if each["is_present"] else ""
        share = each["seconds"] / whole
        shown.add_row(
            each["state"],
            how_long(each["seconds"]),
            f"{each['visits']}",
            f"{bar(share)} {share:.0%}{is_here}",
        )
    output.say_table(shown)
    if found["unknown_s"] >= 1:
        output.say(f"Of {how_long(found['unknown_s'])} the records don't tell.", "yellow")


def _print_usual(output: Output, found: Mapping[str, Any]) -> None:
    if not found["states"]:
        output.note(f"No {found['kind']} left a state in that span.")
        return
    right = ("stays", "median", "mean", "9 of 10 within")
    shown = table("state", *right, "", right=right)
    longest = max(each["median_s"] for each in found["states"]) or 1.0
    for each in found["states"]:
        shown.add_row(
            each["state"],
            f"{each['stays']:,}",
            how_long(each["median_s"]),
            how_long(each["mean_s"]),
            how_long(each["p90_s"]),
            bar(each["median_s"] / longest),
        )
    output.say_table(shown)
