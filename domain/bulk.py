"""Bulk results: the outcomes of an operation's items, their counts, final state and result."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any

from domain.machines import operation as states

IDS_IN_RESULT = 1000
"""A result lists its ids up to so many items; beyond that they come from `results`."""

LINES = 1_000_000_000
"""The item of a line without a row is the line's number minus this: negative, in line order."""


class Outcome(IntEnum):
    """The outcome of one item; stored as a small number, one per item of a chunk."""

    PENDING = 0
    SUCCEEDED = 1
    SKIPPED = 2
    FAILED = 3
    CANCELLED = 4


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one item failed: the code of its first reason and all reasons as one sentence."""

    id: int
    code: str
    message: str
    codes: tuple[str, ...]
    retryable: bool = False
    facts: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many items of an operation have each outcome; `total` is all of them."""

    total: int
    succeeded: int = 0
    skipped: int = 0
    failed: int = 0
    cancelled: int = 0
    running: int = 0

    @property
    def done(self) -> int:
        """Return how many items have an outcome."""
        return self.succeeded + self.skipped + self.failed + self.cancelled

    @property
    def pending(self) -> int:
        """Return how many items have neither begun nor ended."""
        return self.total - self.done - self.running


def count(outcomes: Iterable[int], total: int) -> Counts:
    """Return the counts of stored outcomes; items without one, up to *total*, are pending."""
    counted = Counter(outcomes)
    return Counts(
        total,
        counted[Outcome.SUCCEEDED],
        counted[Outcome.SKIPPED],
        counted[Outcome.FAILED],
        counted[Outcome.CANCELLED],
    )


def final_state(counts: Counts, *, atomic: bool, cancelling: bool, dead: int) -> str:
    """Return the final state of an operation whose items all have an outcome.

    Args:
        counts: The outcomes of all items.
        atomic: Whether it was all or nothing.
        cancelling: Whether somebody asked to cancel it.
        dead: How many items were in chunks that are dead-lettered.
    """
    if dead == counts.failed == counts.total:
        return states.FAILED
    if atomic and counts.failed:
        return states.ROLLED_BACK
    if cancelling and counts.cancelled:
        return states.CANCELLED
    if counts.failed:
        return states.COMPLETED_WITH_ERRORS
    return states.SUCCEEDED


def progress(counts: Counts, elapsed_s: float) -> dict[str, Any]:
    """Return the progress of an unfinished operation as the result backend holds it.

    The percentage is never 100 here, even when the last item is done: only a final state is.
    """
    rate = counts.done / elapsed_s if elapsed_s > 0 else 0.0
    return {
        "done": counts.done,
        "total": counts.total,
        "succeeded": counts.succeeded,
        "skipped": counts.skipped,
        "failed": counts.failed,
        "cancelled": counts.cancelled,
        "percent": min(99, counts.done * 100 // counts.total),
        "rate_per_s": round(rate),
        "eta_s": round((counts.total - counts.done) / rate, 1) if rate else None,
    }


def result(
    *,
    operation_id: str,
    operation_type: str,
    state: str,
    counts: Counts,
    succeeded_ids: Sequence[int],
    failures: Sequence[Failure],
    failure_codes: Mapping[str, int],
    warnings: Sequence[str],
    started_at: datetime,
    finished_at: datetime,
) -> dict[str, Any]:
    """Return an operation's result, the same at every interface; ids are strings.

    Args:
        operation_id: The operation.
        operation_type: What it did, e.g. `transition_to_APPROVED`.
        state: The final state.
        counts: The outcomes of all items.
        succeeded_ids: The items that succeeded; left out of the result beyond 1,000 items.
        failures: The items that failed; left out of the result beyond 1,000 items.
        failure_codes: How many failed by which code.
        warnings: What the caller should know beside the outcome.
        started_at: When the first chunk was claimed.
        finished_at: When the last item got its outcome.
    """
    rolled_back = state == states.ROLLED_BACK
    listed = counts.total <= IDS_IN_RESULT
    shown = failures if listed else ()
    return {
        "operation_id": operation_id,
        "operation_type": operation_type,
        "state": state,
        "total_items": counts.total,
        "successful_items": counts.succeeded,
        "skipped_items": counts.skipped,
        "failed_items": counts.failed,
        "cancelled_items": counts.cancelled,
        "success_rate": round(counts.succeeded * 100 / counts.total, 2),
        "successful_ids": [str(item) for item in succeeded_ids] if listed else [],
        "failed_ids": [item_name(failure.id) for failure in shown],
        "failure_details": {item_name(failure.id): failure.message for failure in shown},
        "failure_codes": dict(failure_codes),
        "warnings": list(warnings),
        "was_rolled_back": rolled_back,
        "rollback_reason": _rollback_reason(counts) if rolled_back else None,
        "execution_time_ms": round((finished_at - started_at).total_seconds() * 1000),
    }


def item_name(item: int) -> str:
    """Return the name of an item: its row's id, or the line of a file where there is no row."""
    return str(item) if item > 0 else f"line {item + LINES}"


def _rollback_reason(counts: Counts) -> str:
    share = f"{counts.failed:,} of {counts.total:,} items"
    return f"{share} failed and all or nothing was asked for"
