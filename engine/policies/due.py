"""Which rows are due by the terms of a policy, in SQL; one comparison for any number of rows.

Business time is looked up backwards: for each calendar, and each span that jobs add, the last
moment since which enough of it has passed. A row whose time began then or earlier is due.
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
"""A calendar, the minutes that are added, and the last beginning of a time that is over."""

_DEFAULT = 0
"""In the place of the id of a calendar: the tenant's own."""


@dataclass(frozen=True, slots=True)
class Due:
    """The rows that are due, as a query.

    Attributes:
        model: Their kind.
        since: When the time of a row began.
        meant: That the policy's filter takes a row.
        exempt: That the policy leaves it alone.
        is_over: That its time is over.
        is_ready: That somebody was warned of it where that comes first, or is to be warned.
        calendar: The id of the calendar that counts for it, 0 for the tenant's own.
        extra: How many minutes longer it has.
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
        """Select columns of the rows and of what is joined to them, due or not."""
        query = select(*columns).select_from(self.model)
        for table, on in self.joins:
            query = query.outerjoin(table, on)
        return query

    def calendar_of(self, calendar_id: int) -> Calendar:
        """Return the calendar of a row by its `calendar`."""
        return self.calendars[calendar_id or None]

    def passed(self, calendar_id: int, since: datetime) -> timedelta:
        """Return how much of a calendar's time has passed since a moment."""
        known = self._passed.get(calendar_id)
        if known is None:
            known = self._passed[calendar_id] = ElapsedTime(self.calendar_of(calendar_id), self.now)
        return known.since(since)


def find_due(db: Connection, policy: Mapping[str, Any], now: datetime, *, stage: str = ACT) -> Due:
    """Return which rows are due for a stage of a policy.

    Args:
        db: A connection: names in filters, calendars and what jobs add are looked up.
        policy: Its columns by name.
        now: As of when.
        stage: To be warned of, or to be acted on.

    Raises:
        InvalidInput: A filter can't be read, or isn't one of that kind.
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
        Alert.raised_at, calendar, literal(0, Integer), _warned(terms, calendars, now)
    )
    exempt: ColumnElement[bool] = false()
    if terms.exempt is not None:
        exempt = func.coalesce(select_where(db, tenant_id, model, terms.exempt, now), False)
    meant = select_where(db, tenant_id, model, terms.selection, now)
    return Due(
        model=model,
        since=clock.value,
        meant=and_(meant, _is_undone(policy, model)),
        exempt=exempt,
        is_over=_is_over(clock.value, calendar, extra, limits),
        is_ready=_is_ready(policy, model, clock.value, stage, warned),
        calendar=calendar,
        extra=extra,
        calendars=calendars,
        joins=joins,
        now=now,
    )


def _is_undone(policy: Mapping[str, Any], model: type[Work]) -> ColumnElement[bool]:
    """Return the condition that a row isn't yet as wanted: else it would be in others' way."""
    column, wanted = {
        TRANSITION: ("state", policy["target_state"]),
        ASSIGN: ("assigned_to_team", policy["assigned_to_team"]),
        UPDATE: ("priority", policy["priority"]),
    }.get(policy["verb"], (None, None))
    return true() if column is None else getattr(model, column).is_distinct_from(wanted)


def alert_code(policy: Mapping[str, Any], stage: str) -> str | None:
    """Return which alert a stage of a policy raises; None if it does something else."""
    if stage == WARN:
        return "closing_soon"
    return "overdue" if policy["verb"] == ALERT else None


def _warned(terms: Terms, calendars: Mapping[int | None, Calendar], now: datetime) -> list[Limit]:
    """Return when somebody must have been warned at the latest, by calendar."""
    found = ((each, known.ago(now, terms.warned(known))) for each, known in calendars.items())
    return [(each or _DEFAULT, 0, latest) for each, latest in found if latest is not None]


def _is_ready(
    policy: Mapping[str, Any],
    model: type[Work],
    since: Any,
    stage: str,
    warned: ColumnElement[bool],
) -> ColumnElement[bool]:
    """Return the condition that what has to come first was done, and what is done once wasn't."""
    code = alert_code(policy, stage)
    if code is not None:
        return not_(_alerted(policy, model, since, Alert.code == code))
    # Whoever was never warned isn't acted on; what only looks on warns nobody.
    if not Terms.of(policy).warns or policy["mode"] != ON:
        return true()
    return _alerted(policy, model, since, and_(Alert.code == "closing_soon", warned))


def _alerted(
    policy: Mapping[str, Any], model: type[Work], since: Any, alert: ColumnElement[bool]
) -> ColumnElement[bool]:
    of_row = (Alert.entity_id == model.id, Alert.since == since, alert)
    known = select(Alert.id).where(Alert.policy_id == policy["id"], *of_row)
    return known.correlate_except(Alert).exists()


def _calendar_of(calendars: Mapping[int | None, Calendar]) -> ColumnElement[int]:
    # A site may name a calendar that was deleted: then the tenant's own counts.
    known = [each for each in calendars if each is not None]
    named = SiteRow.calendar_id == any_(literal(known, ARRAY(BigInteger)))
    return case((named, SiteRow.calendar_id), else_=_DEFAULT)


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
    """Return the last beginning of a time that is over, by calendar and minutes that are added."""
    found = []
    for calendar_id, calendar in calendars.items():
        for extra in extras:
            latest = calendar.ago(now, terms.limit(calendar, stage, extra))
            if latest is not None:
                found.append((calendar_id or _DEFAULT, extra, latest))
    return found


def _is_over(
    since: Any,
    calendar: ColumnElement[int],
    extra: ColumnElement[int],
    limits: Sequence[Limit],
) -> ColumnElement[bool]:
    if not limits:
        return false()
    # One bound for all of them: what the index is asked for.
    newest = literal(max(latest for *_, latest in limits), TIMESTAMP(timezone=True))
    if len(limits) == 1:
        return and_(since <= newest, calendar == limits[0][0], extra == limits[0][1])
    types: tuple[Any, ...] = (BigInteger, Integer, TIMESTAMP(timezone=True))
    arrays = zip(zip(*limits, strict=True), types, strict=True)
    given = [literal(list(each), ARRAY(sort)) for each, sort in arrays]
    limit = func.unnest(*given).table_valued("calendar", "extra", "latest", name="limits")
    known = limit.render_derived()
    over = select(known.c.latest).where(
        known.c.calendar == calendar, known.c.extra == extra, known.c.latest >= since
    )
    return and_(since <= newest, over.correlate_except(known).exists())
