"""Waiting for an operation: a bar on a terminal, a line now and then elsewhere."""

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
"""What ends so soon needs no bar."""

_SUSPICIOUS_S = 3.0
"""After this time without a start it is looked whether anybody is there to do the work."""

_LINE_EVERY_S = 1.0

Told = Mapping[str, Any]


DETACHED = "Detached"
"""Why `GoesOn` was raised, if it was Ctrl-C."""


class GoesOn(LocksideError):
    """Nobody waits any more; the work goes on."""

    code = "still_running"
    retryable = True
    template = (
        "{why}; the operation goes on. Come back with `lockside operations watch {operation_id}`."
    )


def watch(
    site: "lockside.Session", operation: "lockside.Operation", output: Output, *, within_s: float
) -> dict[str, Any]:
    """Return the operation's result, showing its progress on stderr until then.

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
                show = _hinting(shown, operation, output)
                result = _end_of(_follow(operation, deadline, _SUSPICIOUS_S), show)
                if result is None and time.monotonic() < deadline:
                    _look_for_workers(site, operation, output)
                    result = _end_of(_follow(operation, deadline), show)
    except KeyboardInterrupt:
        raise GoesOn(operation_id=operation.id, why=DETACHED) from None
    if result is None:
        raise GoesOn(operation_id=operation.id, why=f"Not done after {within_s:g} s")
    return result


def _end_of(told: Iterator[dict[str, Any]], show: Callable[[Told], None]) -> dict[str, Any] | None:
    """Show all progress; return the result, or None if the time was over before it."""
    for each in told:
        show(each)
        if "state" in each:
            return each
    return None


def _hinting(
    show: Callable[[Told], None], operation: "lockside.Operation", output: Output
) -> Callable[[Told], None]:
    """Return what shows progress, and says once for each pause how it ends.

    After a canary nobody waits any longer, and is told as they leave.
    """
    paused_by = None

    def hint(told: Told) -> None:
        nonlocal paused_by
        show(told)
        before, paused_by = paused_by, told.get("paused_by", paused_by)
        if paused_by not in (before, None) and not told.get("held"):
            resume = f"`lockside operations resume {operation.id}`"
            output.note(f"Paused by {paused_by}; {resume} lets it go on.")

    return hint


@contextmanager
def seeding(output: Output) -> Iterator[Callable[[int, int], None]]:
    """Give a function that shows how many rows are in; on a terminal only."""
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
    found = operation.show()
    if found["state"] != "QUEUED":
        return
    due = found["run_at"]
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
def _shown(output: Output) -> Iterator[Callable[[Told], None]]:
    if output.as_json:
        yield lambda _: None
    elif output.err.is_terminal:
        with progress_bar(output.err) as show:
            yield show
    else:
        yield _lines(output)


@contextmanager
def progress_bar(console: Console) -> Iterator[Callable[[Told], None]]:
    """Give a function that shows progress as a bar, which is gone afterwards."""
    bar = Progress(
        BarColumn(20, table_column=Column(min_width=10)),
        TextColumn("{task.percentage:>3.0f} %", table_column=Column(min_width=5)),
        TextColumn("{task.description}"),
        console=console,
        transient=True,
    )
    with bar:
        task = bar.add_task("waiting", total=100)

        def show(told: Told) -> None:
            # The percentage is never 100 before the end, whatever the counts say.
            if "state" in told:
                all_of_it = f"{told['total_items']:,} of {told['total_items']:,}"
                bar.update(task, completed=100, description=all_of_it)
            else:
                bar.update(task, completed=told["percent"], description=_sentence(told))

        yield show


def _lines(output: Output) -> Callable[[Told], None]:
    last = time.monotonic() - _LINE_EVERY_S

    def show(told: Told) -> None:
        nonlocal last
        if "state" not in told and time.monotonic() - last >= _LINE_EVERY_S:
            last = time.monotonic()
            output.note(f"{told['percent']} %  {_sentence(told)}")

    return show


def _sentence(told: Told) -> str:
    parts = [f"{told['done']:,} of {told['total']:,}", f"{told['succeeded']:,} ok"]
    if told.get("paused_by"):
        parts.insert(0, f"paused by {told['paused_by']}")
    parts += [f"{told[name]:,} {name}" for name in ("skipped", "failed", "cancelled") if told[name]]
    if told["eta_s"] is not None:
        parts.append(f"{told['eta_s']:.0f} s left")
    if told["rate_per_s"]:
        parts.append(f"{told['rate_per_s']:,}/s")
    return " · ".join(parts)
