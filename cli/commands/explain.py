"""`lockside explain` and `check-machines`: explain refused transitions, check the machines."""

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
    chosen = gather_ids(ids, ids_file) if where is None else gather_rows(ids, ids_file, where)
    # A filter always gives counts, even if it matches a single row.
    is_one = chosen is not None and len(chosen) == 1
    with invocation.connect() as site:
        rows = site.ids(kind, where=where) if chosen is None else chosen
        explanation = site.explain(kind, rows[0] if is_one else rows, to=to)
    if invocation.output.as_json:
        invocation.output.json(explanation)
    elif is_one:
        print_row(invocation.output, explanation)
    else:
        _print_selection(invocation.output, explanation)


def print_row(output: Output, explanation: Mapping[str, Any]) -> None:
    """Print what `Session.explain` returned for one row."""
    row, state = f"{explanation['kind']} {explanation['id']}", explanation["state"]
    output.say(f"{row} is {state}, version {explanation['version']}.")
    if explanation["already_there"]:
        output.say("It is there already: submitting it would leave it as it is.")
        return
    if not explanation["transitions"]:
        output.say(f"No transition leads on from {state}.")
        return
    shown = table("to", "verb", "may", "why not")
    for arrow in explanation["transitions"]:
        why = "\n".join(f"{reason['code']}: {reason['message']}" for reason in arrow["reasons"])
        shown.add_row(arrow["to"], arrow["verb"] or "", "yes" if arrow["allowed"] else "no", why)
    output.say(shown)


def _print_selection(output: Output, explanation: Mapping[str, Any]) -> None:
    output.say(
        f"{explanation['allowed']:,} of {explanation['total']:,} may go to {explanation['to']}; "
        f"{explanation['already_there']:,} are there already."
    )
    if explanation["blocked_by"]:
        shown = table("blocked", "code", "why", right=("blocked",))
        for group in explanation["blocked_by"]:
            shown.add_row(f"{group['items']:,}", group["code"], group["message"])
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
        for machine in checked:
            verdict = "; ".join(machine["faults"]) or "sound"
            shown.add_row(
                machine["kind"],
                f"{machine['states']}",
                f"{machine['arrows']}",
                ", ".join(machine["final"]),
                verdict,
            )
        invocation.output.say(shown)
    return SOME_FAILED if any(machine["faults"] for machine in checked) else DONE
