"""Submitting: ask for confirmation of many rows, submit, wait for the end and print the result."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cli.exits import CANCELLED, DONE
from cli.input.confirmation import ASK_ABOVE, is_asked, is_meant
from cli.input.options import SubmitRequest
from cli.printing.output import format_time
from cli.printing.progress import watch
from cli.printing.results import print_result
from cli.program.command import Invocation

if TYPE_CHECKING:
    import lockside


def submit_and_wait(
    invocation: Invocation,
    request: SubmitRequest,
    question: str,
    submit: "Callable[[lockside.Session], lockside.Operation]",
) -> int:
    """Submit a request and, if it says so, wait for its end; return the exit code.

    Args:
        invocation: The call, with its actor and output.
        request: The rows, and whether and how long to wait.
        question: The question before many rows are changed, with `{rows}` in it.
        submit: Submits the request.

    Raises:
        InvalidInput: There are many rows, and standard input is no terminal to ask at.
        GoesOn: The time to wait is over, or Ctrl-C was pressed.
    """
    output = invocation.output
    with invocation.connect() as site:
        if not _is_meant(invocation, site, request, question):
            output.note("Nothing was submitted.")
            return CANCELLED
        begun = time.monotonic()
        operation = submit(site)
        was_done = _was_done(invocation, request, operation, begun)
        due = request.options["run_at"]
        is_late = due is not None and due <= datetime.now(UTC)
        if is_late and not was_done:
            output.note(f"Its time, {format_time(due)}, is over: it begins at once.", "yellow")
        if request.wait:
            result = watch(site, operation, output, within_s=request.timeout_s)
            return print_result(output, operation, result, was_done=was_done)
    if output.as_json:
        output.json({"operation_id": operation.id})
    else:
        output.say(operation.id)
        later = f" for {format_time(due)}" if due and not is_late else ""
        submitted = f"Submitted{later}. Watch"
        sentence = "Already done. See" if was_done else submitted
        output.note(f"{sentence} it with `lockside operations watch {operation.id}`.")
    return DONE


def _is_meant(
    invocation: Invocation, site: "lockside.Session", request: SubmitRequest, question: str
) -> bool:
    where = request.options["where"]
    if request.ids is None and where is None:
        return True  # the rows of a file were chosen one by one
    if request.options["dry_run"] or not is_asked(invocation.output, yes=request.yes):
        return True
    total = len(request.ids or ()) if where is None else site.count(request.kind, where)
    if total > ASK_ABOVE and where is not None and request.options["expect_count"] is None:
        # If the filter matches other rows by then, nothing is changed.
        request.options["expect_count"] = total
    return is_meant(total, request.kind, question)


def _was_done(
    invocation: Invocation, request: SubmitRequest, operation: "lockside.Operation", begun: float
) -> bool:
    """Say whether an earlier request with the same idempotency key has done the work already."""
    if invocation.output.as_json or request.options["idempotency_key"] is None:
        return False
    if operation.age_s() <= time.monotonic() - begun:
        return False
    if operation.show()["finished_at"] is not None:
        return True
    invocation.output.note("Submitted before, under the same key; this is that operation.")
    return False
