"""The program `lockside`: its commands and its entry point."""

import gc
from importlib import import_module

import rich_click as click

from cli.exits import MEANINGS
from cli.program.command import Group

_COMMANDS = {
    "up": "server.up",
    "demo": "demo.demo",
    "seed": "server.seed",
    "doctor": "server.doctor",
    "db": "server.db",
    "check-machines": "explain.check_machines",
    "submit": "submit.submit",
    "operations": "operations.operations",
    "explain": "explain.explain",
    "records": "records.records",
    "tenants": "tenants.tenants",
    "import": "import_export.import_file",
    "export": "import_export.export",
    "autoclose": "autoclose.autoclose",
    "audit": "audit.audit",
}
"""The place of each command below `cli.commands`, in the order in which the help lists them."""

_OBJECTS_BEFORE_COLLECTION = 100_000

_EXIT_CODES = (
    f"{', '.join(f'{code} {meaning}' for code, meaning in MEANINGS.items())}. Work of one item "
    "ends with the code of that item's own reason; work of several with 3, whether some of them "
    "failed, all of them, or all was rolled back."
)


class Program(Group):
    """The commands, each imported when it is called or shown."""

    def list_commands(self, _context: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(_COMMANDS)

    def get_command(self, _context: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name; None if there is none."""
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(".")
        command: click.Command = getattr(import_module(f"cli.commands.{module}"), name)
        return command


@click.group(
    cls=Program,
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


def main() -> None:
    """Run the program."""
    # Imported modules are never garbage: scanning them again and again took a fifth of the start.
    gc.set_threshold(_OBJECTS_BEFORE_COLLECTION, 20, 20)
    lockside()
