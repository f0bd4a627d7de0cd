"""What a row was at a past time, from its records and from what it is now.

From the present back, each record tells what stood there before it; from the row's creation
on, what stood there after it. Where a record is missing, the other way may still lead there.
What neither tells, and what was redacted, is told as unknown, never guessed.
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
"""Why a value can't be told."""

_STATE, _SINCE = "state", "state_since"


@dataclass(frozen=True, slots=True)
class Step:
    """One version of a row, as its record tells it.

    Attributes:
        version: Which.
        occurred_at: When it was written.
        actor_id: By whom; None is the system.
        before: What was there until then, by field, of what it changed.
        after: What has been there since, by field.
        why_not: Why it doesn't tell all that it changed, a word of `UNKNOWN`; None if it does.
        is_first: It made the row: what it doesn't tell was empty.
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
    """What is known of a row at a time.

    Attributes:
        exists: Whether it was there.
        since: When it came, or of what is not there any more when it went.
        version: Which it was; None if that isn't known.
        values: By field; without what isn't known.
        unknown: Why not, by field: a word of `UNKNOWN`.
    """

    exists: bool
    since: datetime
    version: int | None = None
    values: dict[str, Any] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)

    def tell(self, name: str, found: "_Found") -> None:
        """Add a field, or why it isn't known."""
        if found.why_not is None:
            self.values[name] = found.value
        else:
            self.unknown[name] = found.why_not


@dataclass(frozen=True, slots=True)
class _Found:
    value: Any = None
    why_not: str | None = None


def is_masked(value: Any) -> bool:
    """Say whether a recorded value holds a mask, in any depth."""
    if isinstance(value, str):
        return has_mask(value)
    if isinstance(value, Mapping):
        return any(is_masked(each) for each in value.values())
    return isinstance(value, list | tuple) and any(is_masked(each) for each in value)


def past_of(
    steps: Iterable[Step],
    present: Mapping[str, Any],
    at: datetime,
    *,
    defaulted: Collection[str] = (),
) -> Past:
    """Return what a row was at a time.

    Args:
        steps: Its recorded versions, in any order, perhaps not all.
        present: All its columns as they are now.
        at: The time.
        defaulted: Fields that the database fills: a first record without them says nothing.
    """
    if present["created_at"] > at:
        return Past(exists=False, since=present["created_at"])
    if present["deleted_at"] is not None and present["deleted_at"] <= at:
        return Past(exists=False, since=present["deleted_at"])
    history = _History({each.version: each for each in steps}, present, defaulted)
    first, last = history.versions_at(at)
    past = Past(exists=True, since=present["created_at"])
    past.version = first if first == last else None
    for name in present:
        if name in _NEVER_CHANGE:
            past.values[name] = present[name]
        elif name not in _NOT_REPLAYED:
            past.tell(name, history.find(name, first, last))
    for name, found in history.write(past.version).items():
        past.tell(name, found)
    return past


_NEVER_CHANGE = frozenset({"id", "uuid", "created_at", "created_by"})
_NOT_REPLAYED = frozenset({"tenant_id", "deleted_at", "version", "updated_at", "updated_by"})


@dataclass(frozen=True, slots=True)
class _History:
    """The versions of a row that are known, and how to go from one to another."""

    steps: Mapping[int, Step]
    present: Mapping[str, Any]
    defaulted: Collection[str]

    @property
    def newest(self) -> int:
        return int(self.present["version"])

    def versions_at(self, at: datetime) -> tuple[int, int]:
        """Return the first and the last version that the row can have had at a time."""
        times = {self.newest: self.present["updated_at"]}
        times |= {version: each.occurred_at for version, each in self.steps.items()}
        times[1] = self.present["created_at"]
        first = max(version for version, time in times.items() if time <= at)
        later = [version for version, time in times.items() if time > at]
        return first, min(later, default=self.newest + 1) - 1

    def find(self, name: str, first: int, last: int) -> _Found:
        """Return a field's value at one of these versions, which should be one."""
        back, on = self._back(name, last), self._on(name, first)
        if first != last:
            # One version of an unknown time: what it was before and after it, it was at it.
            agree = back.why_not is None and on.why_not is None and back.value == on.value
            return back if agree and last - first == 1 else _Found(why_not="not_recorded")
        if back.why_not is None and on.why_not is None and back.value != on.value:
            return _Found(why_not="contradicted")
        return on if back.why_not is not None and on.why_not is None else back

    def write(self, version: int | None) -> dict[str, _Found]:
        """Return which version it was, and who wrote that when."""
        step = self.steps.get(version or 0)
        nobody = _Found(why_not="not_recorded")
        told = {"version": nobody, "updated_at": nobody, "updated_by": nobody}
        if version is not None:
            told["version"] = _Found(version)
        if version == self.newest:
            told |= {name: _Found(self.present[name]) for name in ("updated_at", "updated_by")}
        elif step is not None:
            told |= {"updated_at": _Found(step.occurred_at), "updated_by": _Found(step.actor_id)}
        return told

    def _back(self, name: str, version: int) -> _Found:
        """Follow the versions after this one up to what is told to have been before."""
        for later in range(version + 1, self.newest + 1):
            step = self.steps.get(later)
            if step is not None and name in step.before:
                return _told(step.before[name])
            why_not = _silence(step)
            if why_not is not None:
                return _Found(why_not=why_not)
        return _Found(self.present[name])

    def _on(self, name: str, version: int) -> _Found:
        """Follow this version and those before it down to what is told to have come."""
        for earlier in range(version, 0, -1):
            step = self.steps.get(earlier)
            if step is not None and name in step.after:
                return _told(step.after[name])
            why_not = _silence(step)
            if why_not is None and step is not None and step.is_first:
                why_not = "not_recorded" if name in self.defaulted else None
                return _Found(why_not=why_not)
            if why_not is not None:
                return _Found(why_not=why_not)
        return _Found(why_not="not_recorded")


def _silence(step: Step | None) -> str | None:
    """Return why a version that doesn't tell of a field may have changed it all the same."""
    return "not_recorded" if step is None else step.why_not


def _told(value: Any) -> _Found:
    return _Found(why_not="redacted") if is_masked(value) else _Found(value)


@dataclass(frozen=True, slots=True)
class Stay:
    """How long a row was in a state, all its stays together."""

    state: str
    seconds: float
    visits: int
    is_present: bool


def stays_of(
    steps: Iterable[Step], present: Mapping[str, Any], now: datetime
) -> tuple[list[Stay], float]:
    """Return how long a row was in each state, in the order of first visits.

    Returns:
        The stays, and the seconds of its life of which the records tell no state.
    """
    end = present["deleted_at"] or now
    spans: list[tuple[str, datetime, datetime]] = [
        (step.before[_STATE], step.before[_SINCE], step.occurred_at)
        for step in sorted(steps, key=lambda each: each.version)
        if None not in (step.before.get(_STATE), step.before.get(_SINCE))
    ]
    spans.append((present[_STATE], present[_SINCE], end))
    known = timedelta()
    seconds: dict[str, float] = {}
    visits: dict[str, int] = {}
    for state, came, left in spans:
        known += left - came
        seconds[state] = seconds.get(state, 0.0) + (left - came).total_seconds()
        visits[state] = visits.get(state, 0) + 1
    whole = end - min(present["created_at"], spans[0][1])
    last = present[_STATE] if present["deleted_at"] is None else None
    stays = [Stay(each, seconds[each], visits[each], each == last) for each in seconds]
    return stays, max((whole - known).total_seconds(), 0.0)
