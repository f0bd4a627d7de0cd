"""`lockside audit archives`: list, make, search, restore, hold and release archives."""

from collections.abc import Mapping
from typing import Any

import rich_click as click

from cli.input.ids import read_id
from cli.input.options import read_moment
from cli.printing.output import format_time, table
from cli.printing.timeline import brief
from cli.program.command import Group, Invocation

_MONTH = click.argument("month")
_RECORD = click.option(
    "--record",
    metavar="TABLE",
    help="Only records of this table, such as audit_log; all four by default.",
)


@click.group(
    cls=Group,
    examples="""
    lockside audit archives list
    lockside audit archives search work-order 17
    lockside audit archives restore 2026-05
    """,
)
def archives() -> None:
    """Look after old records: archived by the month, kept for two years, then dropped."""


@archives.command(
    "list",
    examples="""
    lockside audit archives list
    lockside audit archives list --month 2026-05 --record audit_log
    """,
)
@click.option("--month", metavar="MONTH", help="Only of this month, such as 2026-05.")
@_RECORD
@click.pass_obj
def list_all(invocation: Invocation, *, month: str | None, record: str | None) -> None:
    """List the archives, oldest months first, with what became of each."""
    with invocation.connect() as site:
        listed = site.archives.list(month=month, record=_plain(record))
    if invocation.output.as_json:
        invocation.output.json(listed)
        return
    if not listed:
        invocation.output.note("There is no archive here.")
        return
    shown = table("month", "record", "records", "bytes", "state", right=("records", "bytes"))
    for archive in listed:
        shown.add_row(
            archive["month"],
            archive["record"],
            f"{archive['records']:,}",
            f"{archive['bytes']:,}",
            _state(archive),
        )
    invocation.output.say_table(shown)


@archives.command(
    examples="""
    lockside audit archives make
    lockside audit archives make --even-restored
    """,
)
@click.option(
    "--even-restored", is_flag=True, help="Also what you restored and was to stay for longer."
)
@click.pass_obj
def make(invocation: Invocation, *, even_restored: bool) -> None:
    """Archive now what is old enough, of all tenants; else it is done within the hour."""
    with invocation.connect() as site, invocation.output.status("Archiving"):
        done = site.archives.archive_now(even_restored=even_restored)
    if invocation.output.as_json:
        names = ("records", "files", "bytes", "stays")
        invocation.output.json({name: getattr(done, name) for name in names})
        return
    invocation.output.say(f"Archived {done.records:,} records in {done.files:,} files.")
    for reason in done.stays:
        invocation.output.note(f"It stays: {reason}.", "yellow")


@archives.command(
    examples="""
    lockside audit archives search work-order 17
    lockside audit archives search --by asha --since 2026-05-01T00:00:00Z
    lockside audit archives search --operation 1b4e28ba-2fa1-41d2-883f-0016d3cca427 --json
    """,
)
@click.argument("resource_type", required=False)
@click.argument("row_id", metavar="[ID]", required=False)
@click.option("--by", metavar="NAME", help="What this person did.")
@click.option("--operation", "operation_id", metavar="ID", help="In this operation.")
@click.option("--since", metavar="TIME", help="From then on: a time with its zone, or -30d.")
@click.option("--until", metavar="TIME", help="Before then.")
@click.pass_obj
def search(
    invocation: Invocation,
    /,
    *,
    resource_type: str | None,
    row_id: str | None,
    since: str | None,
    until: str | None,
    **filters: Any,
) -> None:
    """Search the archives without restoring them, oldest months first."""
    with invocation.connect() as site:
        records = site.archives.search(
            kind=_plain(resource_type),
            row_id=None if row_id is None else read_id(row_id),
            since=read_moment("since", since),
            until=read_moment("until", until),
            **filters,
        )
        if invocation.output.as_json:
            invocation.output.json_list(records)
        else:
            invocation.output.lines(_line(record) for record in records)


@archives.command(
    examples="""
    lockside audit archives restore 2026-05
    lockside audit archives restore 2026-05 --record audit_log --days 30
    """,
)
@_MONTH
@_RECORD
@click.option("--days", type=int, metavar="N", help="How long they stay at least; 7 by default.")
@click.pass_obj
def restore(invocation: Invocation, *, month: str, record: str | None, days: int | None) -> None:
    """Put a month's records back into their tables, for some days."""
    with invocation.connect() as site, invocation.output.status("Restoring"):
        done = site.archives.restore(month, record=_plain(record), days=days)
    if invocation.output.as_json:
        invocation.output.json({"archives": done.archives, "records": done.records})
    else:
        invocation.output.say(f"{done.records:,} records of {month} are in their tables again.")


@archives.command(
    examples="""
    lockside audit archives hold 2026-05 --because "Case 12/26"
    """,
)
@_MONTH
@_RECORD
@click.option("--because", required=True, metavar="TEXT", help="Why; it is recorded.")
@click.pass_obj
def hold(invocation: Invocation, *, month: str, record: str | None, because: str) -> None:
    """Keep a month's archives, however old they are."""
    with invocation.connect() as site:
        held = site.archives.hold(month, because=because, record=_plain(record))
    if invocation.output.as_json:
        invocation.output.json({"archives": held})
    else:
        invocation.output.say(f"{held:,} archives of {month} are held: {because}.")


@archives.command(
    examples="""
    lockside audit archives release 2026-05
    """,
)
@_MONTH
@_RECORD
@click.pass_obj
def release(invocation: Invocation, *, month: str, record: str | None) -> None:
    """Let a month's archives be dropped when they are too old."""
    with invocation.connect() as site:
        released = site.archives.release(month, record=_plain(record))
    if invocation.output.as_json:
        invocation.output.json({"archives": released})
    else:
        invocation.output.say(f"{released:,} archives of {month} are released.")


def _plain(name: str | None) -> str | None:
    return None if name is None else name.lower().replace("-", "_")


def _state(archive: Mapping[str, Any]) -> str:
    held = f"held: {archive['held_because']}" if archive["held_because"] else ""
    if archive["dropped_at"]:
        return f"dropped {format_time(archive['dropped_at'])}"
    if archive["restored_until"]:
        restored = f"restored until {format_time(archive['restored_until'])}"
        return f"{restored}; {held}" if held else restored
    return held or "archived"


def _line(record: Mapping[str, Any]) -> str:
    names = ("occurred_at", "kind", "entity_id", "version", "from_state", "to_state", "event_type")
    more = ("attempted_action", "operation_type", "actor_id", "correlation_id", "comments")
    facts = (f"{name}={brief(record[name])}" for name in (*names, *more) if record.get(name))
    return f"{record['record']} {' '.join(facts)}"
