"""The calendars of a tenant, by which its business time is counted."""

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
"""Whoever has no calendar works day and night."""

_COLUMNS = (
    BusinessCalendar.zone,
    BusinessCalendar.hours,
    BusinessCalendar.country,
    BusinessCalendar.subdivision,
    BusinessCalendar.days_off,
    BusinessCalendar.work_days,
)


def calendars_of(db: Connection, tenant_id: int) -> dict[int | None, Calendar]:
    """Return a tenant's calendars by id, and under None its default; `ALWAYS` if it has none.

    One that was deleted is not among them: its sites go by the default.
    """
    found: dict[int | None, Calendar] = {None: ALWAYS}
    query = select(BusinessCalendar.id, BusinessCalendar.is_default, *_COLUMNS).where(
        BusinessCalendar.tenant_id == tenant_id, BusinessCalendar.deleted_at.is_(None)
    )
    for row in db.execute(query):
        calendar = _made(row)
        found[row.id] = calendar
        if row.is_default:
            found[None] = calendar
    return found


def default_of(db: Connection, tenant_id: int) -> Calendar | None:
    """Return a tenant's default calendar, if it has one."""
    query = select(*_COLUMNS).where(
        BusinessCalendar.tenant_id == tenant_id,
        BusinessCalendar.is_default,
        BusinessCalendar.deleted_at.is_(None),
    )
    row = db.execute(query).one_or_none()
    return None if row is None else _made(row)


def is_out_of_hours(db: Connection, actor: Actor, moment: datetime) -> bool:
    """Say whether somebody comes when their tenant's people don't usually work.

    By the tenant's default calendar, or by the usual hours if it has none. The system has none.
    """
    if actor.person_id is None:
        return False
    calendar = default_of(db, actor.tenant_id)
    return USUAL.are_over(moment) if calendar is None else not calendar.is_working(moment)


def _made(row: Any) -> Calendar:
    parts = (row.zone, row.hours, row.country, row.subdivision)
    return _calendar(*parts, tuple(row.days_off), tuple(row.work_days))


@lru_cache(maxsize=1_000)
def _calendar(  # noqa: PLR0917 -- what a calendar is, one argument a column
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
        DaysOff(country, subdivision, _days(days_off), _days(work_days)),
    )


def _days(given: Sequence[str]) -> frozenset[date]:
    return frozenset(map(date.fromisoformat, given))
