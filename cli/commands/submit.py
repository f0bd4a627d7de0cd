"""`lockside submit`: submit changes of rows as operations, and wait for them by default."""

from collections.abc import Sequence
from typing import Any

import rich_click as click

from cli.commands.steer import plan
from cli.input.completion import complete_kinds, complete_states, verbs
from cli.input.ids import takes_rows
from cli.input.name_value_pairs import read_pairs
from cli.input.options import read_request, submission_options
from cli.program.command import Command, Group, Invocation
from cli.program.submit_and_wait import submit_and_wait
from domain.errors import InvalidInput

_KIND = click.argument("kind", shell_complete=complete_kinds)


class _Submit(Group):
    """The named commands, and a shortcut for every verb of any machine."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Return the named commands, then the verbs."""
        names = super().list_commands(context)
        return names + [verb for verb in verbs() if verb not in names]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Return the command of a name or of a verb."""
        return super().get_command(context, name) or _shortcut(name)


@click.group(
    cls=_Submit,
    examples="""
    lockside submit approve work-order 17 18 19
    lockside submit transition ticket --to CLOSED --comments "Fixed" 17
    lockside submit assign ticket --team plumbing 40 41 42
    lockside records list work-order --state SUBMITTED --ids | lockside submit approve work-order -
    """,
    panels=[
        click.RichCommandPanel(
            "Commands", commands=["transition", "assign", "update", "update-priority", "plan"]
        ),
        click.RichCommandPanel("Shortcuts by verb", commands=list(verbs())),
    ],
)
def submit() -> None:
    """Submit work: one row or a hundred thousand, as one operation.

    Every verb of a kind of work is a command, too: `submit approve work-order` is `submit
    transition work-order --to APPROVED`.
    """


@submit.command(
    examples="""
    lockside submit transition work-order --to APPROVED 17 18 19
    lockside submit transition ticket --to RESOLVED --comments "Refitted" 42
    lockside submit transition ticket --to RESOLVED --from-csv done.csv --continue
    lockside submit transition task --to COMPLETED --from-ndjson round.ndjson --continue
    lockside submit transition work-order --to APPROVED --continue - < ids.txt
    lockside submit transition ticket --to OPEN --where 'state=NEW and priority=HIGH' --dry-run
    lockside submit transition task --to STANDBY --comments Rain --where 'site="Harbor Mall"' \
        --continue --canary 50 --rate 500
    lockside submit transition work-order --to CANCELLED --dry-run 17
    """,
)
@_KIND
@takes_rows
@click.option(
    "--to",
    "target",
    required=True,
    metavar="STATE",
    help="The target state, in any case.",
    shell_complete=complete_states,
)
@submission_options
@click.pass_obj
def transition(invocation: Invocation, /, *, target: str, **parameters: Any) -> int:
    """Move rows to another state, one or a hundred thousand of them.

    KIND is a kind of work such as work-order. IDS are numbers; a dash reads them from standard
    input. A filter compares fields: = != < <= > >=, in (A, B), contains, is empty, joined by and,
    or, not and parentheses; -7d is seven days ago. It chooses the rows once, now.
    """
    request = read_request(parameters)
    return submit_and_wait(
        invocation,
        request,
        f"Move {{rows}} to {target.upper()}?",
        lambda site: site.transition(request.kind, to=target, ids=request.ids, **request.options),
    )


@submit.command(
    examples="""
    lockside submit assign ticket --user tomas 17 18
    lockside submit assign task --team plumbing --ids-file tonight.txt
    lockside submit assign ticket --team plumbing --where 'state=OPEN and priority=HIGH'
    """,
)
@_KIND
@takes_rows
@click.option("--user", metavar="NAME|ID", help="Whose the rows become.")
@click.option("--team", metavar="NAME|ID", help="Which team's the rows become.")
@submission_options
@click.pass_obj
def assign(
    invocation: Invocation, /, *, user: str | None, team: str | None, **parameters: Any
) -> int:
    """Assign rows to a person, a team or both; what isn't given stays as it is.

    KIND is work that can be assigned. IDS are numbers; a dash reads them from standard input.
    """
    request = read_request(parameters)
    if user is None and team is None and "file" not in request.options:
        expected = "a person, a --team, or a file with a column for them"
        raise InvalidInput(field="assigned_to_user", got=None, expected=expected)
    return submit_and_wait(
        invocation,
        request,
        "Assign {rows}?",
        lambda site: site.assign(
            request.kind, request.ids, user=user, team=team, **request.options
        ),
    )


@submit.command(
    examples="""
    lockside submit update work-order --set vendor="Acme Lifts" --set due_at=2026-12-01T00:00Z 17 18
    lockside submit update ticket --set description= --continue 40 41 42
    lockside submit update work-order --from-csv mended.csv --continue
    """,
)
@_KIND
@takes_rows
@click.option(
    "--set",
    "values",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Write a value to a field, or with nothing behind the = empty it; once for each field.",
)
@submission_options
@click.pass_obj
def update(invocation: Invocation, /, *, values: Sequence[str], **parameters: Any) -> int:
    """Write the same values to rows; a field of a record such as vendor takes its name or id.

    KIND is a kind of work such as work-order. IDS are numbers; a dash reads them from standard
    input.
    """
    pairs = read_pairs(values, where="--set", expected="FIELD=VALUE such as remarks=Checked")
    invocation.names |= {field: f"--set {name}" for name in pairs for field in (name, f"{name}_id")}
    request = read_request(parameters)
    if not pairs and "file" not in request.options:
        expected = "FIELD=VALUE at least once, or a file with columns for them"
        raise InvalidInput(field="--set", got=None, expected=expected)
    return submit_and_wait(
        invocation,
        request,
        "Update {rows}?",
        lambda site: site.update(request.kind, request.ids, pairs or None, **request.options),
    )


@submit.command(
    examples="""
    lockside submit update-priority ticket --priority HIGH 17 18
    """,
)
@_KIND
@takes_rows
@click.option("--priority", required=True, metavar="PRIORITY", help="In any case.")
@submission_options
@click.pass_obj
def update_priority(invocation: Invocation, /, *, priority: str, **parameters: Any) -> int:
    """Give rows another priority.

    KIND is work that has one. IDS are numbers; a dash reads them from standard input.
    """
    request = read_request(parameters)
    return submit_and_wait(
        invocation,
        request,
        f"Give {{rows}} the priority {priority.upper()}?",
        lambda site: site.update(
            request.kind, request.ids, {"priority": priority}, **request.options
        ),
    )


submit.add_command(plan)


def _shortcut(verb: str) -> click.Command | None:
    """Return the command for a verb, if any machine has it."""
    targets = verbs().get(verb)
    if targets is None:
        return None
    rows_and_state = _rows_and_state(targets)
    kind = next(iter(targets))

    @click.command(
        verb,
        cls=Command,
        help=f"Move {rows_and_state}.\n\nKIND is {' or '.join(targets)}. IDS are numbers; a dash "
        "reads them from standard input.",
        examples=f"""
        lockside submit {verb} {kind} 17 18 19
        lockside submit {verb} {kind} --dry-run --ids-file ids.txt
        """,
    )
    @_KIND
    @takes_rows
    @submission_options
    @click.pass_obj
    def perform(invocation: Invocation, /, **parameters: Any) -> int:
        request = read_request(parameters)
        return submit_and_wait(
            invocation,
            request,
            f"{verb.capitalize()} {{rows}}?",
            lambda site: site.perform(request.kind, verb, request.ids, **request.options),
        )

    return perform


def _rows_and_state(targets: dict[str, str]) -> str:
    """Return the kinds and the target of a verb, as in `task or ticket to INPROGRESS`."""
    kinds: dict[str, list[str]] = {}
    for kind, target in targets.items():
        kinds.setdefault(target, []).append(kind)
    return ", ".join(f"{' or '.join(names)} to {target}" for target, names in kinds.items())
