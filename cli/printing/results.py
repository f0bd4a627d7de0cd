"""Results: print the result of an operation for people, and return its exit code."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.text import Text

from cli.exits import exit_code_of_result
from cli.printing.output import Output, table

if TYPE_CHECKING:
    import lockside

_EXAMPLES = 3

_HEADLINES = {
    "SUCCEEDED": ("Done", "bold green"),
    "COMPLETED_WITH_ERRORS": ("Done with errors", "bold yellow"),
    "ROLLED_BACK": ("Nothing was changed", "bold red"),
    "CANCELLED": ("Cancelled", "bold yellow"),
    "FAILED": ("The operation itself could not run", "bold red"),
}
_DRY_RUN = ("Dry run", "bold cyan")

_COUNTED = {
    "successful_items": ("succeeded", "would succeed"),
    "skipped_items": ("skipped", "would be skipped"),
    "failed_items": ("failed", "would fail"),
    "cancelled_items": ("not done", "not judged"),
}


def print_result(
    output: Output,
    operation: "lockside.Operation",
    result: Mapping[str, Any],
    *,
    was_done: bool = False,
    is_kept: bool = True,
) -> int:
    """Print an ended operation's result; return the exit code for it.

    Args:
        output: Where to print.
        operation: The operation, which has ended.
        result: Its result.
        was_done: Whether an earlier request with the same key had done it already.
        is_kept: Whether the operation can be read later.
    """
    if output.as_json:
        output.json(result)
        return exit_code_of_result(result)
    is_dry = operation.show()["dry_run"]
    if result["total_items"] == 1 and result["failure_details"]:
        _print_refusal(output, result, is_dry=is_dry, was_done=was_done)
    else:
        output.say(_headline(result, is_dry=is_dry, was_done=was_done))
        for warning in result["warnings"]:
            output.say(f"  {warning}.", "yellow")
        if result["rollback_reason"]:
            output.say(f"  {result['rollback_reason']}.")
        lines = 0
        if result["failed_items"]:
            lines = print_failures(output, operation, is_kept=is_kept)
        if is_kept:
            _print_next(output, operation, result, lines=lines, is_dry=is_dry)
    if is_kept:
        output.say(f"Operation {operation.id}", "dim")
    return exit_code_of_result(result)


def _print_next(
    output: Output,
    operation: "lockside.Operation",
    result: Mapping[str, Any],
    *,
    lines: int,
    is_dry: bool,
) -> None:
    if lines:
        what = f"{lines:,} {'lines' if lines > 1 else 'line'} of the file"
        command = f"lockside operations results {operation.id} --failed --csv"
        output.say(f"Mend {what}, and send it again: {command}")
    if is_dry and result["failed_items"] and operation.show()["atomic"]:
        output.say("Mend them, or ask with --continue for what can be done.")
    elif operation.show()["by_clock"]:
        return
    elif is_dry and result["successful_items"]:
        output.say(f"Do what can be done: lockside submit plan {operation.id}")
    elif not is_dry and result["failed_items"] > lines:
        output.say(f"Mend them, then: lockside operations retry {operation.id}")


def _print_refusal(
    output: Output, result: Mapping[str, Any], *, is_dry: bool, was_done: bool
) -> None:
    ((row_id, sentence),) = result["failure_details"].items()
    (code,) = result["failure_codes"]
    headline = "Would be refused" if is_dry else "Refused before" if was_done else "Refused"
    output.say(Text.assemble((headline, "bold red"), f": {row_id}: {sentence} ({code})."))


def print_failures(output: Output, operation: "lockside.Operation", *, is_kept: bool = True) -> int:
    """Print how many items failed with each code, with a sentence and some ids.

    Returns:
        How many of them are lines of a file without a row.
    """
    shown = table("failed", "code", "for example", "ids", right=("failed",))
    failed = lines = 0
    for group in operation.failure_groups(examples=_EXAMPLES):
        failed += group["items"]
        lines += group["lines"]
        ids = " ".join(group["ids"]) + (" …" if group["items"] > _EXAMPLES else "")
        shown.add_row(f"{group['items']:,}", group["code"], group["message"], ids)
    output.say()
    output.say(shown)
    if failed > _EXAMPLES and is_kept:
        output.say(f"\nAll of them: lockside operations results {operation.id} --failed")
    return lines


def _headline(result: Mapping[str, Any], *, is_dry: bool, was_done: bool) -> Text:
    headline, style = _DRY_RUN if is_dry else _HEADLINES[result["state"]]
    if was_done:
        is_plain = not is_dry and result["state"] == "SUCCEEDED"
        headline = "Already done" if is_plain else f"{headline}, before"
    counts = ", ".join(
        f"{result[name]:,} {words[is_dry]}" for name, words in _COUNTED.items() if result.get(name)
    )
    of_all = f": {counts} of {result['total_items']:,}{_time(result)}."
    return Text.assemble((headline, style), of_all)


def _time(result: Mapping[str, Any]) -> str:
    seconds = result["execution_time_ms"] / 1000
    rate = f", {result['total_items'] / seconds:,.0f} a second" if seconds > 1 else ""
    return f" in {seconds:.2f} s{rate}"
