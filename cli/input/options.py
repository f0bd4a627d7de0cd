"""What every `lockside submit` takes beside what it asks for: which rows, how, and how to wait."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isnan
from typing import Any

import rich_click as click

from cli.input.completion import complete_isolation_levels
from cli.input.confirmation import yes_option
from cli.input.ids import gather_rows
from domain.business_time.span import from_now
from domain.errors import InvalidInput

_TIME = "a time with its zone such as 2026-11-22T09:30:00Z, or a span from now such as +2h or +30m"


class Seconds(click.FloatRange):
    """A span of at least 0 seconds."""

    name = "seconds"

    def __init__(self) -> None:
        """Take everything from 0 on."""
        super().__init__(min=0)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number; what is none, such as `nan`, is refused."""
        try:
            is_number = not isnan(float(value))
        except ValueError:
            is_number = False
        if not is_number:
            self.fail(f"{value!r} is not a number of seconds.", param, ctx)
        return super().convert(value, param, ctx)


timeout_option = click.option(
    "--timeout",
    type=Seconds(),
    default=float("inf"),
    metavar="SECONDS",
    help="How long to wait; the work goes on afterwards.",
)

_OPTIONS = (
    click.option("--comments", help="Free text for the records; some transitions want it."),
    click.option("--metadata", metavar="JSON", help="An object for the records."),
    click.option("--approved-by", metavar="NAME", help="A manager who approves, if you are none."),
    click.option(
        "--atomic/--continue",
        default=True,
        show_default=True,
        help="All or nothing, or each item for itself.",
    ),
    click.option(
        "--stop-at-first-failure",
        is_flag=True,
        help="Leave undone what comes after the first failure; for --continue.",
    ),
    click.option("--dry-run", is_flag=True, help="Judge every item and change nothing."),
    click.option(
        "--run-at",
        metavar="TIME",
        help="Not before this time, with its zone, or +2h, +30m from now.",
    ),
    click.option(
        "--idempotency-key", metavar="KEY", help="The same key with the same request is done once."
    ),
    click.option(
        "--expected-version",
        type=int,
        metavar="N",
        help="Refuse if the row has another version; for one id.",
    ),
    click.option(
        "--chunk-size",
        "chunk_items",
        type=int,
        metavar="N",
        help="Items of one transaction; for --continue.",
    ),
    click.option("--parallel", type=int, metavar="N", help="So many chunks at a time."),
    click.option(
        "--canary",
        type=int,
        metavar="N",
        help="Do the first N, then pause until somebody resumes; for --continue.",
    ),
    click.option(
        "--rate",
        type=float,
        metavar="N",
        help="At most N items a second, over all workers; for --continue.",
    ),
    click.option(
        "--isolation",
        "isolation_level",
        metavar="LEVEL",
        default="read-committed",
        show_default=True,
        help="Or repeatable-read, or serializable.",
        shell_complete=complete_isolation_levels,
    ),
    click.option(
        "--lease",
        "lease_s",
        type=float,
        metavar="SECONDS",
        help="How long locks outlive a worker that died.",
    ),
    click.option(
        "--lock-wait",
        "wait_s",
        type=float,
        metavar="SECONDS",
        help="How long to wait for rows that others hold.",
    ),
    click.option(
        "--max-retries",
        type=int,
        metavar="N",
        help="How often a serialization failure or a deadlock is tried again.",
    ),
    click.option(
        "--wait/--detach",
        default=None,
        help="Wait for the end, or only hand in; waits by default, but not for --run-at.",
    ),
    timeout_option,
    yes_option,
)


def submission_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Let a command take the options of all submissions; `read_request` reads them."""
    for add in reversed(_OPTIONS):
        command = add(command)
    return command


@dataclass(frozen=True, slots=True)
class SubmitRequest:
    """What the shared words of a command line ask for.

    Attributes:
        kind: The kind of work, as it was typed.
        ids: The rows; None if a filter among the options chooses them.
        options: What goes with them to `Site.transition` and its like.
        wait: Whether to wait for the end.
        timeout_s: For how long.
        yes: Whether the answer to every question is yes.
    """

    kind: str
    ids: list[int] | None
    options: dict[str, Any]
    wait: bool
    timeout_s: float
    yes: bool


def read_request(given: Mapping[str, Any]) -> SubmitRequest:
    """Return what the shared arguments and options ask for, by the names of click.

    Raises:
        InvalidInput: One of them isn't understood.
    """
    options = dict(given)
    kind, wait, yes = (options.pop(name) for name in ("kind", "wait", "yes"))
    ids = _rows(options)
    timeout_s = options.pop("timeout")
    options["metadata"] = _metadata(options["metadata"])
    options["expected_versions"] = _expected(ids or (), options.pop("expected_version"))
    options["isolation_level"] = options["isolation_level"].replace("-", " ").upper()
    _check_key(options["idempotency_key"], options["run_at"])
    options["run_at"] = read_moment("run_at", options["run_at"])
    waits = options["run_at"] is None if wait is None else wait
    return SubmitRequest(kind, ids, options, waits, timeout_s, yes)


def _rows(options: dict[str, Any]) -> list[int] | None:
    files = {form: options.pop(f"from_{form}") for form in ("csv", "ndjson")}
    ids = gather_rows(
        options.pop("ids"), options.pop("ids_file"), options["where"], *files.values()
    )
    for form, file in files.items():
        if file is not None:
            options |= {"file": file, "form": form}
    return ids


def _metadata(text: str | None) -> dict[str, Any]:
    expected = """a JSON object such as {"batch": "Q4"}"""
    if text is None:
        return {}
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InvalidInput(field="metadata", got=text, expected=f"{expected} ({error})") from error
    if not isinstance(value, dict):
        raise InvalidInput(field="metadata", got=text, expected=expected)
    return value


def _expected(ids: Sequence[int], version: int | None) -> dict[int, int]:
    if version is None:
        return {}
    if len(ids) != 1:
        raise InvalidInput(
            field="expected_versions",
            got=version,
            expected=f"a single id beside it, not {len(ids) or 'a filter'}",
        )
    return {ids[0]: version}


def _check_key(key: str | None, run_at: str | None) -> None:
    if key is None:
        return
    if not key.strip():
        raise InvalidInput(field="idempotency_key", got=key, expected="a key that isn't empty")
    if run_at is not None and run_at.startswith("+"):
        # Sent again it would be another request, for another time.
        raise InvalidInput(
            field="run_at", got=run_at, expected="a fixed time beside an idempotency key"
        )


def read_moment(field: str, text: str | None) -> datetime | None:
    """Return the time that somebody wrote, or that a span from now leads to.

    Raises:
        InvalidInput: It is neither.
    """
    if text is None:
        return None
    try:
        moment = from_now(text, datetime.now(UTC)) or datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(field=field, got=text, expected=_TIME) from error
    if moment.tzinfo is None:
        raise InvalidInput(field=field, got=text, expected=_TIME)
    return moment
