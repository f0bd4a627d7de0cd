"""`lockside audit as-of` and `times`: show rows at a past time, and their times in states."""

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

    What no record tells is shown as unknown, with the reason.
    """
    time = read_time("at", at)
    output = invocation.output
    with invocation.connect() as site:
        if time is None:
            raise InvalidInput(field="at", got=at, expected="a time")
        if row_id is None:
            past = site.states_as_of(resource_type, time)
        else:
            past = site.as_of(resource_type, read_id(row_id), time)
    if output.as_json:
        output.json(past)
    elif row_id is None:
        _print_counts(output, past)
    else:
        _print_past(output, past)


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
        result = site.time_in_states(kind, number, since=begin, until=end)
    if invocation.output.as_json:
        invocation.output.json(result)
    elif number is None:
        _print_usual(invocation.output, result)
    else:
        _print_stays(invocation.output, result)


def _print_past(output: Output, past: Mapping[str, Any]) -> None:
    name = f"{past['kind']} {past['id']}"
    if not past["exists"]:
        is_before = past["since"] > past["at"]
        verb = "came only" if is_before else "was deleted"
        output.say(f"{name} wasn't there: it {verb} at {format_time(past['since'])}.")
        return
    version = "an unknown version" if past["version"] is None else f"version {past['version']}"
    output.say(f"{name} at {format_time(past['at'])}, {version}:")
    output.say(_fields(past))
    for part, children in past.items():
        if isinstance(children, list):
            for child in children:
                output.say(f"\n{part.removesuffix('s').replace('_', ' ')}", "bold")
                output.say(_fields(child))


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


def _print_counts(output: Output, past: Mapping[str, Any]) -> None:
    counts = dict(past["states"])
    if past["unknown"]:
        counts["unknown"] = past["unknown"]
    if not counts:
        output.note(f"There was no {past['kind']} at {format_time(past['at'])}.")
        return
    shown = table("state", "rows", "", right=("rows",))
    most = max(counts.values())
    for state, rows in counts.items():
        shown.add_row(state, f"{rows:,}", bar(rows / most))
    output.say(f"{past['kind']} at {format_time(past['at'])}:")
    output.say_table(shown)


def _print_stays(output: Output, stays: Mapping[str, Any]) -> None:
    shown = table("state", "time", "visits", "", right=("time", "visits"))
    total = sum(stay["seconds"] for stay in stays["states"]) or 1.0
    for stay in stays["states"]:
        is_here = " ← now" if stay["is_present"] else ""
        share = stay["seconds"] / total
        shown.add_row(
            stay["state"],
            how_long(stay["seconds"]),
            f"{stay['visits']}",
            f"{bar(share)} {share:.0%}{is_here}",
        )
    output.say_table(shown)
    if stays["unknown_s"] >= 1:
        output.say(f"Of {how_long(stays['unknown_s'])} the records don't tell.", "yellow")


def _print_usual(output: Output, usual: Mapping[str, Any]) -> None:
    if not usual["states"]:
        output.note(f"No {usual['kind']} left a state in that span.")
        return
    right = ("stays", "median", "mean", "9 of 10 within")
    shown = table("state", *right, "", right=right)
    longest = max(stay["median_s"] for stay in usual["states"]) or 1.0
    for stay in usual["states"]:
        shown.add_row(
            stay["state"],
            f"{stay['stays']:,}",
            how_long(stay["median_s"]),
            how_long(stay["mean_s"]),
            how_long(stay["p90_s"]),
            bar(stay["median_s"] / longest),
        )
    output.say_table(shown)
