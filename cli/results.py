"""How the outcome of an operation looks to people."""

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from rich.text import Text

from cli.exits import exit_code_of_result
from cli.output import Output, table

if TYPE_CHECKING:
    import lockside

_LOOKED_AT = 5_000
_EXAMPLES = 3

_TOLD = {
    "SUCCEEDED": ("Done", "bold green"),
    "COMPLETED_WITH_ERRORS": ("Done with errors", "bold yellow"),
    "ROLLED_BACK": ("Nothing was changed", "bold red"),
    "CANCELLED": ("Cancelled", "bold yellow"),
    "FAILED": ("The operation itself could not run", "bold red"),
}


def print_result(output: Output, operation: "lockside.Operation", result: Mapping[str, Any]) -> int:
    """Print an ended operation's result; return the exit code for it."""
    if output.as_json:
        output.json(result)
    elif result["total_items"] == 1 and result["failure_details"]:
        _print_refusal(output, result)
    else:
        output.say(_headline(result))
        for warning in result["warnings"]:
            output.say(f"  {warning}.", "yellow")
        if result["rollback_reason"]:
            output.say(f"  {result['rollback_reason']}.")
        if result["failed_items"]:
            print_failures(output, operation, result)
        output.say(f"Operation {operation.id}", "dim")
    return exit_code_of_result(result)


def _print_refusal(output: Output, result: Mapping[str, Any]) -> None:
    ((row_id, sentence),) = result["failure_details"].items()
    (code,) = result["failure_codes"]
    output.say(Text.assemble(("Refused", "bold red"), f": {row_id}: {sentence} ({code})."))
    output.say(f"Operation {result['operation_id']}", "dim")


def print_failures(
    output: Output, operation: "lockside.Operation", result: Mapping[str, Any]
) -> None:
    """Print how many items failed for which reason, each with its sentence and some ids."""
    sentences: dict[str, str] = {}
    ids: dict[str, list[str]] = {}
    for each in islice(operation.failures(), _LOOKED_AT):
        sentences.setdefault(each.code, each.message)
        ids.setdefault(each.code, []).append(str(each.id))
    shown = table("failed", "code", "for example", "ids", right=("failed",))
    most_first = sorted(result["failure_codes"].items(), key=lambda each: -each[1])
    for code, items in most_first:
        named = ids.get(code, [])
        more = " …" if items > _EXAMPLES else ""
        shown.add_row(
            f"{items:,}", code, sentences.get(code, ""), " ".join(named[:_EXAMPLES]) + more
        )
    output.say()
    output.say(shown)
    if result["failed_items"] > _EXAMPLES:
        output.say(f"\nAll of them: lockside operations results {operation.id} --failed")


def _headline(result: Mapping[str, Any]) -> Text:
    told, style = _TOLD[result["state"]]
    seconds = result["execution_time_ms"] / 1000
    rate = f", {result['total_items'] / seconds:,.0f} a second" if seconds > 1 else ""
    counts = ", ".join(
        f"{result[name]:,} {word}"
        for name, word in (
            ("successful_items", "succeeded"),
            ("skipped_items", "skipped"),
            ("failed_items", "failed"),
            ("cancelled_items", "not done"),
        )
        if result.get(name)
    )
    return Text.assemble(
        (told, style), f": {counts} of {result['total_items']:,} in {seconds:.2f} s{rate}."
    )
