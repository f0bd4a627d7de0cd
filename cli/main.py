"""The program `lockside`: every command, and where it begins."""

import rich_click as click

from cli.commands.audit import audit
from cli.commands.autoclose import autoclose
from cli.commands.demo import demo
from cli.commands.explain import check_machines, explain
from cli.commands.import_export import export, import_file
from cli.commands.operations import operations
from cli.commands.records import records
from cli.commands.server import db, doctor, seed, up
from cli.commands.submit import submit
from cli.commands.tenants import tenants
from cli.exits import MEANINGS
from cli.program.command import Group

_EXIT_CODES = (
    f"{', '.join(f'{code} {meaning}' for code, meaning in MEANINGS.items())}. Work of one item "
    "ends with the code of that item's own reason; work of several with 3, whether some of them "
    "failed, all of them, or all was rolled back."
)


@click.group(
    cls=Group,
    examples="""
    lockside demo          # see it work, in a minute
    lockside up            # keep everything running here
    lockside seed          # fill it with all four kinds of work
    lockside records list work-order --state SUBMITTED
    lockside explain work-order 17
    lockside submit approve work-order 17 18 19
    eval "$(_LOCKSIDE_COMPLETE=bash_source lockside)"   # TAB; or zsh_source
    """,
    epilog=f"Exit codes: {_EXIT_CODES}",
)
@click.version_option(package_name="lockside")
def lockside() -> None:
    """Move facility work through its states in bulk.

    Never illegally, never twice, never unrecorded; one row or a hundred thousand.
    """


for command in (
    *(up, demo, seed, doctor, db, check_machines),
    *(submit, operations, explain, records, tenants, import_file, export, autoclose, audit),
):
    lockside.add_command(command)


def main() -> None:
    """Run the program."""
    lockside()
