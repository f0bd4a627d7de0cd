"""Policies: which work the clock acts on, when its time has come, and how that is told.

    resolved 2026-11-14 09:12 CET, 73 business hours, limit 72

A row's time begins with a named event (its clock). It is due when `after` has passed since, in
the time of its calendar; with a `grace` somebody is warned then, and it is due when that has
passed as well.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

from domain.business_time.calendar import Calendar
from domain.business_time.span import NO_SPAN, Span, parse_span

OFF, SHADOW, ON = "off", "shadow", "on"
MODES = (OFF, SHADOW, ON)

TRANSITION, ALERT, ASSIGN, UPDATE = "transition", "alert", "assign", "update"
VERBS = (TRANSITION, ALERT, ASSIGN, UPDATE)

ELAPSED, BUSINESS = "elapsed", "business"
TIMES = (ELAPSED, BUSINESS)

WARN, ACT = "warn", "act"
STAGES = (WARN, ACT)

_WORD = re.compile(r"\s*[-:,]?\s*\{(\w+)\}")
_HOUR = timedelta(hours=1)
_MINUTE = timedelta(minutes=1)
_SHORT = 2 * _HOUR
LONGEST = timedelta(days=3_650)
LONGEST_BUSINESS = timedelta(days=365)
"""No policy waits for longer, in days of 24 hours; of working days there are fewer a year."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What makes rows due.

    Attributes:
        kind: The kind of work.
        selection: A filter for the rows that are meant.
        exempt: A filter for those that are left alone; None for no such.
        clock: The named event that their time begins with.
        after: How long after it they are due, or somebody is warned.
        grace: How long after a warning they are due; none for no warning.
        business: Whether only working time counts.
    """

    kind: str
    selection: str
    clock: str
    after: Span
    exempt: str | None = None
    grace: Span = NO_SPAN
    business: bool = False

    @classmethod
    def of(cls, policy: Mapping[str, Any]) -> "Terms":
        """Return the terms of a stored policy."""
        return cls(
            kind=policy["kind"],
            selection=policy["selection"],
            clock=policy["clock"],
            after=parse_span(policy["after"]),
            exempt=policy["exempt"],
            grace=parse_span(policy["grace"]) if policy["grace"] else NO_SPAN,
            business=policy["time"] == BUSINESS,
        )

    @property
    def warns(self) -> bool:
        """Say whether somebody is warned before a row is due."""
        return self.grace != NO_SPAN

    def limit(self, calendar: Calendar, stage: str, extra_minutes: int = 0) -> timedelta:
        """Return how much of a calendar's time passes before a stage."""
        day = working_day(calendar)
        limit = self.after.as_time(day) + extra_minutes * _MINUTE
        return limit + self.warned(calendar) if stage == ACT else limit

    def warned(self, calendar: Calendar) -> timedelta:
        """Return how much of a calendar's time passes between a warning and a row's end."""
        return self.grace.as_time(working_day(calendar))


def working_day(calendar: Calendar) -> timedelta:
    """Return how long a day is for somebody: the hours of their week over its working days."""
    days = [sum((each.length for each in day), timedelta()) for day in calendar.week if day]
    return sum(days, timedelta()) / len(days) if days else timedelta(days=1)


def told_due(
    event: str, since: datetime, passed: timedelta, zone: tzinfo, limit: timedelta, *, unit: str
) -> str:
    """Return why a row is due, as in `due 2026-11-14 09:12 CET, 73 business hours, limit 72`.

    Args:
        event: What it began with, e.g. `due`.
        since: When.
        passed: How much time has passed since.
        zone: In whose time it is told.
        limit: How much of it may pass.
        unit: What is put before hours: `business ` or nothing.
    """
    there = since.astimezone(zone)
    short = passed < _SHORT
    # The limit is told in the same unit, unless it isn't whole in it.
    same = short or not limit % _HOUR
    told = f"{limit // (_MINUTE if short else _HOUR):,}" if same else _amount(limit, short=True)
    return f"{event} {there:%Y-%m-%d %H:%M %Z}, {_amount(passed, unit, short=short)}, limit {told}"


def _amount(span: timedelta, unit: str = "", *, short: bool) -> str:
    step, name = (_MINUTE, "minute") if short else (_HOUR, "hour")
    count = span // step
    return f"{count:,} {unit}{name}{'' if count == 1 else 's'}"


def plain_comment(template: str | None) -> str | None:
    """Return a comment without what a row may say in it, such as ` - {ticket_category}`."""
    return None if template is None else _WORD.sub("", template)


def template_fields(template: str | None) -> tuple[str, ...]:
    """Return the names of what rows say in a comment."""
    return tuple(_WORD.findall(template or ""))
