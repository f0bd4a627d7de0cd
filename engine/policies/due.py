"""Due rows: find the rows whose time by a policy is over, in SQL, with one comparison.

Business time is looked up backwards: for each calendar, and each extra time that jobs add, find
the last moment since which enough time has passed. A row whose time began then or earlier is due.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Select,
    and_,
    any_,
    case,
    false,
    func,
    literal,
    not_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

from domain.business_time.calendar import Calendar, ElapsedTime
from domain.policies.policy import ACT, ALERT, ASSIGN, ON, TRANSITION, UPDATE, WARN, Terms
from engine.calendars import ALWAYS, calendars_of
from engine.input.filters import select_where
from models.base import Work, clocks_of, kinds
from models.clock import Clock
from models.scheduled_run import Alert
from models.site import SiteRow

Limit = tuple[int, int, datetime]
"""A calendar's id, the minutes that are added, and the latest start of a time that is over."""

_DEFAULT = 0
"""Stands for the tenant's own calendar where an id of a calendar is expected."""


@dataclass(frozen=True, slots=True)
class Due:
    """The rows that are due, as a query.

    Attributes:
        model: The class of their resource type.
        since: When the time of a row began.
        meant: The policy's filter chooses the row.
        exempt: The policy exempts the row.
        is_over: The row's time is over.
        is_ready: The row's warning, where one comes first, was given or is to be given now.
        calendar: The id of the row's calendar; 0 for the tenant's own.
        extra: The minutes that are added to the row's time.
        calendars: By id; the tenant's own under None.
    """

    model: type[Work]
    since: Any
    meant: ColumnElement[bool]
    exempt: ColumnElement[bool]
    is_over: ColumnElement[bool]
    is_ready: ColumnElement[bool]
    calendar: ColumnElement[int]
    extra: ColumnElement[int]
    calendars: Mapping[int | None, Calendar]
    joins: Sequence[tuple[Any, Any]]
    now: datetime
    _passed: dict[int, ElapsedTime] = field(default_factory=dict, compare=False)

    @property
    def is_due(self) -> ColumnElement[bool]:
        """Return the condition for a row of the tenant that is due."""
        return and_(self.meant, self.is_over, not_(self.exempt), self.is_ready)

    def select(self, *columns: Any) -> Select[Any]:
        """Select columns of the rows and of joined tables, whether rows are due or not."""
        query = select(*columns).select_from(self.model)
        for table, on in self.joins:
            query = query.outerjoin(table, on)
        return query

    def calendar_of(self, calendar_id: int) -> Calendar:
        """Return the calendar for a row's value of `calendar`."""
        return self.calendars[calendar_id or None]

    def passed(self, calendar_id: int, since: datetime) -> timedelta:
        """Return how much of a calendar's time has passed since a moment."""
        passed = self._passed.get(calendar_id)
        if passed is None:
            passed = self._passed[calendar_id] = ElapsedTime(
                self.calendar_of(calendar_id), self.now
            )
        return passed.since(since)


def find_due(db: Connection, policy: Mapping[str, Any], now: datetime, *, stage: str = ACT) -> Due:
    """Find the rows that are due for a stage of a policy.

    Args:
        db: A connection, to look up names in filters, calendars and what jobs add.
        policy: The policy's columns by name.
        now: The moment as of which rows are due.
        stage: `warn` or `act`.

    Raises:
        InvalidInput: A filter can't be read, or isn't a filter of that resource type.
        NotFound: There is no record of a name in a filter.
    """
    tenant_id, terms = policy["tenant_id"], Terms.of(policy)
    model = kinds()[terms.kind]
    clock = clocks_of(model)[terms.clock]
    calendars: dict[int | None, Calendar] = {None: ALWAYS}
    if terms.business:
        calendars = calendars_of(db, tenant_id)
    joins: list[tuple[Any, Any]] = []
    if clock.joined is not None:
        joins.append((clock.joined, clock.on))
    has_site = len(calendars) > 1 and hasattr(model, "site_id")
    if has_site:
        joins.append((SiteRow, SiteRow.id == getattr(model, "site_id")))  # noqa: B009 -- not every kind
    calendar = _calendar_of(calendars) if has_site else literal(_DEFAULT, BigInteger)
    extra: ColumnElement[int] = literal(0, Integer)
    if clock.extra_minutes is not None:
        extra = func.coalesce(clock.extra_minutes, 0)
    limits = _limits(terms, stage, now, calendars, _extras(db, tenant_id, clock))
    warned = _is_over(
        Alert.raised_at, calendar, literal(0, Integer), _warned_since(terms, calendars, now)
    )
    exempt: ColumnElement[bool] = false()
    if terms.exempt is not None:
        exempt = func.coalesce(select_where(db, tenant_id, model, terms.exempt, now), False)
    meant = select_where(db, tenant_id, model, terms.selection, now)
    return Due(
        model=model,
        since=clock.value,
        meant=and_(meant, _is_not_done_yet(policy, model)),
        exempt=exempt,
        is_over=_is_over(clock.value, calendar, extra, limits),
        is_ready=_is_ready(policy, model, clock.value, stage, warned),
        calendar=calendar,
        extra=extra,
        calendars=calendars,
        joins=joins,
        now=now,
    )


