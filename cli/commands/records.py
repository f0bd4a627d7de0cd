"""`lockside records`: create, show, list, update and delete records, and show their history."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import rich_click as click

from cli.input.completion import complete_resource_types, complete_states
from cli.input.ids import read_id, where_option
from cli.input.name_value_pairs import read_pairs
from cli.printing.records import print_list, print_record, print_warnings
from cli.printing.timeline import print_trail
from cli.program.command import Group, Invocation
from domain.errors import InvalidInput
from domain.selection import MOST_LISTED

if TYPE_CHECKING:
    from lockside.session.records import Records

_PAGE = 1000
_EXPECTED = "FIELD=VALUE such as title=Pump; FIELD= empties one"

_RESOURCE_TYPE = click.argument("resource_type", shell_complete=complete_resource_types)
_ID = click.argument("row_id", metavar="ID")
_NAMES = click.option(
    "--names", is_flag=True, help="Show other records by their name, not their id."
)
_VERSION = click.option(
    "--expected-version", type=int, metavar="N", help="Refuse if the record has another version."
)


@click.group(
    cls=Group,
    examples="""
    lockside records create work-order title="Fix pump" vendor="Acme Lifts"
    lockside records list ticket --state OPEN
    lockside records history work-order 17
    """,
)
def records() -> None:
    """Create, read, change and delete records: work, and all that it refers to."""


@records.command(
    examples="""
    lockside records create work-order title="Fix pump" vendor="Acme Lifts"
    lockside records create work-order-line work_order=17 description="New seal" quantity=2
    lockside records create site name="Harbor Mall" latitude=52.5 longitude=13.4 radius_m=200
    """,
)
@_RESOURCE_TYPE
@click.argument("values", nargs=-1, metavar="FIELD=VALUE...")
@click.pass_obj
def create(invocation: Invocation, *, resource_type: str, values: Sequence[str]) -> None:
    """Create a record; work begins in its first state.

    RESOURCE_TYPE is work or what it refers to, such as work-order or vendor. A field of another
    record, such as vendor, takes its name or its id.
    """
    fields = _values(invocation, values)
    with invocation.connect() as site:
        record = site.records(resource_type).create(**fields)
    if invocation.output.as_json:
        invocation.output.json(record)
        return
    invocation.output.say(f"Created {resource_type} {record['id']}.")
    print_warnings(invocation.output, record)


@records.command(
    examples="""
    lockside records show work-order 17
    lockside records show work-order 17 --names
    """,
)
@_RESOURCE_TYPE
@_ID
@_NAMES
@click.pass_obj
def show(invocation: Invocation, *, resource_type: str, row_id: str, names: bool) -> None:
    """Show a record with its children and, for work, its warnings."""
    with invocation.connect() as site:
        record = site.records(resource_type).get(read_id(row_id), names=names)
    if invocation.output.as_json:
        invocation.output.json(record)
    else:
        print_record(invocation.output, record)


@records.command(
    "list",
    examples="""
    lockside records list ticket --state OPEN --limit 50
    lockside records list work-order --state SUBMITTED --ids --limit 1000
    lockside records list task --where 'due_at < now and assigned_to_user="Grace Wu"'
    """,
)
@_RESOURCE_TYPE
@click.option(
    "--state",
    metavar="STATE",
    help="Only work of this state, in any case.",
    shell_complete=complete_states,
)
@where_option
@click.option(
    "--after", type=click.IntRange(0), default=0, metavar="ID", help="Begin behind this id."
)
@click.option(
    "--limit",
    type=click.IntRange(1, MOST_LISTED),
    default=50,
    show_default=True,
    metavar="N",
    help="At most so many.",
)
@click.option("--ids", "only_ids", is_flag=True, help="Print only ids, one a line, for a pipe.")
@_NAMES
@click.pass_obj
def list_them(
    invocation: Invocation,
    /,
    *,
    resource_type: str,
    state: str | None,
    limit: int,
    only_ids: bool,
    **selection: Any,
) -> None:
    """List records in the order of their ids."""
    output = invocation.output
    with invocation.connect() as site:
        matching = _rows(site.records(resource_type), limit + 1, state=state, **selection)
        rows = _Counted(islice(matching, limit))
        if output.as_json:
            output.json_list((row["id"] for row in rows) if only_ids else rows)
            return
        if only_ids:
            output.lines(str(row["id"]) for row in rows)
        else:
            print_list(output, list(rows))
        is_more = next(matching, None) is not None
    if not rows.count:
        output.note(f"No {resource_type} here{f' in {state.upper()}' if state else ''}.")
    if is_more:
        output.note(f"There are more: --after {rows.last_id}, or a larger --limit.", "dim")


@records.command(
    examples="""
    lockside records update task 17 remarks="Key at reception" --expected-version 3
    lockside records update ticket 42 description=
    """,
)
@_RESOURCE_TYPE
@_ID
@click.argument("values", nargs=-1, required=True, metavar="FIELD=VALUE...")
@_VERSION
@click.pass_obj
def update(
    invocation: Invocation,
    *,
    resource_type: str,
    row_id: str,
    values: Sequence[str],
    expected_version: int | None,
) -> None:
    """Change fields of a record; with nothing behind its = a field becomes empty."""
    fields = _values(invocation, values)
    with invocation.connect() as site:
        now = site.records(resource_type).update(
            read_id(row_id), expected_version=expected_version, **fields
        )
    if invocation.output.as_json:
        invocation.output.json(now)
        return
    invocation.output.say(f"{resource_type} {now['id']} is at version {now['version']}.")
    print_warnings(invocation.output, now)


@records.command(
    examples="""
    lockside records delete ticket 42 --expected-version 3
    """,
)
@_RESOURCE_TYPE
@_ID
@_VERSION
@click.pass_obj
def delete(
    invocation: Invocation, *, resource_type: str, row_id: str, expected_version: int | None
) -> None:
    """Delete a record; its history stays."""
    number = read_id(row_id)
    with invocation.connect() as site:
        version = site.records(resource_type).delete(number, expected_version=expected_version)
    if invocation.output.as_json:
        invocation.output.json({"id": number, "version": version})
    else:
        invocation.output.say(f"Deleted {resource_type} {number}.")


@records.command(
    examples="""
    lockside records history work-order 17
    """,
)
@_RESOURCE_TYPE
@_ID
@click.pass_obj
def history(invocation: Invocation, *, resource_type: str, row_id: str) -> None:
    """Show what happened to a record, done and refused, oldest first."""
    number = read_id(row_id)
    with invocation.connect() as site:
        trail = site.timeline(resource_type, number)
        if not trail:
            site.records(resource_type).get(number)  # raises NotFound if it doesn't exist
        if invocation.output.as_json:
            invocation.output.json(trail)
        elif trail:
            print_trail(invocation.output, trail)
        else:
            invocation.output.note("Its records aren't written yet; they will be in a moment.")


class _Counted:
    """Iterates over rows, and keeps how many there were and the id of the last one."""

    def __init__(self, rows: Iterable[dict[str, Any]]) -> None:
        self._rows = rows
        self.count = 0
        self.last_id = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for row in self._rows:
            self.count += 1
            self.last_id = row["id"]
            yield row


def _values(invocation: Invocation, words: Sequence[str]) -> dict[str, str]:
    values = read_pairs(words, where="FIELD=VALUE", expected=_EXPECTED)
    if "expected_version" in values:
        got = f"expected_version={values['expected_version']}"
        expected = "a field; the version that you saw is the option --expected-version"
        raise InvalidInput(field="FIELD=VALUE", got=got, expected=expected)
    invocation.names |= {f"{name}_id": name for name in values}
    return values


def _rows(
    source: "Records", limit: int, *, after: int, **selection: Any
) -> Iterator[dict[str, Any]]:
    size = min(limit, _PAGE)
    while page := source.list(after=after, limit=size, **selection):
        yield from page
        if len(page) < size:
            return
        after = page[-1]["id"]
