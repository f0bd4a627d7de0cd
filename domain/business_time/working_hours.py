"""Usual working hours: decide whether a moment is outside of them, in their time zone."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

_WEEKDAYS = range(5)


@dataclass(frozen=True, slots=True)
class WorkingHours:
    """When people usually work.

    Attributes:
        begin: The first hour of the day, 0 to 23.
        end: The hour at which the working day ends.
        days: The days of the week; Monday is 0.
        zone: The time zone of the hours.
    """

    begin: int = 5
    end: int = 22
    days: Collection[int] = _WEEKDAYS
    zone: tzinfo = UTC

    def are_over(self, moment: datetime) -> bool:
        """Say whether a moment, which has a zone, is outside of the usual working hours."""
        there = moment.astimezone(self.zone)
        return there.weekday() not in self.days or not self.begin <= there.hour < self.end


USUAL = WorkingHours()
"""The hours of tenants without a calendar: 5 to 22 o'clock UTC, not at weekends."""
