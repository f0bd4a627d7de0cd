"""Erasure evidence: what an erasure records, so that no other change to a record goes unnoticed.

It records which audit records lost words, and a digest over what was left of them. A record that
a later erasure empties again counts for the later one, which records what the earlier one had
left.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.audit.seal import digest_of_events, digest_of_rests

Rests = Mapping[UUID, bytes]
"""Digests over what is left of the words of records, by event id."""

_ID_DIGITS = 32


@dataclass(frozen=True, slots=True)
class Emptied:
    """A record that lost words: a digest of what is left, and what an earlier erasure had left."""

    event_id: UUID
    rest: bytes
    former: tuple[UUID, bytes] | None = None


def erasure_evidence(emptied: Mapping[UUID, Emptied]) -> dict[str, Any]:
    """Return the evidence that an erasure records, as JSON.

    Ids and digests are written without dashes: with them some would pass for a personal number
    and be redacted.
    """
    details = {
        "records": len(emptied),
        "digest": digest_of_events(emptied),
        "left": digest_of_rests({record.event_id: record.rest for record in emptied.values()}),
    }
    again: dict[str, list[str]] = {}
    for record in sorted(emptied.values(), key=lambda record: record.event_id):
        if record.former is not None:
            erasure_id, rest = record.former
            again.setdefault(erasure_id.hex, []).append(record.event_id.hex + rest.hex())
    return details | ({"again": again} if again else {})


def emptied_again(evidence: Any) -> Iterator[tuple[UUID, UUID, bytes]]:
    """Yield what an erasure emptied after an earlier one: its id, the record, what it had left."""
    try:
        again = [
            (UUID(erasure_id), entry)
            for erasure_id, entries in evidence["again"].items()
            for entry in entries
        ]
        yield from (
            (erasure_id, UUID(entry[:_ID_DIGITS]), bytes.fromhex(entry[_ID_DIGITS:]))
            for erasure_id, entry in again
        )
    except (AttributeError, LookupError, TypeError, ValueError):
        return


def matches_evidence(evidence: Any, rests: Rests) -> bool:
    """Say whether the records, and what is left of them, are those of an erasure's evidence.

    Old erasures recorded no digest of what was left.
    """
    if not isinstance(evidence, dict):
        return False
    left = {"left": digest_of_rests(rests)} if "left" in evidence else {}
    expected = {"records": len(rests), "digest": digest_of_events(rests), **left}
    return {name: value for name, value in evidence.items() if name != "again"} == expected


def is_part_of_evidence(evidence: Any, rests: Rests) -> bool:
    """Say whether there are fewer records than an erasure's evidence counts."""
    records = evidence.get("records") if isinstance(evidence, dict) else None
    return isinstance(records, int) and len(rests) < records