def _is_not_done_yet(policy: Mapping[str, Any], model: type[Work]) -> ColumnElement[bool]:
    """Return the condition that a row isn't yet as the policy sets it; others need no run."""
    column, target = {
        TRANSITION: ("state", policy["target_state"]),
        ASSIGN: ("assigned_to_team", policy["assigned_to_team"]),
        UPDATE: ("priority", policy["priority"]),
    }.get(policy["verb"], (None, None))
    return true() if column is None else getattr(model, column).is_distinct_from(target)


def alert_code(policy: Mapping[str, Any], stage: str) -> str | None:
    """Return the code of the alert that a stage of a policy raises; None if it raises none."""
    if stage == WARN:
        return "closing_soon"
    return "overdue" if policy["verb"] == ALERT else None


def _warned_since(
    terms: Terms, calendars: Mapping[int | None, Calendar], now: datetime
) -> list[Limit]:
    """Return by when a warning must have been raised to count, by calendar."""
    deadlines = (
        (calendar_id, calendar.ago(now, terms.warned(calendar)))
        for calendar_id, calendar in calendars.items()
    )
    return [
        (calendar_id or _DEFAULT, 0, latest)
        for calendar_id, latest in deadlines
        if latest is not None
    ]


def _is_ready(
    policy: Mapping[str, Any],
    model: type[Work],
    since: Any,
    stage: str,
    warned: ColumnElement[bool],
) -> ColumnElement[bool]:
    """Return the condition that a required warning was raised, and this alert was not."""
    code = alert_code(policy, stage)
    if code is not None:
        return not_(_alerted(policy, model, since, Alert.code == code))
    # A row that nobody was warned of isn't acted on; a policy that isn't on warns nobody.
    if not Terms.of(policy).warns or policy["mode"] != ON:
        return true()
    return _alerted(policy, model, since, and_(Alert.code == "closing_soon", warned))


def _alerted(
    policy: Mapping[str, Any], model: type[Work], since: Any, alert: ColumnElement[bool]
) -> ColumnElement[bool]:
    of_row = (Alert.entity_id == model.id, Alert.since == since, alert)
    alerts = select(Alert.id).where(Alert.policy_id == policy["id"], *of_row)
    return alerts.correlate_except(Alert).exists()


def _calendar_of(calendars: Mapping[int | None, Calendar]) -> ColumnElement[int]:
    # A site may name a calendar that was deleted: then the tenant's own counts.
    calendar_ids = [calendar_id for calendar_id in calendars if calendar_id is not None]
    has_calendar = SiteRow.calendar_id == any_(literal(calendar_ids, ARRAY(BigInteger)))
    return case((has_calendar, SiteRow.calendar_id), else_=_DEFAULT)


def _extras(db: Connection, tenant_id: int, clock: Clock) -> list[int]:
    if clock.extra_minutes is None:
        return [0]
    added = select(clock.extra_minutes).where(clock.joined.tenant_id == tenant_id).distinct()
    return sorted({0, *db.scalars(added)})


def _limits(
    terms: Terms,
    stage: str,
    now: datetime,
    calendars: Mapping[int | None, Calendar],
    extras: Sequence[int],
) -> list[Limit]:
    """Return the latest start of a time that is over, by calendar and added minutes."""
    limits = []
    for calendar_id, calendar in calendars.items():
        for extra in extras:
            latest = calendar.ago(now, terms.limit(calendar, stage, extra))
            if latest is not None:
                limits.append((calendar_id or _DEFAULT, extra, latest))
    return limits


def _is_over(
    since: Any,
    calendar: ColumnElement[int],
    extra: ColumnElement[int],
    limits: Sequence[Limit],
) -> ColumnElement[bool]:
    if not limits:
        return false()
    # One bound over all limits, for the index to use.
    newest = literal(max(latest for *_, latest in limits), TIMESTAMP(timezone=True))
    if len(limits) == 1:
        return and_(since <= newest, calendar == limits[0][0], extra == limits[0][1])
    types: tuple[Any, ...] = (BigInteger, Integer, TIMESTAMP(timezone=True))
    arrays = zip(zip(*limits, strict=True), types, strict=True)
    columns = [literal(list(values), ARRAY(column_type)) for values, column_type in arrays]
    limit = func.unnest(*columns).table_valued("calendar", "extra", "latest", name="limits")
    limits_row = limit.render_derived()
    over = select(limits_row.c.latest).where(
        limits_row.c.calendar == calendar, limits_row.c.extra == extra, limits_row.c.latest >= since
    )
    return and_(since <= newest, over.correlate_except(limits_row).exists())
