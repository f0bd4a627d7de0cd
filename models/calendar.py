"""Calendars: store the hours at which a tenant's people work."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.business_time import public_holidays, timezones, week
from domain.check import Check
from models.base import Record, unique_name_index

HOURS = "Mon-Fri 09:00-17:00"
"""What most people mean by business hours."""


def _normalised_hours(hours: Any) -> str:
    return week.write_week(week.parse_week(hours))


def _are_apart(values: Mapping[str, Any]) -> bool:
    return set(values.get("days_off") or ()).isdisjoint(values.get("work_days") or ())


class BusinessCalendar(Record):
    """The hours of a week in a zone at which people work, less holidays and days off.

    `country` and `subdivision` say whose public holidays count; `work_days` are the holidays that
    are worked all the same. A site without a calendar has the tenant's default.
    """

    __tablename__ = "calendar"
    __table_args__ = (
        unique_name_index("calendar"),
        UniqueConstraint("tenant_id", "id"),
        # A tenant has one default calendar.
        Index(
            "uq_calendar_tenant_id_default",
            "tenant_id",
            unique=True,
            postgresql_where=text("is_default AND deleted_at IS NULL"),
        ),
        CheckConstraint("country IS NOT NULL OR subdivision IS NULL", name="part_of_country"),
        # No day is both off and worked.
        CheckConstraint("NOT days_off && work_days", name="days_apart"),
    )
    resource_type = "calendar"
    parsers = {  # noqa: RUF012 -- declared as a ClassVar by Record
        "zone": (timezones.parse_zone, timezones.EXPECTED),
        "hours": (_normalised_hours, week.EXPECTED),
        "country": (public_holidays.parse_country, public_holidays.COUNTRY),
        "days_off": (public_holidays.parse_days, public_holidays.DAYS),
        "work_days": (public_holidays.parse_days, public_holidays.DAYS),
    }
    checks = (
        Check(
            "subdivision",
            public_holidays.SUBDIVISION,
            lambda values: public_holidays.is_part(
                values.get("country"), values.get("subdivision")
            ),
        ),
        Check("work_days", "days that are not among days_off", _are_apart),
    )

    name: Mapped[str]
    zone: Mapped[str]
    hours: Mapped[str] = mapped_column(server_default=HOURS)
    country: Mapped[str | None]
    subdivision: Mapped[str | None]
    days_off: Mapped[list[str]] = mapped_column(server_default="{}")
    work_days: Mapped[list[str]] = mapped_column(server_default="{}")
    is_default: Mapped[bool] = mapped_column(server_default=text("false"))
