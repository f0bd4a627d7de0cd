"""Policies, their runs, and the alerts that they raise."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint
from sqlalchemy import ForeignKeyConstraint as Refers
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from domain.check import Check, between
from domain.errors import InvalidInput
from domain.policy import (
    ACT,
    ASSIGN,
    BUSINESS,
    ELAPSED,
    LONGEST,
    LONGEST_BUSINESS,
    MODES,
    SHADOW,
    STAGES,
    TIMES,
    TRANSITION,
    UPDATE,
    words_in,
)
from domain.policy import VERBS as POLICY_VERBS
from domain.selection import comparisons, parse_filter
from domain.span import NO_SPAN, parse_span
from domain.ticket import PRIORITIES
from models.base import KINDS, NOW, Base, Record, Work, kinds, named
from models.clock import clocks_of

OUTCOMES = ("ran", "nothing", "shadow", "stopped", "failed")
ALERT_CODES = ("closing_soon", "overdue", "stopped", "failed")
_FILTER = "a filter over the fields of that kind of work, such as"
_WEEK_MIN = 7 * 24 * 60


def _of_kind(check: Callable[[type[Work], Mapping[str, Any]], bool]) -> Any:
    def holds(values: Mapping[str, Any]) -> bool:
        model = kinds().get(values.get("kind") or "")
        return model is None or check(model, values)

    return holds


def _is_span(name: str) -> Callable[[Mapping[str, Any]], bool]:
    def holds(values: Mapping[str, Any]) -> bool:
        try:
            parse_span(values.get(name) or "0m")
        except (ValueError, OverflowError):
            return False
        return True

    return holds


def _is_grace(values: Mapping[str, Any]) -> bool:
    given = values.get("grace")
    return given is None or (_is_span("grace")(values) and parse_span(given) != NO_SPAN)


def _is_reachable(values: Mapping[str, Any]) -> bool:
    if not (_is_span("after")(values) and _is_span("grace")(values)):
        return True
    most = LONGEST_BUSINESS if values.get("time") == BUSINESS else LONGEST
    spans = [parse_span(values.get(name) or "0m") for name in ("after", "grace")]
    try:
        return sum((each.as_time(timedelta(days=1)) for each in spans), timedelta()) <= most
    except OverflowError:
        return False


def _asks(name: str) -> Callable[[type[Work], Mapping[str, Any]], bool]:
    """Return whether a filter can be read and asks for fields that a kind has."""

    def holds(model: type[Work], values: Mapping[str, Any]) -> bool:
        try:
            asked = comparisons(parse_filter(values.get(name) or "id=1"))
        except InvalidInput:
            return False
        columns = {each.name for each in model.__table__.columns}
        known = {*columns, *(each.removesuffix("_id") for each in columns), *model.derived}
        return {each.field for each in asked} <= known

    return holds


def _says_what_it_does(values: Mapping[str, Any]) -> bool:
    given = {name for name in ("target_state", "assigned_to_team", "priority") if values.get(name)}
    wanted = {TRANSITION: "target_state", ASSIGN: "assigned_to_team", UPDATE: "priority"}
    verb = values.get("verb") or TRANSITION
    return given == ({wanted[verb]} if verb in wanted else set())


def _has(model: type[Work], values: Mapping[str, Any]) -> bool:
    names = (name for name in ("assigned_to_team", "priority") if values.get(name))
    return all(hasattr(model, name) for name in names)


def _of_operation() -> Any:
    # Operations are forgotten some day, what the clock did isn't.
    return mapped_column(ForeignKey("operation.id", ondelete="SET NULL"))


class Policy(Record):
    """What the clock does with work that is due: each version is kept by the records.

    `selection` is a filter for the rows that are meant, `exempt` one for those that are left
    alone. Their time begins with the named event `clock` of their kind; `after` it they are due,
    or, with a `grace`, somebody is warned and they are due so much later. Only working time of
    the row's calendar counts if `time` is business. It is looked at every `every_minutes`; one
    run takes `cap` rows, those longest due first. A run that matches more than `breaker_factor`
    times the usual, and more than `breaker_least` rows, is stopped.
    """

    __tablename__ = "policy"
    __table_args__ = (
        named("policy"),
        UniqueConstraint("tenant_id", "id"),
        Refers(["tenant_id", "assigned_to_team"], ["team.tenant_id", "team.id"]),
        CheckConstraint(f"mode IN {MODES}", name="mode_known"),
        CheckConstraint(f"verb IN {POLICY_VERBS}", name="verb_known"),
        CheckConstraint(f"time IN {TIMES}", name="time_known"),
        CheckConstraint("every_minutes > 0", name="every_positive"),
        CheckConstraint("cap > 0", name="cap_positive"),
    )
    noun = "policy"
    choices = {  # noqa: RUF012 -- declared as a ClassVar by Record
        "kind": KINDS,
        "verb": POLICY_VERBS,
        "mode": MODES,
        "time": TIMES,
        "priority": PRIORITIES,
    }
    checks = (
        between("every_minutes", 1, _WEEK_MIN, "minutes"),
        between("cap", 1, 1_000_000, "rows"),
        between("breaker_factor", 2, 10_000, "times the usual"),
        between("breaker_least", 0, 1_000_000, "rows"),
        Check("after", "a span such as 72h, 3d or 1w2d12h", _is_span("after")),
        Check("grace", "a span above 0 such as 24h, or nothing for no warning", _is_grace),
        Check(
            "after",
            "10 years at most together with grace, of working days 365",
            _is_reachable,
        ),
        Check(
            "selection",
            "a filter over that kind's fields, such as state=RESOLVED",
            _of_kind(_asks("selection")),
        ),
        Check(
            "exempt",
            "a filter over that kind's fields, such as tags contains hold",
            _of_kind(_asks("exempt")),
        ),
        Check(
            "clock",
            "a named event of that kind of work: created, state, or one of its own "
            "(task: due, overdue, planned; attendance: punched_in, payroll_closed)",
            _of_kind(lambda model, values: values.get("clock") in clocks_of(model)),
        ),
        Check(
            "target_state",
            "a state of that kind of work such as CLOSED",
            _of_kind(
                lambda model, values: values.get("target_state") in (None, *model.machine.states)
            ),
        ),
        Check(
            "verb",
            "transition with a target_state, assign with assigned_to_team, update with priority, "
            "or alert with none of these",
            _says_what_it_does,
        ),
        Check("verb", "what that kind of work has", _of_kind(_has)),
        Check(
            "comments",
            "text; of what rows say only {ticket_category}, where that kind of work has one",
            _of_kind(lambda model, values: {*words_in(values.get("comments"))} <= {*model.words}),
        ),
    )

    name: Mapped[str]
    kind: Mapped[str]
    selection: Mapped[str]
    exempt: Mapped[str | None]
    clock: Mapped[str]
    after: Mapped[str]
    grace: Mapped[str | None]
    time: Mapped[str] = mapped_column(server_default=ELAPSED)
    verb: Mapped[str] = mapped_column(server_default=TRANSITION)
    target_state: Mapped[str | None]
    assigned_to_team: Mapped[int | None] = mapped_column(BigInteger)
    priority: Mapped[str | None]
    comments: Mapped[str | None]
    mode: Mapped[str] = mapped_column(server_default=SHADOW)
    every_minutes: Mapped[int] = mapped_column(server_default=sql("60"))
    cap: Mapped[int] = mapped_column(server_default=sql("100000"))
    breaker_factor: Mapped[int] = mapped_column(server_default=sql("10"))
    breaker_least: Mapped[int] = mapped_column(server_default=sql("100"))


HELD = "held_because IS NOT NULL AND released_at IS NULL"
"""SQL: a run keeps its policy from going on, until somebody releases it."""


class ScheduledRun(Base):
    """What became of a policy in one period: there is one row of it, whoever comes first.

    `policy` is the policy as it was. `matched` rows were due, `taken` of them went into the
    operation; the others are left for the next run. `usual` is how many might have matched.
    A run that was stopped, or undone, holds its policy (`held_because`) until somebody releases it.
    """

    __tablename__ = "scheduled_run"
    __table_args__ = (
        Refers(["tenant_id", "policy_id"], ["policy.tenant_id", "policy.id"]),
        UniqueConstraint("policy_id", "stage", "period"),
        UniqueConstraint("operation_id"),
        CheckConstraint(f"stage IN {STAGES}", name="stage_known"),
        CheckConstraint(f"outcome IN {OUTCOMES}", name="outcome_known"),
        CheckConstraint("held_because IN ('stopped', 'undone')", name="held_for_a_reason"),
        CheckConstraint("taken BETWEEN 0 AND matched", name="taken_of_what_matched"),
        # The history of a tenant, newest first.
        Index("ix_scheduled_run_tenant_id_id", "tenant_id", "id"),
        # What was run, and what was let go on; runs that found nothing are most of them.
        Index(
            "ix_scheduled_run_done",
            "tenant_id",
            "policy_id",
            "id",
            postgresql_where=sql("outcome <> 'nothing'"),
        ),
        Index(
            "ix_scheduled_run_stopped",
            "policy_id",
            "stage",
            postgresql_where=sql("outcome = 'stopped'"),
        ),
        # What has served its time.
        Index("ix_scheduled_run_created_at", "created_at"),
        # What keeps a policy from going on.
        Index("ix_scheduled_run_held", "policy_id", postgresql_where=sql(HELD)),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    tenant_id: Mapped[int] = mapped_column(ForeignKey("tenant.id"))
    policy_id: Mapped[int] = mapped_column(BigInteger)
    policy: Mapped[dict[str, Any]]
    stage: Mapped[str] = mapped_column(server_default=ACT)
    period: Mapped[datetime]
    as_of: Mapped[datetime]
    outcome: Mapped[str]
    matched: Mapped[int] = mapped_column(server_default=sql("0"))
    taken: Mapped[int] = mapped_column(server_default=sql("0"))
    usual: Mapped[int | None]
    missed: Mapped[int] = mapped_column(server_default=sql("0"))
    message: Mapped[str | None]
    operation_id: Mapped[UUID | None] = _of_operation()
    requested_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    held_because: Mapped[str | None]
    released_at: Mapped[datetime | None]
    released_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Alert(Base):
    """That somebody should look: at a row whose time is up, or at a policy that was stopped.

    For one row and one beginning (`since`) of its time a policy raises each sort once.
    """

    __tablename__ = "alert"
    __table_args__ = (
        Refers(["tenant_id", "policy_id"], ["policy.tenant_id", "policy.id"]),
        CheckConstraint(f"code IN {ALERT_CODES}", name="code_known"),
        Index(
            "uq_alert_policy_id_entity_id",
            "policy_id",
            "entity_id",
            "since",
            "code",
            unique=True,
            postgresql_where=sql("entity_id IS NOT NULL"),
        ),
        # What nobody has looked at yet.
        Index(
            "ix_alert_open",
            "tenant_id",
            "id",
            postgresql_where=sql("acknowledged_at IS NULL"),
        ),
        # What an operation raised; asked for when operations are forgotten.
        Index("ix_alert_operation_id", "operation_id"),
        # What has served its time.
        Index("ix_alert_raised_at", "raised_at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    tenant_id: Mapped[int] = mapped_column(ForeignKey("tenant.id"))
    policy_id: Mapped[int] = mapped_column(BigInteger)
    code: Mapped[str]
    kind: Mapped[str]
    entity_id: Mapped[int | None] = mapped_column(BigInteger)
    since: Mapped[datetime | None]
    message: Mapped[str]
    operation_id: Mapped[UUID | None] = _of_operation()
    raised_at: Mapped[datetime] = mapped_column(server_default=NOW)
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
