"""`lockside explain` and `lockside check-machines`: what is possible, and why not more."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import rich_click as click

from cli.exits import DONE, SOME_FAILED
from cli.input.completion import complete_kinds, complete_states
from cli.input.ids import gather_ids, gather_rows, takes_ids, where_option
from cli.printing.output import Output, table
from cli.program.command import Command, Invocation, quieten


@click.command(
    cls=Command,
    examples="""
    lockside explain work-order 17
    lockside explain work-order 17 --to APPROVED
    lockside explain ticket 40 41 42 43 --to CLOSED --actor dora
    lockside explain work-order --to APPROVED --where 'state=SUBMITTED and due_at < +7d'
    lockside records list ticket --state OPEN --ids | lockside explain ticket --to CLOSED -
    """,
)
@click.argument("kind", shell_complete=complete_kinds)
@takes_ids
@where_option
@click.option(
    "--to",
    metavar="STATE",
    help="Only this target; needed for more than one id, and for --where.",
    shell_complete=complete_states,
)
@click.pass_obj
def explain(
    invocation: Invocation,
    *,
    kind: str,
    ids: Sequence[str],
    ids_file: Path | None,
    where: str | None,
    to: str | None,
) -> None:
    """Say what blocks a transition: every reason for one row, counts for many.

    Comments count as missing, so that it shows where they will be wanted. A dash reads IDS from
    standard input.
    """
    given = gather_ids(ids, ids_file) if where is None else gather_rows(ids, ids_file, where)
    # Whoever chooses by a filter asks for counts, however few it matches.
    is_one = given is not None and len(given) == 1
    with invocation.connect() as site:
        rows = site.ids(kind, where=where) if given is None else given
        told = site.explain(kind, rows[0] if is_one else rows, to=to)
    if invocation.output.as_json:
        invocation.output.json(told)
    elif is_one:
        print_row(invocation.output, told)
    else:
        _print_selection(invocation.output, told)


def print_row(output: Output, told: Mapping[str, Any]) -> None:
    """Print what `Site.explain` told of one row."""
    output.say(f"{told['kind']} {told['id']} is {told['state']}, version {told['version']}.")
    if told["already_there"]:
        output.say("It is there already: submitting it would leave it as it is.")
        return
    if not told["transitions"]:
        output.say(f"{told['state']} is final: nothing leads on from it.")
        return
    shown = table("to", "verb", "may", "why not")
    for each in told["transitions"]:
        why = "\n".join(f"{reason['code']}: {reason['message']}" for reason in each["reasons"])
        shown.add_row(each["to"], each["verb"] or "", "yes" if each["allowed"] else "no", why)
    output.say(shown)


def _print_selection(output: Output, told: Mapping[str, Any]) -> None:
    output.say(
        f"{told['allowed']:,} of {told['total']:,} may go to {told['to']}; "
        f"{told['already_there']:,} are there already."
    )
    if told["blocked_by"]:
        shown = table("blocked", "code", "why", right=("blocked",))
        for each in told["blocked_by"]:
            shown.add_row(f"{each['items']:,}", each["code"], each["message"])
        output.say(shown)


@click.command(
    "check-machines",
    cls=Command,
    examples="""
    lockside check-machines
    """,
)
@click.pass_obj
def check_machines(invocation: Invocation) -> int:
    """Prove each machine: every state reachable, no trap, every final state meant."""
    from lockside.session import machines

    quieten()
    checked = machines.check_machines()
    if invocation.output.as_json:
        invocation.output.json(checked)
    else:
        shown = table("kind", "states", "arrows", "final", "verdict", right=("states", "arrows"))
        for each in checked:
            verdict = "; ".join(each["faults"]) or "sound"
            shown.add_row(
                each["kind"],
                f"{each['states']}",
                f"{each['arrows']}",
                ", ".join(each["final"]),
                verdict,
            )
        invocation.output.say(shown)
    return SOME_FAILED if any(each["faults"] for each in checked) else DONE
