"""Submission options: the options that every `lockside submit` shares, and how they are read."""

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
from domain.business_time.duration_text import from_now
from domain.errors import InvalidInput

_TIME = "a time with its zone such as 2026-11-22T09:30:00Z, or a span from now such as +2h or +30m"


class Seconds(click.FloatRange):
    """A number of seconds, at least 0."""

    name = "seconds"

    def __init__(self) -> None:
        """Accept every number from 0 on."""
        super().__init__(min=0)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number; anything else, `nan` as well, is refused."""
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
        help="Wait for the end, or only submit; waits by default, but not for --run-at.",
    ),
    timeout_option,
    yes_option,
)


def submission_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of all submissions to a command; `read_request` reads them."""
    for add in reversed(_OPTIONS):
        command = add(command)
    return command


@dataclass(frozen=True, slots=True)
class SubmitRequest:
    """The arguments and options that all submissions share, as they were read.

    Attributes:
        kind: The kind of work, as it was typed.
        ids: The rows; None if a filter or a file among the options chooses them.
        options: The keyword arguments for `Session.transition` and its like.
        wait: Whether to wait for the end.
        timeout_s: How long to wait.
        yes: Whether to skip the confirmation.
    """

    kind: str
    ids: list[int] | None
    options: dict[str, Any]
    wait: bool
    timeout_s: float
    yes: bool


def read_request(parameters: Mapping[str, Any]) -> SubmitRequest:
    """Return the request of click's parameters, by their names.

    Raises:
        InvalidInput: One of them can't be read.
    """
    options = dict(parameters)
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
        # The same command sent again would be another request, for another time.
        raise InvalidInput(
            field="run_at", got=run_at, expected="a fixed time beside an idempotency key"
        )


def read_moment(field: str, text: str | None) -> datetime | None:
    """Return the time that was typed, or the time a span from now.

    Raises:
        InvalidInput: It is neither a time with a zone nor a span.
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
