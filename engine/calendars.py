"""Business calendars: read a tenant's calendars, by which its business time is counted."""

from collections.abc import Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select

from domain.business_time.calendar import Calendar
from domain.business_time.public_holidays import DaysOff
from domain.business_time.week import parse_week
from domain.business_time.working_hours import USUAL
from domain.permissions import Actor
from models.calendar import BusinessCalendar

ALWAYS = Calendar(ZoneInfo("UTC"))
"""The calendar of a tenant that has none: every hour is a working hour."""

_COLUMNS = (
    BusinessCalendar.zone,
    BusinessCalendar.hours,
    BusinessCalendar.country,
    BusinessCalendar.subdivision,
    BusinessCalendar.days_off,
    BusinessCalendar.work_days,
)


def calendars_of(db: Connection, tenant_id: int) -> dict[int | None, Calendar]:
    """Return a tenant's calendars by id, and its default one under None; `ALWAYS` if it has none.

    Deleted calendars are not included: their sites use the default.
    """
    calendars: dict[int | None, Calendar] = {None: ALWAYS}
    query = select(BusinessCalendar.id, BusinessCalendar.is_default, *_COLUMNS).where(
        BusinessCalendar.tenant_id == tenant_id, BusinessCalendar.deleted_at.is_(None)
    )
    for row in db.execute(query):
        calendar = _calendar_of_row(row)
        calendars[row.id] = calendar
        if row.is_default:
            calendars[None] = calendar
    return calendars


def default_of(db: Connection, tenant_id: int) -> Calendar | None:
    """Return a tenant's default calendar, if it has one."""
    query = select(*_COLUMNS).where(
        BusinessCalendar.tenant_id == tenant_id,
        BusinessCalendar.is_default,
        BusinessCalendar.deleted_at.is_(None),
    )
    row = db.execute(query).one_or_none()
    return None if row is None else _calendar_of_row(row)


def is_out_of_hours(db: Connection, actor: Actor, moment: datetime) -> bool:
    """Return whether a moment is outside the working hours of an actor's tenant.

    Working hours are those of the tenant's default calendar, or the usual ones if it has none.
    For the system it is always False.
    """
    if actor.person_id is None:
        return False
    calendar = default_of(db, actor.tenant_id)
    return USUAL.are_over(moment) if calendar is None else not calendar.is_working(moment)


def _calendar_of_row(row: Any) -> Calendar:
    scalars = (row.zone, row.hours, row.country, row.subdivision)
    return _build_calendar(*scalars, tuple(row.days_off), tuple(row.work_days))


@lru_cache(maxsize=1_000)
def _build_calendar(  # noqa: PLR0917 -- one argument for each column of a calendar
    zone: str,
    hours: str,
    country: str | None,
    subdivision: str | None,
    days_off: Sequence[str],
    work_days: Sequence[str],
) -> Calendar:
    return Calendar(
        ZoneInfo(zone),
        parse_week(hours),
        DaysOff(country, subdivision, _parse_days(days_off), _parse_days(work_days)),
    )


def _parse_days(texts: Sequence[str]) -> frozenset[date]:
    return frozenset(map(date.fromisoformat, texts))
