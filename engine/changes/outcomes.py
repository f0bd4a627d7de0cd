"""Outcomes: collect what became of each row of a chunk, and why rows were refused."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row

from domain.bulk import Failure, Outcome
from domain.errors import error_named
from domain.machines.machine import Reason
from engine.records.conflicts import last_writers
from models.base import records


@dataclass(slots=True)
class Outcomes:
    """What became of the rows of a chunk that were not contended.

    Attributes:
        outcomes: Succeeded, skipped or failed, by id.
        passed: The rows that are written, as they were before.
        refused: The rows that exist and were refused.
        failures: Why items failed, by id.
        versions: The version of each row after the change, by id.
    """

    outcomes: dict[int, Outcome] = field(default_factory=dict)
    passed: list[Row[Any]] = field(default_factory=list)
    refused: list[Row[Any]] = field(default_factory=list)
    failures: dict[int, Failure] = field(default_factory=dict)
    versions: dict[int, int] = field(default_factory=dict)

    def fail(self, row_id: int, reasons: Sequence[Reason], **facts: Any) -> None:
        """Note that an item failed for these reasons; the first one gives the failure's code."""
        code = reasons[0].code
        self.outcomes[row_id] = Outcome.FAILED
        self.failures[row_id] = Failure(
            id=row_id,
            code=code,
            message="; ".join(reason.sentence for reason in reasons),
            codes=tuple(reason.code for reason in reasons),
            retryable=error_named(code).retryable,
            facts=facts or None,
        )

    def refuse(self, row: Row[Any], reasons: Sequence[Reason], **facts: Any) -> None:
        """Note that an existing row was refused."""
        self.refused.append(row)
        self.fail(row.id, reasons, **facts)

    def take_back(self, reasons: Mapping[int, Reason]) -> None:
        """Refuse rows that had passed."""
        for row in [row for row in self.passed if row.id in reasons]:
            self.refuse(row, [reasons[row.id]])
        self.passed = [row for row in self.passed if row.id not in reasons]

    def fail_missing(self, ids: Iterable[int], kind: str) -> None:
        """Note that those of *ids* that have no row failed as not found."""
        for row_id in set(ids) - self.versions.keys():
            self.fail(row_id, [Reason("not_found", f"No {kind} {row_id}")])

    def missing_ids(self) -> list[int]:
        """Return the ids that failed because the tenant has no such row, sorted."""
        absent = self.failures.keys() - self.versions.keys()
        return sorted(row_id for row_id in absent if self.failures[row_id].code == "not_found")

    def denied_rows(self) -> list[Row[Any]]:
        """Return the rows that were refused because a permission was missing, at least."""
        return [r for r in self.refused if "permission_denied" in self.failures[r.id].codes]

    def add(self, other: "Outcomes") -> None:
        """Add the outcomes of other rows."""
        self.outcomes |= other.outcomes
        self.passed += other.passed
        self.refused += other.refused
        self.failures |= other.failures
        self.versions |= other.versions


def add_last_writers(db: Connection, kind: str, outcomes: Outcomes) -> None:
    """Add to the facts of each version conflict who wrote the row last, and when."""
    conflicts = {
        row_id: failure.facts["current"]
        for row_id, failure in outcomes.failures.items()
        if failure.facts is not None and "current" in failure.facts
    }
    if conflicts:
        for row_id, last_writer in last_writers(db, records()[kind], list(conflicts)).items():
            conflicts[row_id].update(last_writer)
