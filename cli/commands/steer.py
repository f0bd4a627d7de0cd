"""Steering: pause, resume and cancel operations, and submit their retries, undos and plans."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import rich_click as click

from cli.exits import CANCELLED, DONE
from cli.input.confirmation import is_asked, is_meant, yes_option
from cli.input.options import timeout_option
from cli.printing.output import counts_text
from cli.printing.progress import watch
from cli.printing.results import print_result
from cli.program.command import Command, Invocation

if TYPE_CHECKING:
    import lockside

_ID = click.argument("operation_id", metavar="ID")
_WAIT = click.option(
    "--wait/--detach", default=True, show_default=True, help="Wait for the end, or only submit."
)


@click.command(
    cls=Command,
    examples="""
    lockside operations cancel ID
    """,
)
@_ID
@click.pass_obj
def cancel(invocation: Invocation, *, operation_id: str) -> int:
    """Cancel what has not begun; what is being changed right now ends as it is.

    Whoever submitted it may, and whoever holds the permission operation.cancel.
    """
    return _steer(invocation, operation_id, lambda operation: operation.cancel())


@click.command(
    cls=Command,
    examples="""
    lockside operations pause ID
    """,
)
@_ID
@click.pass_obj
def pause(invocation: Invocation, *, operation_id: str) -> int:
    """Let what waits go on waiting; what is being changed right now ends as it is.

    Whoever submitted it may, and whoever holds the permission operation.pause.
    """
    return _steer(invocation, operation_id, lambda operation: operation.pause())


@click.command(
    cls=Command,
    examples="""
    lockside operations resume ID
    lockside operations resume ID --rate 200
    """,
)
@_ID
@click.option("--rate", type=float, metavar="N", help="At most N items a second from now on.")
@click.pass_obj
def resume(invocation: Invocation, *, operation_id: str, rate: float | None) -> int:
    """Let a paused operation go on, after its canary too.

    Whoever submitted it may, and whoever holds the permission operation.resume.
    """
    return _steer(invocation, operation_id, lambda operation: operation.resume(rate=rate))


@click.command(
    cls=Command,
    examples="""
    lockside operations retry ID
    lockside operations retry ID --only vendor_missing
    """,
)
@_ID
@click.option("--only", metavar="CODE", help="Only what failed by this code.")
@_WAIT
@timeout_option
@yes_option
@click.pass_obj
def retry(invocation: Invocation, /, *, only: str | None, **options: Any) -> int:
    """Try again what failed, as a new operation; once for each code, however often it is asked.

    What --only has taken is not tried once more without it. A conflict stays one; --only
    concurrency_conflict takes such rows as they are now.
    """
    return _submit_follow_up(
        invocation,
        lambda operation: operation.retry(only=only),
        lambda operation: _count_to_retry(operation, only),
        "Try {rows} again?",
        **options,
    )


@click.command(
    cls=Command,
    examples="""
    lockside operations undo ID
    """,
)
@_ID
@_WAIT
@timeout_option
@yes_option
@click.pass_obj
def undo(invocation: Invocation, /, **options: Any) -> int:
    """Take back what an operation did, row by row, where nobody changed it since.

    What was changed since is left alone and reported as a conflict. Whoever submitted it may, and
    whoever holds the permission operation.undo.
    """
    return _submit_follow_up(
        invocation, lambda operation: operation.undo(), _succeeded, "Take back {rows}?", **options
    )


@click.command(
    cls=Command,
    examples="""
    lockside submit approve work-order --where 'state=SUBMITTED' --continue --dry-run
    lockside submit plan ID
    """,
)
@_ID
@_WAIT
@timeout_option
@yes_option
@click.pass_obj
def plan(invocation: Invocation, /, **options: Any) -> int:
    """Do what a dry run found that can be done; ID is the dry run's.

    Each row is judged again: what has changed since the dry run is a conflict, what it saw fail
    is left out. All or nothing leaves nothing out: it is refused if the dry run saw one fail. A
    plan is executed once, however often it is asked for, with the canary and the rate that the dry
    run was submitted with.
    """
    return _submit_follow_up(
        invocation,
        lambda operation: operation.execute(),
        _succeeded,
        "Do {rows} as planned?",
        **options,
    )


def _steer(
    invocation: Invocation, operation_id: str, steer: "Callable[[lockside.Operation], None]"
) -> int:
    with invocation.connect() as site:
        operation = site.operation(operation_id)
        steer(operation)
        stored = operation.show()
    if invocation.output.as_json:
        invocation.output.json(stored)
    else:
        invocation.output.say(f"{stored['state']}: {counts_text(stored['counts'])}")
    return DONE


def _submit_follow_up(
    invocation: Invocation,
    submit: "Callable[[lockside.Operation], lockside.Operation]",
    count: "Callable[[lockside.Operation], int]",
    question: str,
    *,
    operation_id: str,
    wait: bool,
    timeout: float,
    yes: bool,
) -> int:
    output = invocation.output
    with invocation.connect() as site:
        parent = site.operation(operation_id)
        if is_asked(invocation.output, yes=yes) and not is_meant(
            count(parent), parent.show()["kind"], question
        ):
            output.note("Nothing was submitted.")
            return CANCELLED
        operation = submit(parent)
        if wait:
            result = watch(site, operation, output, within_s=timeout)
            return print_result(output, operation, result)
    if output.as_json:
        output.json({"operation_id": operation.id})
    else:
        output.say(operation.id)
        output.note(f"Submitted. Watch it with `lockside operations watch {operation.id}`.")
    return DONE


def _succeeded(parent: "lockside.Operation") -> int:
    return int(parent.show()["counts"]["succeeded"])


def _count_to_retry(parent: "lockside.Operation", only: str | None) -> int:
    if only is not None:
        groups = parent.failure_groups()
        return sum(group["items"] for group in groups if group["code"] == only)
    stored = parent.show()
    tried = {group["purpose"] for group in stored["children"]}
    groups = [group for group in parent.failure_groups() if f"retry:{group['code']}" in tried]
    counts = stored["counts"]
    taken = sum(group["items"] for group in groups)
    return int(counts["failed"] + counts["cancelled"] - taken)
