"""What a verification of the seals looks at, and what it finds."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

_TOLD = 100
"""Findings that are kept; the others are counted."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A seal as it was pinned outside the database.

    `unsealed` is how many records of the tenant were from before there were seals; None where it
    wasn't told yet.
    """

    tenant_id: int
    seal_no: int
    digest: bytes
    pinned_at: datetime
    unsealed: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that isn't as it was sealed.

    Attributes:
        code: What it is, e.g. `record_changed`.
        message: The same as a sentence, with what to do.
        seal_no: The seal that shows it.
        record: Which record, where there is one: `record`, `event_id`, `kind`, `entity_id`,
            `version`.
    """

    code: str
    message: str
    seal_no: int | None = None
    record: dict[str, Any] | None = None


@dataclass(slots=True)
class Verified:
    """What a verification looked at and found, in the order of the chain.

    Attributes:
        seals: So many seals were verified.
        records: With so many records.
        archived: So many of these are in archives.
        dropped: So many of these were dropped from archives, as too old to be kept.
        erased: So many of these without their words, which were erased.
        unsealed: Records from before there were seals.
        pinned: So many seals that were pinned outside were compared with.
        waiting: So many changes have yet to become records.
        waiting_since: Since when the oldest of them waits.
        findings: The first hundred.
        more: How many findings there are beyond.
    """

    seals: int = 0
    records: int = 0
    archived: int = 0
    dropped: int = 0
    erased: int = 0
    unsealed: int = 0
    pinned: int = 0
    waiting: int = 0
    waiting_since: datetime | None = None
    findings: list[Finding] = field(default_factory=list)
    more: int = 0

    def tell(self, code: str, message: str, **which: Any) -> None:
        """Keep a finding, or count it if there are too many."""
        if len(self.findings) < _TOLD:
            self.findings.append(Finding(code, message, **which))
        else:
            self.more += 1
