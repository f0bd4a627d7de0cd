"""Replay: reconstruct a row at a past time from its audit records and its present values.

Going back from the present, each record gives the values before it; going forward from the row's
creation, the values after it. Where a record is missing in one direction, the other may still
lead there. What neither gives, and what was redacted, is reported as unknown, never guessed.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from domain.redaction.masks import has_mask

UNKNOWN = {
    "not_recorded": "a record of that time isn't among those that are kept at hand",
    "redacted": "the records hold a mask in its place",
    "erased": "its words were erased from the records",
    "outside": "it was changed past the platform, and nobody recorded how",
    "contradicted": "the records tell something else than what the row held later",
}
"""Why a value is unknown, by code."""

_STATE, _SINCE = "state", "state_since"


@dataclass(frozen=True, slots=True)
class Step:
    """One version of a row, from its audit record.

    Attributes:
        version: The version's number.
        occurred_at: When it was written.
        actor_id: Who wrote it; None is the system.
        before: The values before, of the fields that it changed.
        after: The values since, of the fields that it changed.
        why_not: Why it doesn't list all changes, a code of `UNKNOWN`; None if it does.
        is_first: Whether it created the row: a field that it doesn't list was empty.
    """

    version: int
    occurred_at: datetime
    actor_id: int | None
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    why_not: str | None = None
    is_first: bool = False


@dataclass(slots=True)
class Past:
    """What is known of a row at a past time.

    Attributes:
        exists: Whether it existed.
        since: When it was created; of a row that doesn't exist any more, when it was deleted.
        version: Its version; None if that isn't known.
        values: The known values, by field.
        unknown: Why other values aren't known, by field: a code of `UNKNOWN`.
    """

    exists: bool
    since: datetime
    version: int | None = None
    values: dict[str, Any] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, result: "_Lookup") -> None:
        """Add the value of a field, or why it isn't known."""
        if result.why_not is None:
            self.values[name] = result.value
        else:
            self.unknown[name] = result.why_not


@dataclass(frozen=True, slots=True)
class _Lookup:
    """The value of a field, or why it isn't known."""

    value: Any = None
    why_not: str | None = None


def is_masked(value: Any) -> bool:
    """Say whether a recorded value contains a mask, at any depth."""
    if isinstance(value, str):
        return has_mask(value)
    if isinstance(value, Mapping):
        return any(is_masked(member) for member in value.values())
    return isinstance(value, list | tuple) and any(is_masked(member) for member in value)


def past_of(
    steps: Iterable[Step],
    present: Mapping[str, Any],
    at: datetime,
    *,
    defaulted: Collection[str] = (),
) -> Past:
    """Return a row as it was at a past time.

    Args:
        steps: Its recorded versions, in any order, perhaps not all.
        present: All its columns as they are now.
        at: The time.
        defaulted: Fields that the database fills: they may be missing in the first record without
            having been empty.
    """
    if present["created_at"] > at:
        return Past(exists=False, since=present["created_at"])
    if present["deleted_at"] is not None and present["deleted_at"] <= at:
        return Past(exists=False, since=present["deleted_at"])
    history = _History({step.version: step for step in steps}, present, defaulted)
    first, last = history.versions_at(at)
    past = Past(exists=True, since=present["created_at"])
    past.version = first if first == last else None
    for name in present:
        if name in _NEVER_CHANGE:
            past.values[name] = present[name]
        elif name not in _NOT_REPLAYED:
            past.add(name, history.find(name, first, last))
    for name, value in history.version_fields(past.version).items():
        past.add(name, value)
    return past


_NEVER_CHANGE = frozenset({"id", "uuid", "created_at", "created_by"})
_NOT_REPLAYED = frozenset({"tenant_id", "deleted_at", "version", "updated_at", "updated_by"})


