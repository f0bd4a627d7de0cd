"""`lockside up`, `seed`, `doctor` and `db upgrade`: run, fill, check and upgrade Lockside."""

import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import rich_click as click
from rich.text import Text

from cli.exits import DONE, TRY_LATER
from cli.printing.output import Output, table
from cli.printing.progress import seeding
from cli.program.activation import activation
from cli.program.command import Command, Group, Invocation, quieten

if TYPE_CHECKING:
    from lockside.local.up import Running

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@click.command(
    cls=Command,
    examples="""
    lockside up
    LOCKSIDE_HOME=~/lockside LOCKSIDE_CONCURRENCY=4 lockside up
    DATABASE_URL=postgresql+psycopg://… REDIS_URL=redis://… lockside up
    """,
)
@click.pass_obj
def up(invocation: Invocation) -> None:
    """Run everything here: servers, a worker, beat, Flower; Ctrl-C stops it all.

    Without DATABASE_URL and REDIS_URL it brings its own PostgreSQL and Valkey, in LOCKSIDE_HOME.
    """
    from lockside.local.up import up as run_everything

    quieten()
    output = invocation.output
    with run_everything(tell=lambda text: output.note(f"{text} …", "dim")) as running:
        with suppress(KeyboardInterrupt):  # a stop may be requested before `wait` begins
            _print_addresses(output, running)
            running.wait()
        output.note("Stopping …", "dim")
    output.note("Stopped; nothing runs any more.", "dim")


def _print_addresses(output: Output, running: "Running") -> None:
    addresses = asdict(running.addresses)
    if running.settings.flower_password:
        addresses["flower_password"] = "as set in LOCKSIDE_FLOWER_PASSWORD"  # noqa: S105 -- no password
    if output.as_json:
        output.json(addresses)
        sys.stdout.flush()
        return
    shown = table("", "")
    shown.show_header = False
    for name, value in addresses.items():
        shown.add_row(name.replace("_", " "), value)
    shown.add_row("data and logs", str(running.settings.home))
    output.say("Lockside is up.", "bold green")
    output.say(shown)
    words = [activation(), "lockside seed", "lockside doctor", "lockside --help"]
    output.say(f"In another terminal: {', '.join(word for word in words if word)}")
    output.say("Ctrl-C stops it all.")


def _rows_option(name: str, default: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(
        name,
        type=click.IntRange(0, 1_000_000),
        default=default,
        show_default=True,
        metavar="N",
        help=f"So many {name.removeprefix('--').replace('-', ' ')}.",
    )


@click.command(
    cls=Command,
    examples="""
    lockside seed
    lockside seed --work-orders 100000 --tasks 0 --attendance 0 --tickets 0
    """,
)
@_rows_option("--work-orders", 10_000)
@_rows_option("--tasks", 4_000)
@_rows_option("--attendance", 2_000)
@_rows_option("--tickets", 4_000)
@click.option(
    "--start",
    type=int,
    default=1,
    show_default=True,
    metavar="N",
    help="Where the random choices begin.",
)
@click.pass_obj
def seed(invocation: Invocation, /, *, start: int, **rows: int) -> None:
    """Fill the tenant with realistic work of every kind; again adds nothing."""
    # Imported here so that help and completion are fast.
    from lockside.demo_data.seed import seed as seed_work
    from lockside.local import setup
    from lockside.session.configuration import read_settings

    quieten()
    setup.open_first_tenant(read_settings().resolved())
    with invocation.connect() as site:
        with seeding(invocation.output) as show:
            new = seed_work(site, start=start, on_progress=show, **rows)
        states = {kind: site.states(kind) for kind in new}
    if invocation.output.as_json:
        invocation.output.json({"new": new, "states": states})
        return
    for kind, items in new.items():
        there = ", ".join(f"{count:,} {state}" for state, count in sorted(states[kind].items()))
        invocation.output.say(f"{items:,} new rows of {kind}; now {there or 'none'}.")
    invocation.output.note(
        "Try: lockside records list work-order --state SUBMITTED --ids --limit 1000 "
        "| lockside submit approve work-order --continue -"
    )


@click.command(
    cls=Command,
    examples="""
    lockside doctor
    lockside doctor --tenant harbor --json
    """,
)
@click.pass_obj
def doctor(invocation: Invocation) -> int:
    """Look at everything that Lockside needs, and say how to mend what isn't well."""
    from lockside.local.doctor import examine

    quieten()
    with invocation.output.status("Looking …"):
        checks = list(examine(tenant=invocation.tenant, actor=invocation.actor))
    is_well = all(check.status != "fail" for check in checks)
    if invocation.output.as_json:
        invocation.output.json({"ok": is_well, "checks": [asdict(check) for check in checks]})
    else:
        shown = table("", "what", "found", "how to mend")
        for check in checks:
            status = Text(check.status, _STYLES[check.status])
            shown.add_row(status, check.name, check.found, check.mend)
        invocation.output.say(shown)
    return DONE if is_well else TRY_LATER


@click.group(
    cls=Group,
    examples="""
    lockside db upgrade
    """,
)
def db() -> None:
    """Look after the database."""


@db.command(
    examples="""
    lockside db upgrade
    DATABASE_URL=postgresql+psycopg://… lockside db upgrade
    """,
)
@click.pass_obj
def upgrade(invocation: Invocation) -> None:
    """Bring the tables up to date and hand the machines to the database's guard."""
    from lockside.local import setup
    from lockside.session.configuration import read_settings

    quieten()
    taken = setup.upgrade_database(read_settings().resolved())
    if invocation.output.as_json:
        invocation.output.json({"taken": taken})
    else:
        invocation.output.say(
            f"Took {', '.join(taken)}."
            if taken
            else "No migration was missing. The guard and the standard roles follow the machines."
        )
