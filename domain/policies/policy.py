"""Policies: the terms that make a row due, the limits they set, and the sentence that says why.

    resolved 2026-11-14 09:12 CET, 73 business hours, limit 72

A row's time begins with a named event (its clock). The row is due when `after` has passed since,
in the time of its calendar; with a `grace` somebody is warned then, and the row is due when the
grace has passed as well.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

from domain.business_time.calendar import Calendar
from domain.business_time.duration_text import NO_SPAN, Span, parse_span

OFF, SHADOW, ON = "off", "shadow", "on"
MODES = (OFF, SHADOW, ON)

TRANSITION, ALERT, ASSIGN, UPDATE = "transition", "alert", "assign", "update"
VERBS = (TRANSITION, ALERT, ASSIGN, UPDATE)

ELAPSED, BUSINESS = "elapsed", "business"
TIMES = (ELAPSED, BUSINESS)

WARN, ACT = "warn", "act"
STAGES = (WARN, ACT)

_PLACEHOLDER = re.compile(r"\s*[-:,]?\s*\{(\w+)\}")
_HOUR = timedelta(hours=1)
_MINUTE = timedelta(minutes=1)
_SHORT = 2 * _HOUR
LONGEST = timedelta(days=3_650)
LONGEST_BUSINESS = timedelta(days=365)
"""The longest time of a policy, in days of 24 hours and in working days."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What makes rows due.

    Attributes:
        kind: The kind of work.
        selection: A filter for the rows that it applies to.
        exempt: A filter for rows that it doesn't apply to; None if there are none.
        clock: The named event with which their time begins.
        after: How long after the event they are due, or somebody is warned.
        grace: How long after the warning they are due; `NO_SPAN` for no warning.
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
        """Return how much of a calendar's time passes before a stage, `WARN` or `ACT`."""
        day = working_day(calendar)
        limit = self.after.as_time(day) + extra_minutes * _MINUTE
        return limit + self.warned(calendar) if stage == ACT else limit

    def warned(self, calendar: Calendar) -> timedelta:
        """Return how much of a calendar's time passes between the warning and the action."""
        return self.grace.as_time(working_day(calendar))


def working_day(calendar: Calendar) -> timedelta:
    """Return the average length of a calendar's working day."""
    days = [sum((hours.length for hours in day), timedelta()) for day in calendar.week if day]
    return sum(days, timedelta()) / len(days) if days else timedelta(days=1)


def due_sentence(
    event: str, since: datetime, passed: timedelta, zone: tzinfo, limit: timedelta, *, unit: str
) -> str:
    """Return why a row is due, as in `due 2026-11-14 09:12 CET, 73 business hours, limit 72`.

    Args:
        event: The event with which its time began, e.g. `due`.
        since: When that was.
        passed: How much time has passed since.
        zone: The time zone in which `since` is written.
        limit: How much time may pass.
        unit: What is put before hours: `business ` or nothing.
    """
    there = since.astimezone(zone)
    short = passed < _SHORT
    elapsed = _amount(passed, unit, short=short)
    # The limit is written in the same unit, without its name, unless it is a fraction of it.
    if short or not limit % _HOUR:
        most = f"{limit // (_MINUTE if short else _HOUR):,}"
    else:
        most = _amount(limit, short=True)
    return f"{event} {there:%Y-%m-%d %H:%M %Z}, {elapsed}, limit {most}"


def _amount(span: timedelta, unit: str = "", *, short: bool) -> str:
    step, name = (_MINUTE, "minute") if short else (_HOUR, "hour")
    count = span // step
    return f"{count:,} {unit}{name}{'' if count == 1 else 's'}"


def plain_comment(template: str | None) -> str | None:
    """Return a comment without the placeholders for a row's fields, such as ` - {category}`."""
    return None if template is None else _PLACEHOLDER.sub("", template)


def template_fields(template: str | None) -> tuple[str, ...]:
    """Return the names of the fields that a comment has placeholders for."""
    return tuple(_PLACEHOLDER.findall(template or ""))
