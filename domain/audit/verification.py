"""Seal verification: what a verification of the seals has compared, and its findings."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

_MOST_FINDINGS = 100
"""How many findings are kept; further ones are only counted."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A seal as it was pinned outside the database.

    `unsealed` is how many records the tenant had from before there were seals; None in anchors
    that didn't record it yet.
    """

    tenant_id: int
    seal_no: int
    digest: bytes
    pinned_at: datetime
    unsealed: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference between a seal and what is stored.

    Attributes:
        code: The kind of difference, e.g. `record_changed`.
        message: A sentence that says what it is and what to do.
        seal_no: The seal that doesn't match.
        record: The record concerned, if there is one: `record`, `event_id`, `kind`, `entity_id`,
            `version`.
    """

    code: str
    message: str
    seal_no: int | None = None
    record: dict[str, Any] | None = None


@dataclass(slots=True)
class Verified:
    """What a verification has compared, and its findings in the order of the chain.

    Attributes:
        seals: How many seals were verified.
        records: How many records these seals cover.
        archived: How many of these records are in archives.
        dropped: How many of them were dropped from archives, as too old to be kept.
        erased: How many of them were verified without their words, which were erased.
        unsealed: How many records are from before there were seals.
        pinned: How many seals were compared with anchors outside the database.
        waiting: How many changes in the outbox have yet to become records.
        waiting_since: When the oldest of these changes was made.
        findings: The first hundred findings.
        more: How many further findings there are.
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

    def add(self, code: str, message: str, **which: Any) -> None:
        """Keep a finding, or only count it if there are too many."""
        if len(self.findings) < _MOST_FINDINGS:
            self.findings.append(Finding(code, message, **which))
        else:
            self.more += 1
