"""Requests to change rows: their options, and the checks before anything is stored."""

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
    """A request to change rows, as the interfaces hand it over.

    Attributes:
        kind: The kind of work, e.g. `work_order`; a dash is taken for an underscore.
        target: The state that rows are to go to, in any case; for a transition only.
        values: What is written, by field; for an assignment or an update only. A reference
            may be a name. None and empty text empty a field.
        verb: `transition`, `assign` or `update`.
        ids: The rows; order doesn't matter, duplicates are refused.
        where: A filter that chooses the rows, instead of ids; see `domain.selection`. They are
            those that it matches at submission, whatever becomes of them later.
        expect_count: Refuse unless the rows are so many.
        comments: Free text for the records and for rules that want it.
        metadata: Anything JSON, for the records.
        approved_by: The name of a person whose being a manager counts beside the actor's.
        atomic: All or nothing; otherwise each item for itself.
        dry_run: Judge only, change nothing.
        idempotency_key: The same key with the same content is the same operation.
        expected_versions: By id, what the caller saw; another version is a conflict.
        lease_s: How long locks and the claim outlive a dead worker; None is the default.
        wait_s: How long contended rows are waited for; None is the default.
        isolation_level: One of PostgreSQL's three.
        max_retries: How often a serialization failure or a deadlock is tried again.
        reason: Why, as in the contract; None is `bulk` or, for one row, `user_action`.
        chunk_items: The items of one chunk; None is the default.
        run_at: Not before this time; with its zone.
        stop_at_first_failure: Leave undone what comes after the first failure; for continuing
            on error only. Chunks that run beside it end as they are.
        parallel: So many chunks at a time; None is as many as there are workers for.
        canary: Do so many items, then pause; for continuing on error only. A dry run judges
            all of them; who executes it gets the canary.
        rate: At most so many items a second, over all workers; for continuing on error only.
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


_YES_OR_NO = Expected(lambda given: isinstance(given, bool), "true or false")

RATE = number(0.01, 1_000_000, "items a second")
_WITHOUT_ATOMIC = ("stop_at_first_failure", "canary", "rate")
_REQUIRED = {
    "atomic": _YES_OR_NO,
    "dry_run": _YES_OR_NO,
    "stop_at_first_failure": _YES_OR_NO,
    "isolation_level": one_of(ISOLATION_LEVELS),
}
# None is the default of all these.
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
        lambda given: isinstance(given, datetime) and given.tzinfo is not None,
        "a time with its zone such as 2026-11-22T09:30:00Z",
    ),
}


@dataclass(frozen=True, slots=True)
class Checked:
    """What a submission asks for, checked: the model, the sorted ids, state or values.

    Without ids, the rows are those of its filter.
    """

    model: type[Work]
    ids: list[int] | None
    target: str | None
    values: dict[str, Any] | None


def checked(pace: Pace, submission: Submission, *, has_row_file: bool = False) -> Checked:
    """Return what a submission asks for, if it is as it should be; a file may name the rows.

    Raises:
        InvalidInput: A value is not what was expected.
    """
    model = known_kind(submission.kind)
    check("verb", submission.verb, one_of((TRANSITION, *EDITS)))
    target, values = _wanted(model, submission, has_row_file=has_row_file)
    for name, expected in _REQUIRED.items():
        check(name, getattr(submission, name), expected)
    for name, expected in _OPTIONAL.items():
        if getattr(submission, name) is not None:
            check(name, getattr(submission, name), expected)
    for name in _WITHOUT_ATOMIC if submission.atomic else ():
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
    return Checked(model, ids, target, values)


def _wanted(
    model: type[Work], submission: Submission, *, has_row_file: bool
) -> tuple[str | None, dict[str, Any] | None]:
    if submission.verb == TRANSITION:
        if submission.values is not None:
            refuse("values", submission.values, "nothing: a transition changes the state alone")
        return _known_state(model, submission.target), None
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
        # A lone value can be out of its range; what depends on others, the database guards.
        check_together(model, {name: value})
    return None, values


def _known_state(model: type[Work], given: Any) -> str:
    states = model.machine.states
    if not isinstance(given, str) or given.upper() not in states:
        refuse("target_state", given, f"one of {', '.join(states)}")
    return given.upper()


def _check_assignable(model: type[Work]) -> None:
    if not issubclass(model, Assignable):
        able = ", ".join(name for name, each in kinds().items() if issubclass(each, Assignable))
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


def _check_metadata(given: Any) -> None:
    expected = f"an object of plain JSON values, at most {MAX_METADATA:,} characters, without NUL"
    if not isinstance(given, Mapping):
        refuse("metadata", given, expected)
    try:
        written = json.dumps(dict(given), allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise InvalidInput(field="metadata", got=str(error), expected=expected) from error
    if len(written) > MAX_METADATA or "\\u0000" in written or not can_be_stored(written):
        refuse("metadata", written, expected)


def _checked_ids(pace: Pace, submission: Submission) -> list[int]:
    given: Any = submission.ids
    expected = "whole numbers from 1 on"
    if not isinstance(given, Iterable):
        refuse("ids", given, expected)
    ids = list(given)
    for each in ids:
        if not is_id(each):
            refuse("ids", each, expected)
    ids.sort()
    twice = sorted({a for a, b in pairwise(ids) if a == b})
    if twice:
        got = f"{', '.join(map(str, twice[:10]))} more than once"
        refuse("ids", got, "every id once")
    if not 1 <= len(ids) <= most_items(pace, submission):
        refuse("ids", f"{len(ids)} ids", how_many(pace, submission))
    return ids


def _check_versions(given: Any, ids: Sequence[int]) -> None:
    expected = "the versions that were seen, whole numbers from 1 on, by id"
    if not isinstance(given, Mapping):
        refuse("expected_versions", given, expected)
    for row_id, version in given.items():
        if not is_id(version):
            refuse("expected_versions", version, expected)
        if not is_id(row_id):
            refuse("expected_versions", row_id, expected)
    foreign = given.keys() - set(ids) if given else ()
    if foreign:
        refuse("expected_versions", min(foreign), "ids of this request only")


def _check_count(expected: int | None, ids: Sequence[int] | None) -> None:
    if expected is not None and ids is not None and expected != len(ids):
        refuse("expect_count", expected, f"the number of rows, which is {len(ids):,}")


def most_items(pace: Pace, submission: Submission) -> int:
    """Return how many items an operation may have."""
    return pace.atomic_items if submission.atomic else pace.operation_items


def how_many(pace: Pace, submission: Submission) -> str:
    """Return how many items an operation may have, as the end of a sentence."""
    if submission.atomic:
        return (
            f"1 to {pace.atomic_items:,} for all or nothing; "
            f"continue on error to take up to {pace.operation_items:,}"
        )
    return f"1 to {pace.operation_items:,}"
