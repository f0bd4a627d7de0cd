"""`lockside records`: one record created, shown, listed, changed, deleted; what happened to it."""

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

if TYPE_CHECKING:
    from lockside.session.records import Records

_PAGE = 1000
_MOST = 1_000_000
_EXPECTED = "FIELD=VALUE such as title=Pump; FIELD= empties one"

_RESOURCE_TYPE = click.argument("resource_type", shell_complete=complete_resource_types)
_ID = click.argument("row_id", metavar="ID")
_NAMES = click.option(
    "--names", is_flag=True, help="Tell other records by their name, not their id."
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

    NOUN is work or what it refers to, such as work-order or vendor. A field of another record,
    such as vendor, takes its name or its id.
    """
    given = _values(invocation, values)
    with invocation.connect() as site:
        made = site.records(resource_type).create(**given)
    if invocation.output.as_json:
        invocation.output.json(made)
        return
    invocation.output.say(f"Created {resource_type} {made['id']}.")
    print_warnings(invocation.output, made)


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
    """Show a record with its parts and, of work, its warnings."""
    with invocation.connect() as site:
        found = site.records(resource_type).get(read_id(row_id), names=names)
    if invocation.output.as_json:
        invocation.output.json(found)
    else:
        print_record(invocation.output, found)


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
    type=click.IntRange(1, _MOST),
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
    **asked: Any,
) -> None:
    """List records in the order of their ids."""
    output = invocation.output
    with invocation.connect() as site:
        found = _pages(site.records(resource_type), limit + 1, state=state, **asked)
        rows = _Counted(islice(found, limit))
        if output.as_json:
            output.json_list((each["id"] for each in rows) if only_ids else rows)
            return
        if only_ids:
            output.lines(str(each["id"]) for each in rows)
        else:
            print_list(output, list(rows))
        is_more = next(found, None) is not None
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
    given = _values(invocation, values)
    with invocation.connect() as site:
        now = site.records(resource_type).update(
            read_id(row_id), expected_version=expected_version, **given
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
            site.records(resource_type).get(number)  # refused, if it isn't there
        if invocation.output.as_json:
            invocation.output.json(trail)
        elif trail:
            print_trail(invocation.output, trail)
        else:
            invocation.output.note("Its records aren't written yet; they will be in a moment.")


class _Counted:
    """Passes rows on, and knows how many there were and the id of the last."""

    def __init__(self, rows: Iterable[dict[str, Any]]) -> None:
        self._rows = rows
        self.count = 0
        self.last_id = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for each in self._rows:
            self.count += 1
            self.last_id = each["id"]
            yield each


def _values(invocation: Invocation, words: Sequence[str]) -> dict[str, str]:
    values = read_pairs(words, where="FIELD=VALUE", expected=_EXPECTED)
    if "expected_version" in values:
        got = f"expected_version={values['expected_version']}"
        expected = "a field; the version that you saw is the option --expected-version"
        raise InvalidInput(field="FIELD=VALUE", got=got, expected=expected)
    invocation.names |= {f"{name}_id": name for name in values}
    return values


def _pages(known: "Records", limit: int, *, after: int, **asked: Any) -> Iterator[dict[str, Any]]:
    size = min(limit, _PAGE)
    while page := known.list(after=after, limit=size, **asked):
        yield from page
        if len(page) < size:
            return
        after = page[-1]["id"]
