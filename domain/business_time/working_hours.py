"""Working hours: whether a moment lies outside of them, wherever somebody works."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

_WEEKDAYS = range(5)


@dataclass(frozen=True, slots=True)
class WorkingHours:
    """When people usually work.

    Attributes:
        begin: The first hour of the day, 0 to 23.
        end: The hour with which the day is over.
        days: The days of the week; Monday is 0.
        zone: Where the clock hangs.
    """

    begin: int = 5
    end: int = 22
    days: Collection[int] = _WEEKDAYS
    zone: tzinfo = UTC

    def are_over(self, moment: datetime) -> bool:
        """Say whether nobody usually works at a moment, which has a zone."""
        there = moment.astimezone(self.zone)
        return there.weekday() not in self.days or not self.begin <= there.hour < self.end


USUAL = WorkingHours()
"""Not at night from 22 to 5 and not at weekends, by UTC: of tenants without a calendar."""
