"""Progress: wait for an operation, with a bar on a terminal and a line each second elsewhere."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from cli.printing.output import Output, format_time
from domain.errors import LocksideError, Unavailable

if TYPE_CHECKING:
    import lockside

_QUIET_S = 0.3
"""An operation that ends within this time needs no bar."""

_SUSPICIOUS_S = 3.0
"""After this time without an end it is checked whether any worker runs."""

_LINE_EVERY_S = 1.0

Message = Mapping[str, Any]
"""The progress of an operation, or its result, which has a `state`."""

DETACHED = "Detached"
"""The cause in `GoesOn` if it was Ctrl-C."""


class GoesOn(LocksideError):
    """The program stops waiting; the operation goes on."""

    code = "still_running"
    retryable = True
    template = (
        "{why}; the operation goes on. Come back with `lockside operations watch {operation_id}`."
    )


def watch(
    site: "lockside.Session", operation: "lockside.Operation", output: Output, *, within_s: float
) -> dict[str, Any]:
    """Wait for an operation's result and return it, with its progress on stderr.

    Raises:
        GoesOn: The time is over, or Ctrl-C was pressed.
        Paused: Its canary is done.
        NotFound: There is no such operation.
    """
    deadline = time.monotonic() + within_s
    try:
        result = _end_of(_follow(operation, deadline, _QUIET_S), lambda _: None)
        if result is None:
            with _shown(output) as shown:
                show = _with_pause_notes(shown, operation, output)
                result = _end_of(_follow(operation, deadline, _SUSPICIOUS_S), show)
                if result is None and time.monotonic() < deadline:
                    _look_for_workers(site, operation, output)
                    result = _end_of(_follow(operation, deadline), show)
    except KeyboardInterrupt:
        raise GoesOn(operation_id=operation.id, why=DETACHED) from None
    if result is None:
        raise GoesOn(operation_id=operation.id, why=f"Not done after {within_s:g} s")
    return result


def _end_of(
    messages: Iterator[dict[str, Any]], show: Callable[[Message], None]
) -> dict[str, Any] | None:
    """Show all progress; return the result, or None if the time is over before it."""
    for message in messages:
        show(message)
        if "state" in message:
            return message
    return None


def _with_pause_notes(
    show: Callable[[Message], None], operation: "lockside.Operation", output: Output
) -> Callable[[Message], None]:
    """Return a function that shows progress, and notes once for each pause how to resume.

    After a canary there is no such note: then `Paused` ends the waiting and says so.
    """
    paused_by = None

    def show_and_note(message: Message) -> None:
        nonlocal paused_by
        show(message)
        before, paused_by = paused_by, message.get("paused_by", paused_by)
        if paused_by not in (before, None) and not message.get("held"):
            resume = f"`lockside operations resume {operation.id}`"
            output.note(f"Paused by {paused_by}; {resume} lets it go on.")

    return show_and_note


@contextmanager
def seeding(output: Output) -> Iterator[Callable[[int, int], None]]:
    """Yield a function that shows how many rows are stored; on a terminal only."""
    bar = Progress(
        BarColumn(30),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f}"),
        console=output.err,
        transient=True,
        disable=output.as_json or not output.err.is_terminal,
    )
    with bar:
        task = bar.add_task("")
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _follow(
    operation: "lockside.Operation", deadline: float, most_s: float = float("inf")
) -> Iterator[dict[str, Any]]:
    return operation.follow(max(0.0, min(most_s, deadline - time.monotonic())))


def _look_for_workers(
    site: "lockside.Session", operation: "lockside.Operation", output: Output
) -> None:
    stored = operation.show()
    if stored["state"] != "QUEUED":
        return
    due = stored["run_at"]
    if due is not None and due > datetime.now(UTC):
        output.note(f"It waits for its time, {format_time(due)}.")
        return
    try:
        idle = [queue for queue, workers in site.served_queues().items() if not workers]
    except Unavailable as error:
        output.note(f"{error} The work is safe; it begins when Redis is back.", "yellow")
        return
    if idle:
        output.note(
            f"No worker serves the queues {', '.join(idle)}. The work is safe and waits; start "
            "a worker with `lockside up`.",
            "yellow",
        )
    elif due is None:
        output.note("The workers are busy with other work; this waits its turn.")


@contextmanager
def _shown(output: Output) -> Iterator[Callable[[Message], None]]:
    if output.as_json:
        yield lambda _: None
    elif output.err.is_terminal:
        with progress_bar(output.err) as show:
            yield show
    else:
        yield _lines(output)


@contextmanager
def progress_bar(console: Console) -> Iterator[Callable[[Message], None]]:
    """Yield a function that shows progress as a bar, which is removed afterwards."""
    bar = Progress(
        BarColumn(20, table_column=Column(min_width=10)),
        TextColumn("{task.percentage:>3.0f} %", table_column=Column(min_width=5)),
        TextColumn("{task.description}"),
        console=console,
        transient=True,
    )
    with bar:
        task = bar.add_task("waiting", total=100)

        def show(message: Message) -> None:
            # The percentage is never 100 before the end, whatever the counts say.
            if "state" in message:
                all_items = f"{message['total_items']:,} of {message['total_items']:,}"
                bar.update(task, completed=100, description=all_items)
            else:
                bar.update(task, completed=message["percent"], description=_sentence(message))

        yield show


def _lines(output: Output) -> Callable[[Message], None]:
    last = time.monotonic() - _LINE_EVERY_S

    def show(message: Message) -> None:
        nonlocal last
        if "state" not in message and time.monotonic() - last >= _LINE_EVERY_S:
            last = time.monotonic()
            output.note(f"{message['percent']} %  {_sentence(message)}")

    return show


def _sentence(message: Message) -> str:
    parts = [f"{message['done']:,} of {message['total']:,}", f"{message['succeeded']:,} ok"]
    if message.get("paused_by"):
        parts.insert(0, f"paused by {message['paused_by']}")
    others = ("skipped", "failed", "cancelled")
    parts += [f"{message[name]:,} {name}" for name in others if message[name]]
    if message["eta_s"] is not None:
        parts.append(f"{message['eta_s']:.0f} s left")
    if message["rate_per_s"]:
        parts.append(f"{message['rate_per_s']:,}/s")
    return " · ".join(parts)
