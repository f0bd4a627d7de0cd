"""Requests to change rows: define their options and check them before anything is stored."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

from domain.errors import InvalidInput
from domain.selection import LONGEST
from engine.input.checks import (
    Expected,
    can_be_stored,
    check,
    is_id,
    number,
    one_of,
    refuse,
    seconds,
    text,
    whole_number,
)
from engine.input.fields import check_together, fields_of, parse_values
from engine.input.record_types import known_kind
from engine.operations.change_for_verb import EDITS, TRANSITION
from engine.ports.platform import Pace
from models.base import ASSIGNED, Assignable, Work, kinds

ISOLATION_LEVELS = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
REASONS = (
    *("user_action", "system_auto", "scheduled", "bulk", "import"),
    *("undo", "api", "hook", "override"),
)
MAX_METADATA = 65_536
ASSIGN = "assign"


@dataclass(frozen=True, slots=True)
class Submission:
    """A request to change rows, as every interface submits it.

    Attributes:
        kind: The resource type, e.g. `work_order`; a dash is taken for an underscore.
        target: The state that rows are to go to, in any case; for a transition only.
        values: The values to write, by field; for an assignment or an update only. A reference
            may be a name. None and empty text empty a field.
        verb: `transition`, `assign` or `update`.
        ids: The rows; order doesn't matter, duplicates are refused.
        where: A filter that chooses the rows, instead of ids; see `domain.selection`. It chooses
            at submission, whatever becomes of the rows later.
        expect_count: Refuse any other number of rows.
        comments: Free text for the audit records and for rules that require it.
        metadata: Any JSON, for the audit records.
        approved_by: The name of a person whose role as a manager counts beside the actor's.
        atomic: All or nothing; otherwise each item succeeds or fails alone.
        dry_run: Judge only, change nothing.
        idempotency_key: The same key with the same content is the same operation.
        expected_versions: By id, the version that the caller saw; another version is a conflict.
        lease_s: How long locks and the claim outlive a dead worker; None is the default.
        wait_s: How long to wait for contended rows; None is the default.
        isolation_level: One of PostgreSQL's three.
        max_retries: How often a serialization failure or a deadlock is retried.
        reason: Why, as in the contract; None is `bulk` or, for one row, `user_action`.
        chunk_items: The items of one chunk; None is the default.
        run_at: The earliest time to run, with its zone.
        stop_at_first_failure: Leave everything after the first failure undone; for continuing on
            error only. Chunks that run at that moment end as they are.
        parallel: How many chunks may run at a time; None is as many as there are workers for.
        canary: Do so many items, then pause; for continuing on error only. A dry run judges all
            items; executing it begins with the canary.
        rate: The most items a second, over all workers; for continuing on error only.
    """

    kind: str
    ids: Sequence[int] | None = None
    target: str | None = None
    values: Mapping[str, Any] | None = None
    verb: str = TRANSITION
    comments: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    approved_by: str | None = None
    atomic: bool = True
    dry_run: bool = False
    idempotency_key: str | None = None
    expected_versions: Mapping[int, int] = field(default_factory=dict)
    lease_s: float | None = None
    wait_s: float | None = None
    isolation_level: str = "READ COMMITTED"
    max_retries: int | None = None
    reason: str | None = None
    chunk_items: int | None = None
    run_at: datetime | None = None
    stop_at_first_failure: bool = False
    parallel: int | None = None
    where: str | None = None
    expect_count: int | None = None
    canary: int | None = None
    rate: float | None = None


_YES_OR_NO = Expected(lambda value: isinstance(value, bool), "true or false")

RATE = number(0.01, 1_000_000, "items a second")
_NEVER_ATOMIC = ("stop_at_first_failure", "canary", "rate")
_REQUIRED = {
    "atomic": _YES_OR_NO,
    "dry_run": _YES_OR_NO,
    "stop_at_first_failure": _YES_OR_NO,
    "isolation_level": one_of(ISOLATION_LEVELS),
}
# None stands for the default of each of these.
_OPTIONAL = {
    "comments": text(10_000),
    "approved_by": text(200),
    "idempotency_key": text(200),
    "reason": one_of(REASONS),
    "lease_s": seconds(0.1, 3600),
    "wait_s": seconds(0, 86_400),
    "max_retries": whole_number(0, 20),
    "chunk_items": whole_number(1, 10_000),
    "parallel": whole_number(1, 1000),
    "where": text(LONGEST),
    "expect_count": whole_number(1, 1_000_000),
    "canary": whole_number(1, 1_000_000),
    "rate": RATE,
    "run_at": Expected(
        lambda value: isinstance(value, datetime) and value.tzinfo is not None,
        "a time with its zone such as 2026-11-22T09:30:00Z",
    ),
}


@dataclass(frozen=True, slots=True)
class CheckedSubmission:
    """A submission after the checks: its model, sorted ids, and target state or values.

    Without ids, the rows are those of its filter.
    """

    model: type[Work]
    ids: list[int] | None
    target: str | None
    values: dict[str, Any] | None


def check_submission(
    pace: Pace, submission: Submission, *, has_row_file: bool = False
) -> CheckedSubmission:
    """Check a submission; a file may name the rows instead of it.

    Raises:
        InvalidInput: A value is not what was expected.
    """
    model = known_kind(submission.kind)
    check("verb", submission.verb, one_of((TRANSITION, *EDITS)))
    target, values = _checked_target(model, submission, has_row_file=has_row_file)
    for name, expected in _REQUIRED.items():
        check(name, getattr(submission, name), expected)
    for name, expected in _OPTIONAL.items():
        if getattr(submission, name) is not None:
            check(name, getattr(submission, name), expected)
    for name in _NEVER_ATOMIC if submission.atomic else ():
        if getattr(submission, name):
            refuse(name, "all or nothing beside it", "to continue on error")
    _check_metadata(submission.metadata)
    ids = None
    if submission.where is None and not has_row_file:
        ids = _checked_ids(pace, submission)
    elif submission.ids is not None or (has_row_file and submission.where is not None):
        refuse("where", "ids or a file beside it", "one way to choose the rows")
    _check_versions(submission.expected_versions, ids or ())
    _check_count(submission.expect_count, ids)
    return CheckedSubmission(model, ids, target, values)


def _checked_target(
    model: type[Work], submission: Submission, *, has_row_file: bool
) -> tuple[str | None, dict[str, Any] | None]:
    if submission.verb == TRANSITION:
        if submission.values is not None:
            refuse("values", submission.values, "nothing: a transition changes the state alone")
        return _checked_state(model, submission.target), None
    if submission.target is not None:
        refuse("target_state", submission.target, f"nothing: {submission.verb} keeps the state")
    if submission.verb == ASSIGN:
        _check_assignable(model)
    if has_row_file and submission.values is None:
        return None, {}
    if not isinstance(submission.values, Mapping) or not submission.values:
        refuse("values", submission.values, f"at least one of {', '.join(fields_of(model))}")
    values = parse_values(model, submission.values)
    _check_assignment(submission.verb, values)
    for name, value in values.items():
        # One value can be out of its range; rules over several fields are left to the database.
        check_together(model, {name: value})
    return None, values


def _checked_state(model: type[Work], target: Any) -> str:
    states = model.machine.states
    if not isinstance(target, str) or target.upper() not in states:
        refuse("target_state", target, f"one of {', '.join(states)}")
    return target.upper()


def _check_assignable(model: type[Work]) -> None:
    if not issubclass(model, Assignable):
        able = ", ".join(
            name for name, candidate in kinds().items() if issubclass(candidate, Assignable)
        )
        refuse("kind", model.resource_type, f"work that can be assigned: {able}")


def _check_assignment(verb: str, values: Mapping[str, Any]) -> None:
    if verb != ASSIGN:
        assigned = next((name for name in values if name in ASSIGNED), None)
        if assigned is not None:
            refuse(assigned, values[assigned], "an assignment, which has a permission of its own")
        return
    other = next((name for name in values if name not in ASSIGNED), None)
    if other is not None or not any(values.values()):
        refuse(
            other or ASSIGNED[0],
            values.get(other or ""),
            f"a person or a team, at least one, in {' or '.join(ASSIGNED)}",
        )


def _check_metadata(metadata: Any) -> None:
    expected = f"an object of plain JSON values, at most {MAX_METADATA:,} characters, without NUL"
    if not isinstance(metadata, Mapping):
        refuse("metadata", metadata, expected)
    try:
        as_json = json.dumps(dict(metadata), allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise InvalidInput(field="metadata", got=str(error), expected=expected) from error
    if len(as_json) > MAX_METADATA or "\\u0000" in as_json or not can_be_stored(as_json):
        refuse("metadata", as_json, expected)


def _checked_ids(pace: Pace, submission: Submission) -> list[int]:
    raw_ids: Any = submission.ids
    expected = "whole numbers from 1 on"
    if not isinstance(raw_ids, Iterable):
        refuse("ids", raw_ids, expected)
    ids = list(raw_ids)
    for row_id in ids:
        if not is_id(row_id):
            refuse("ids", row_id, expected)
    ids.sort()
    twice = sorted({a for a, b in pairwise(ids) if a == b})
    if twice:
        got = f"{', '.join(map(str, twice[:10]))} more than once"
        refuse("ids", got, "every id once")
    if not 1 <= len(ids) <= most_items(pace, submission):
        refuse("ids", f"{len(ids)} ids", allowed_items(pace, submission))
    return ids


def _check_versions(versions: Any, ids: Sequence[int]) -> None:
    expected = "the versions that were seen, whole numbers from 1 on, by id"
    if not isinstance(versions, Mapping):
        refuse("expected_versions", versions, expected)
    for row_id, version in versions.items():
        if not is_id(version):
            refuse("expected_versions", version, expected)
        if not is_id(row_id):
            refuse("expected_versions", row_id, expected)
    others = versions.keys() - set(ids) if versions else ()
    if others:
        refuse("expected_versions", min(others), "ids of this request only")


def _check_count(expected: int | None, ids: Sequence[int] | None) -> None:
    if expected is not None and ids is not None and expected != len(ids):
        refuse("expect_count", expected, f"the number of rows, which is {len(ids):,}")


def most_items(pace: Pace, submission: Submission) -> int:
    """Return how many items an operation may have."""
    return pace.atomic_items if submission.atomic else pace.operation_items


def allowed_items(pace: Pace, submission: Submission) -> str:
    """Return how many items an operation may have, worded for an error message."""
    if submission.atomic:
        return (
            f"1 to {pace.atomic_items:,} for all or nothing; "
            f"continue on error to take up to {pace.operation_items:,}"
        )
    return f"1 to {pace.operation_items:,}"
