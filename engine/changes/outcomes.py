"""What became of the rows of a chunk, and how a stale version is told."""

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
    """What became of the rows of a chunk that were free.

    Attributes:
        outcomes: Succeeded, skipped or failed, by id.
        passed: The rows that are written, as they were before.
        refused: The rows that were refused; those that don't exist are not among them.
        failures: Why, by id.
        versions: The version of each row after the change, by id.
    """

    outcomes: dict[int, Outcome] = field(default_factory=dict)
    passed: list[Row[Any]] = field(default_factory=list)
    refused: list[Row[Any]] = field(default_factory=list)
    failures: dict[int, Failure] = field(default_factory=dict)
    versions: dict[int, int] = field(default_factory=dict)

    def fail(self, row_id: int, reasons: Sequence[Reason], **facts: Any) -> None:
        """Note that an item failed for these reasons, the first of which names the code."""
        code = reasons[0].code
        self.outcomes[row_id] = Outcome.FAILED
        self.failures[row_id] = Failure(
            id=row_id,
            code=code,
            message="; ".join(each.sentence for each in reasons),
            codes=tuple(each.code for each in reasons),
            retryable=error_named(code).retryable,
            facts=facts or None,
        )

    def refuse(self, row: Row[Any], reasons: Sequence[Reason], **facts: Any) -> None:
        """Note that a row that is there was refused."""
        self.refused.append(row)
        self.fail(row.id, reasons, **facts)

    def take_back(self, reasons: Mapping[int, Reason]) -> None:
        """Refuse rows that had passed."""
        for row in [each for each in self.passed if each.id in reasons]:
            self.refuse(row, [reasons[row.id]])
        self.passed = [each for each in self.passed if each.id not in reasons]

    def miss(self, ids: Iterable[int], kind: str) -> None:
        """Note that those of *ids* without a row are not found."""
        for missing in set(ids) - self.versions.keys():
            self.fail(missing, [Reason("not_found", f"No {kind} {missing}")])

    def missing(self) -> list[int]:
        """Return the ids that no row of the tenant has."""
        absent = self.failures.keys() - self.versions.keys()
        return sorted(each for each in absent if self.failures[each].code == "not_found")

    def denied(self) -> list[Row[Any]]:
        """Return the rows that were refused for want of a permission, among other reasons."""
        return [r for r in self.refused if "permission_denied" in self.failures[r.id].codes]

    def add(self, other: "Outcomes") -> None:
        """Take over what became of other rows."""
        self.outcomes |= other.outcomes
        self.passed += other.passed
        self.refused += other.refused
        self.failures |= other.failures
        self.versions |= other.versions


def tell_last_writers(db: Connection, kind: str, outcomes: Outcomes) -> None:
    """Add to each conflict who wrote the row last, and when."""
    conflicts = {
        row_id: each.facts["current"]
        for row_id, each in outcomes.failures.items()
        if each.facts is not None and "current" in each.facts
    }
    if conflicts:
        for row_id, told in last_writers(db, records()[kind], list(conflicts)).items():
            conflicts[row_id].update(told)
