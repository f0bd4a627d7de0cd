"""How long things are kept: keys, operations, and records in tables and then in archives."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Retention:
    """The spans of a record's life, from when it occurred; of an operation's, from its end.

    Attributes:
        hot_days: So many a record stays in its table at least.
        kept_years: Then it is in an archive, until it is so old.
        restored_days: What was restored stays in its table for so many, by default.
        key_days: For so many the same idempotency key gives the same operation.
        operation_days: For so many an operation can be looked at, retried, taken back.
    """

    hot_days: int = 90
    kept_years: int = 2
    restored_days: int = 7
    key_days: int = 30
    operation_days: int = 90

    def cold_before(self, now: datetime) -> date:
        """Return the month before which every month is cold to its last record."""
        return month_of(now - timedelta(days=self.hot_days))

    def gone_before(self, now: datetime) -> datetime:
        """Return the moment before which nothing is kept any more."""
        return _years_earlier(now, self.kept_years)

    def keys_gone_before(self, now: datetime) -> datetime:
        """Return the moment before which an operation's end lets go of its key."""
        return now - timedelta(days=self.key_days)

    def operations_gone_before(self, now: datetime) -> datetime:
        """Return the moment before which operations ended that aren't kept any more."""
        return now - timedelta(days=self.operation_days)

    def surely_kept_from(self, now: datetime) -> datetime:
        """Return the moment from which on everything has to be there.

        A span above two years says nothing here: it may have been shorter once.
        """
        return _years_earlier(now, min(self.kept_years, 2))


def month_of(moment: datetime) -> date:
    """Return the first day of the month in which a moment is, by UTC."""
    return moment.astimezone(UTC).date().replace(day=1)


def month_after(month: date) -> date:
    """Return the first day of the next month."""
    return (month + timedelta(days=31)).replace(day=1)


def span_of(month: date) -> tuple[datetime, datetime]:
    """Return the first moment of a month, and that of the next."""
    return _midnight(month), _midnight(month_after(month))


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _years_earlier(moment: datetime, years: int) -> datetime:
    year = moment.year - years
    try:
        return moment.replace(year=year)
    except ValueError:
        return moment.replace(year=year, day=28)  # there was no 29th of February