@dataclass(frozen=True, slots=True)
class _History:
    """The known versions of a row, and the look-up of its values in them."""

    steps: Mapping[int, Step]
    present: Mapping[str, Any]
    defaulted: Collection[str]

    @property
    def newest(self) -> int:
        return int(self.present["version"])

    def versions_at(self, at: datetime) -> tuple[int, int]:
        """Return the first and the last version that the row may have had at a time."""
        times = {self.newest: self.present["updated_at"]}
        times |= {version: step.occurred_at for version, step in self.steps.items()}
        times[1] = self.present["created_at"]
        first = max(version for version, time in times.items() if time <= at)
        later = [version for version, time in times.items() if time > at]
        return first, min(later, default=self.newest + 1) - 1

    def find(self, name: str, first: int, last: int) -> _Lookup:
        """Return a field's value at a version between these two, which are usually the same."""
        later, earlier = self._find_from_later(name, last), self._find_from_earlier(name, first)
        both_known = later.why_not is None and earlier.why_not is None
        if first != last:
            # One version of unknown time between them: what didn't change across it, it had too.
            agree = both_known and later.value == earlier.value
            return later if agree and last - first == 1 else _Lookup(why_not="not_recorded")
        if both_known and later.value != earlier.value:
            return _Lookup(why_not="contradicted")
        return earlier if later.why_not is not None and earlier.why_not is None else later

    def version_fields(self, version: int | None) -> dict[str, _Lookup]:
        """Return the version's number, and who wrote it when."""
        step = self.steps.get(version or 0)
        nobody = _Lookup(why_not="not_recorded")
        values = {"version": nobody, "updated_at": nobody, "updated_by": nobody}
        if version is not None:
            values["version"] = _Lookup(version)
        if version == self.newest:
            values |= {name: _Lookup(self.present[name]) for name in ("updated_at", "updated_by")}
        elif step is not None:
            values |= {
                "updated_at": _Lookup(step.occurred_at),
                "updated_by": _Lookup(step.actor_id),
            }
        return values

    def _find_from_later(self, name: str, version: int) -> _Lookup:
        """Return the value before the next later change of a field, or its present value."""
        for later in range(version + 1, self.newest + 1):
            step = self.steps.get(later)
            if step is not None and name in step.before:
                return _unless_masked(step.before[name])
            why_not = _why_unlisted(step)
            if why_not is not None:
                return _Lookup(why_not=why_not)
        return _Lookup(self.present[name])

    def _find_from_earlier(self, name: str, version: int) -> _Lookup:
        """Return the value after the last change of a field, at this version or earlier."""
        for earlier in range(version, 0, -1):
            step = self.steps.get(earlier)
            if step is not None and name in step.after:
                return _unless_masked(step.after[name])
            why_not = _why_unlisted(step)
            if why_not is None and step is not None and step.is_first:
                why_not = "not_recorded" if name in self.defaulted else None
                return _Lookup(why_not=why_not)
            if why_not is not None:
                return _Lookup(why_not=why_not)
        return _Lookup(why_not="not_recorded")


def _why_unlisted(step: Step | None) -> str | None:
    """Return why a version may have changed a field that it doesn't list; None if it can't."""
    return "not_recorded" if step is None else step.why_not


def _unless_masked(value: Any) -> _Lookup:
    return _Lookup(why_not="redacted") if is_masked(value) else _Lookup(value)


@dataclass(frozen=True, slots=True)
class Stay:
    """How long a row was in a state, all its visits together."""

    state: str
    seconds: float
    visits: int
    is_present: bool


def stays_of(
    steps: Iterable[Step], present: Mapping[str, Any], now: datetime
) -> tuple[list[Stay], float]:
    """Return how long a row was in each state, in the order of first visits.

    Returns:
        The stays, and the seconds of its life for which no record gives the state.
    """
    end = present["deleted_at"] or now
    spans: list[tuple[str, datetime, datetime]] = [
        (step.before[_STATE], step.before[_SINCE], step.occurred_at)
        for step in sorted(steps, key=lambda step: step.version)
        if None not in (step.before.get(_STATE), step.before.get(_SINCE))
    ]
    spans.append((present[_STATE], present[_SINCE], end))
    recorded = timedelta()
    seconds: dict[str, float] = {}
    visits: dict[str, int] = {}
    for state, came, left in spans:
        recorded += left - came
        seconds[state] = seconds.get(state, 0.0) + (left - came).total_seconds()
        visits[state] = visits.get(state, 0) + 1
    lifetime = end - min(present["created_at"], spans[0][1])
    last = present[_STATE] if present["deleted_at"] is None else None
    stays = [
        Stay(visited, seconds[visited], visits[visited], visited == last) for visited in seconds
    ]
    return stays, max((lifetime - recorded).total_seconds(), 0.0)
