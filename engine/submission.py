"""A request as the doors hand it over, and what it must look like before anything is stored."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import isfinite
from typing import Any, NoReturn

from domain.errors import InvalidInput
from domain.machine import Machine
from engine.platform import Pace
from models.base import kinds

ISOLATION_LEVELS = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
REASONS = (
    *("user_action", "system_auto", "scheduled", "bulk", "import"),
    *("undo", "api", "hook", "override"),
)
MAX_METADATA = 65_536


@dataclass(frozen=True, slots=True)
class Submission:
    """A request to move rows to a state, as the doors hand it over.

    Attributes:
        kind: The kind of work, e.g. `work_order`; a dash is taken for an underscore.
        target: The target state, in any case.
        ids: The rows; order doesn't matter, duplicates are refused.
        comments: Free text for the records and for rules that want it.
        metadata: Anything JSON, for the records.
        approved_by: The name of a person whose being a manager counts beside the actor's.
        atomic: All or nothing; otherwise each item for itself.
        dry_run: Judge only, change nothing.
        idempotency_key: The same key with the same content is the same operation.
        expected_versions: By id, what the caller saw; another version is a conflict.
        lease_s: How long locks and the claim outlive a dead worker; None is the default.
        wait_s: How long busy rows are waited for; None is the default.
        isolation_level: One of PostgreSQL's three.
        max_retries: How often a serialization failure or a deadlock is tried again.
        reason: Why, as in the contract; None is `bulk` or, for one row, `user_action`.
        chunk_items: The items of one chunk; None is the default.
    """

    kind: str
    target: str
    ids: Sequence[int]
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


@dataclass(frozen=True, slots=True)
class _Expected:
    holds: Callable[[Any], bool]
    told: str


def _text(most: int) -> _Expected:
    return _Expected(
        lambda given: isinstance(given, str) and len(given) <= most and _can_be_stored(given),
        f"text of at most {most:,} characters, without NUL",
    )


def _one_of(known: Sequence[str]) -> _Expected:
    return _Expected(lambda given: given in known, f"one of {', '.join(known)}")


def _whole(least: int, most: int) -> _Expected:
    return _Expected(
        lambda given: _is_whole(given) and least <= given <= most,
        f"a whole number from {least} to {most:,}",
    )


def _seconds(least: float, most: float) -> _Expected:
    return _Expected(
        lambda given: (
            isinstance(given, int | float)
            and not isinstance(given, bool)
            and isfinite(given)
            and least <= given <= most
        ),
        f"{least:g} to {most:,.0f} seconds",
    )


_YES_OR_NO = _Expected(lambda given: isinstance(given, bool), "true or false")

_REQUIRED = {
    "atomic": _YES_OR_NO,
    "dry_run": _YES_OR_NO,
    "isolation_level": _one_of(ISOLATION_LEVELS),
}
# None is the default of all these.
_OPTIONAL = {
    "comments": _text(10_000),
    "approved_by": _text(200),
    "idempotency_key": _text(200),
    "reason": _one_of(REASONS),
    "lease_s": _seconds(0.1, 3600),
    "wait_s": _seconds(0, 86_400),
    "max_retries": _whole(0, 20),
    "chunk_items": _whole(1, 10_000),
}
_SHOWN = 100


def checked(pace: Pace, submission: Submission) -> tuple[Machine, list[int]]:
    """Return the machine and the sorted ids of a submission that is as it should be.

    Raises:
        InvalidInput: A value is not what was expected.
    """
    machine = _machine(submission.kind, submission.target)
    for name, expected in _REQUIRED.items():
        _check(name, getattr(submission, name), expected)
    for name, expected in _OPTIONAL.items():
        if getattr(submission, name) is not None:
            _check(name, getattr(submission, name), expected)
    _check_metadata(submission.metadata)
    ids = _checked_ids(pace, submission)
    _check_versions(submission.expected_versions, ids)
    return machine, ids


def _machine(kind: Any, target: Any) -> Machine:
    known = kinds()
    name = kind.replace("-", "_") if isinstance(kind, str) else kind
    if name not in list(known):
        _refuse("kind", kind, f"one of {', '.join(known)}")
    machine = known[name].machine
    if not isinstance(target, str) or target.upper() not in machine.states:
        _refuse("target_state", target, f"one of {', '.join(machine.states)}")
    return machine


def _check(name: str, given: Any, expected: _Expected) -> None:
    if not expected.holds(given):
        _refuse(name, given, expected.told)


def _refuse(name: str, given: Any, expected: str) -> NoReturn:
    if isinstance(given, str) and len(given) > _SHOWN:
        given = f"{len(given)} characters, beginning with {given[:_SHOWN]!r}"
    raise InvalidInput(field=name, got=given, expected=expected)


def _check_metadata(given: Any) -> None:
    expected = f"an object of plain JSON values, at most {MAX_METADATA:,} characters, without NUL"
    if not isinstance(given, Mapping):
        _refuse("metadata", given, expected)
    try:
        written = json.dumps(dict(given), allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise InvalidInput(field="metadata", got=str(error), expected=expected) from error
    if len(written) > MAX_METADATA or "\\u0000" in written or not _can_be_stored(written):
        _refuse("metadata", written, expected)


def _checked_ids(pace: Pace, submission: Submission) -> list[int]:
    given: Any = submission.ids
    whole = "whole numbers from 1 on"
    if not isinstance(given, Iterable):
        _refuse("ids", given, whole)
    ids = list(given)
    for each in ids:
        if not _is_id(each):
            _refuse("ids", each, whole)
    ids.sort()
    twice = sorted({a for a, b in pairwise(ids) if a == b})
    if twice:
        got = f"{', '.join(map(str, twice[:10]))} more than once"
        _refuse("ids", got, "every id once")
    most = pace.atomic_items if submission.atomic else pace.operation_items
    if not 1 <= len(ids) <= most:
        _refuse("ids", f"{len(ids)} ids", _how_many(pace, submission))
    return ids


def _check_versions(given: Any, ids: Sequence[int]) -> None:
    expected = "the versions that were seen, whole numbers from 1 on, by id"
    if not isinstance(given, Mapping):
        _refuse("expected_versions", given, expected)
    for row_id, version in given.items():
        if not _is_id(version):
            _refuse("expected_versions", version, expected)
        if not _is_id(row_id):
            _refuse("expected_versions", row_id, expected)
    foreign = given.keys() - set(ids) if given else ()
    if foreign:
        _refuse("expected_versions", min(foreign), "ids of this request only")


def _how_many(pace: Pace, submission: Submission) -> str:
    if submission.atomic:
        return (
            f"1 to {pace.atomic_items:,} for all or nothing; "
            f"continue on error to take up to {pace.operation_items:,}"
        )
    return f"1 to {pace.operation_items:,}"


def _is_whole(given: object) -> bool:
    return isinstance(given, int) and not isinstance(given, bool)


def _is_id(given: Any) -> bool:
    return isinstance(given, int) and not isinstance(given, bool) and 0 < given < 2**63


def _can_be_stored(text: str) -> bool:
    try:
        # PostgreSQL takes neither NUL nor half of a surrogate pair.
        return b"\x00" not in text.encode()
    except UnicodeEncodeError:
        return False
