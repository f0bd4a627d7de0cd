"""What an erasure records of what it emptied, so that nobody else can empty or change a record.

It tells which records lost words, and a digest over what was left of these. What a later erasure
empties again is the later one's: it tells what the earlier one had left.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.audit.seal import digest_of_events, digest_of_rests

Rests = Mapping[UUID, bytes]
"""By the event ids of records, a digest over what is left of their words."""

_ID = 32


@dataclass(frozen=True, slots=True)
class Emptied:
    """A record that lost words: what is left of them, and what an earlier erasure left."""

    event_id: UUID
    rest: bytes
    former: tuple[UUID, bytes] | None = None


def told_of_erasure(emptied: Mapping[UUID, Emptied]) -> dict[str, Any]:
    """Return what an erasure records, as JSON.

    Ids and digests stand there without a dash: some would pass for a number of somebody's else.
    """
    told = {
        "records": len(emptied),
        "digest": digest_of_events(emptied),
        "left": digest_of_rests({each.event_id: each.rest for each in emptied.values()}),
    }
    again: dict[str, list[str]] = {}
    for each in sorted(emptied.values(), key=lambda each: each.event_id):
        if each.former is not None:
            erasure_id, rest = each.former
            again.setdefault(erasure_id.hex, []).append(each.event_id.hex + rest.hex())
    return told | ({"again": again} if again else {})


def emptied_again(told: Any) -> Iterator[tuple[UUID, UUID, bytes]]:
    """Yield what an erasure emptied after another: that one, which record, what it had left."""
    try:
        again = [(UUID(one), each) for one, many in told["again"].items() for each in many]
        yield from ((one, UUID(each[:_ID]), bytes.fromhex(each[_ID:])) for one, each in again)
    except (AttributeError, LookupError, TypeError, ValueError):
        return


def is_as_told(told: Any, rests: Rests) -> bool:
    """Say whether records, and what is left of them, are those that an erasure tells.

    Erasures of before tell nothing of what was left.
    """
    if not isinstance(told, dict):
        return False
    left = {"left": digest_of_rests(rests)} if "left" in told else {}
    same = {"records": len(rests), "digest": digest_of_events(rests), **left}
    return {name: each for name, each in told.items() if name != "again"} == same


def is_part_told(told: Any, rests: Rests) -> bool:
    """Say whether records are fewer than an erasure tells."""
    known = told.get("records") if isinstance(told, dict) else None
    return isinstance(known, int) and len(rests) < known
