"""Confirmation: ask before many rows are changed, if the program runs at a terminal."""

import sys

import rich_click as click

from cli.printing.output import Output
from domain.errors import InvalidInput

ASK_ABOVE = 1000
"""More rows than these need a confirmation at a terminal."""

yes_option = click.option(
    "--yes",
    is_flag=True,
    help=f"Don't ask before more than {ASK_ABOVE:,} rows. At a terminal that is asked, and refused "
    "where nobody can answer, for standard input is a pipe; scripts without a terminal, and "
    "--json, go on.",
)


def is_asked(output: Output, *, yes: bool) -> bool:
    """Say whether many rows need a confirmation: at a terminal, without --yes and --json."""
    is_there = any(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
    return is_there and not yes and not output.as_json


def is_meant(total: int, kind: str, question: str) -> bool:
    """Ask whether so many rows are meant; up to `ASK_ABOVE` the answer is yes.

    Args:
        total: How many rows.
        kind: The kind of work.
        question: The question, with `{rows}` in it.

    Raises:
        InvalidInput: There are many rows, and nobody can be asked.
    """
    if total <= ASK_ABOVE:
        return True
    rows = f"{total:,} rows of {kind}"
    if sys.stdin.isatty() and (sys.stdout.isatty() or sys.stderr.isatty()):
        return click.confirm(question.format(rows=rows), err=sys.stderr.isatty())
    raise InvalidInput(
        field="ids",
        got=rows,
        expected=f"at most {ASK_ABOVE:,} where nobody can be asked, or --yes",
    )
