"""Retention: how long keys and operations are kept, and records in tables and in archives."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Retention:
    """Retention periods: of records from when they occurred, of operations from their end.

    Attributes:
        hot_days: How many days a record stays in its table at least.
        kept_years: How many years it is kept in all; after `hot_days` it is in an archive.
        restored_days: How many days restored records stay in their table, by default.
        key_days: How many days the same idempotency key gives the same operation.
        operation_days: How many days an operation can be looked at, retried and undone.
    """

    hot_days: int = 90
    kept_years: int = 2
    restored_days: int = 7
    key_days: int = 30
    operation_days: int = 90

    def cold_before(self, now: datetime) -> date:
        """Return the first month that isn't cold; all records of earlier months may be archived."""
        return month_of(now - timedelta(days=self.hot_days))

    def gone_before(self, now: datetime) -> datetime:
        """Return the moment before which nothing is kept any more."""
        return _years_earlier(now, self.kept_years)

    def keys_gone_before(self, now: datetime) -> datetime:
        """Return the moment before which an operation must have ended to lose its key."""
        return now - timedelta(days=self.key_days)

    def operations_gone_before(self, now: datetime) -> datetime:
        """Return the moment before which an operation must have ended to be deleted."""
        return now - timedelta(days=self.operation_days)

    def surely_kept_from(self, now: datetime) -> datetime:
        """Return the moment since which every record must still be there.

        A period of more than two years doesn't count in full: it may have been shorter once.
        """
        return _years_earlier(now, min(self.kept_years, 2))


def month_of(moment: datetime) -> date:
    """Return the first day of a moment's month, by UTC."""
    return moment.astimezone(UTC).date().replace(day=1)


def month_after(month: date) -> date:
    """Return the first day of the next month."""
    return (month + timedelta(days=31)).replace(day=1)


def span_of(month: date) -> tuple[datetime, datetime]:
    """Return the first moment of a month, and the first of the next month."""
    return _midnight(month), _midnight(month_after(month))


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _years_earlier(moment: datetime, years: int) -> datetime:
    year = moment.year - years
    try:
        return moment.replace(year=year)
    except ValueError:
        return moment.replace(year=year, day=28)  # there was no 29th of February
