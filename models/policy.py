"""Policies: store what is done with rows that are due, and check that a policy makes sense."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, UniqueConstraint
from sqlalchemy import ForeignKeyConstraint as Refers
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from domain.business_time.duration_text import NO_SPAN, parse_span
from domain.check import Check, between
from domain.errors import InvalidInput
from domain.machines.ticket import PRIORITIES
from domain.policies.policy import (
    ASSIGN,
    BUSINESS,
    ELAPSED,
    LONGEST,
    LONGEST_BUSINESS,
    MODES,
    SHADOW,
    TIMES,
    TRANSITION,
    UPDATE,
    template_fields,
)
from domain.policies.policy import VERBS as POLICY_VERBS
from domain.selection import Comparison, comparisons
from models.base import KINDS, Record, Work, clocks_of, kinds, unique_name_index

_FILTER = "a filter over the fields of that kind of work, such as"
_WEEK_MIN = 7 * 24 * 60


def _parse_state(state: Any) -> str:
    if not isinstance(state, str):
        raise TypeError(state)
    return state.strip().upper()


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
    grace = values.get("grace")
    return grace is None or (_is_span("grace")(values) and parse_span(grace) != NO_SPAN)


def _is_reachable(values: Mapping[str, Any]) -> bool:
    if not (_is_span("after")(values) and _is_span("grace")(values)):
        return True
    most = LONGEST_BUSINESS if values.get("time") == BUSINESS else LONGEST
    spans = [parse_span(values.get(name) or "0m") for name in ("after", "grace")]
    try:
        return sum((span.as_time(timedelta(days=1)) for span in spans), timedelta()) <= most
    except OverflowError:
        return False


def _comparisons(text: str) -> list[Comparison]:
    from domain.filter_parser import parse_filter  # noqa: PLC0415 -- brings a parser along

    return comparisons(parse_filter(text))


def _is_filter(name: str) -> Callable[[type[Work], Mapping[str, Any]], bool]:
    """Return a check that a filter can be read and uses fields that the resource type has."""

    def holds(model: type[Work], values: Mapping[str, Any]) -> bool:
        try:
            compared = _comparisons(values.get(name) or "id=1")
        except InvalidInput:
            return False
        columns = {column.name for column in model.__table__.columns}
        fields = {*columns, *(name.removesuffix("_id") for name in columns), *model.derived}
        states = {state.upper() for state in _states_in(compared)}
        return {comparison.field for comparison in compared} <= fields and states <= {
            *model.machine.states
        }

    return holds


def _states_in(compared: Iterable[Comparison]) -> Iterator[str]:
    return (
        value
        for comparison in compared
        if comparison.field == "state"
        for value in comparison.values
    )


def _is_target_reachable(model: type[Work], values: Mapping[str, Any]) -> bool:
    """Say whether some state that the filter names has a transition to the target."""
    target = values.get("target_state")
    if target is None or not _is_filter("selection")(model, values):
        return True
    states = {state.upper() for state in _states_in(_comparisons(values["selection"]))}
    sources = {arrow.source for arrow in model.machine.transitions if arrow.target == target}
    return not states or not states.isdisjoint(sources)


def _has_what_verb_needs(values: Mapping[str, Any]) -> bool:
    present = {
        name for name in ("target_state", "assigned_to_team", "priority") if values.get(name)
    }
    required = {TRANSITION: "target_state", ASSIGN: "assigned_to_team", UPDATE: "priority"}
    verb = values.get("verb") or TRANSITION
    return present == ({required[verb]} if verb in required else set())


def _has_columns(model: type[Work], values: Mapping[str, Any]) -> bool:
    names = (name for name in ("assigned_to_team", "priority") if values.get(name))
    return all(hasattr(model, name) for name in names)


class Policy(Record):
    """What the platform does with work that is due; the audit keeps each version of a policy.

    `selection` is a filter for the rows that are meant, `exempt` one for rows to leave alone. Their
    time begins with the named event `clock` of their resource type; they are due `after` it, or,
    with a `grace`, somebody is warned then and they are due so much later. If `time` is business,
    only working time of the row's calendar counts. The policy runs every `every_minutes`; one run
    takes `cap` rows, those longest due first. A run is stopped if it matches more than
    `breaker_factor` times the usual, and more than `breaker_least` rows.
    """

    __tablename__ = "policy"
    __table_args__ = (
        unique_name_index("policy"),
        UniqueConstraint("tenant_id", "id"),
        Refers(["tenant_id", "assigned_to_team"], ["team.tenant_id", "team.id"]),
        CheckConstraint(f"mode IN {MODES}", name="mode_known"),
        CheckConstraint(f"verb IN {POLICY_VERBS}", name="verb_known"),
        CheckConstraint(f"time IN {TIMES}", name="time_known"),
        CheckConstraint("every_minutes > 0", name="every_positive"),
        CheckConstraint("cap > 0", name="cap_positive"),
    )
    resource_type = "policy"
    choices = {  # noqa: RUF012 -- declared as a ClassVar by Record
        "kind": KINDS,
        "verb": POLICY_VERBS,
        "mode": MODES,
        "time": TIMES,
        "priority": PRIORITIES,
    }
    parsers = {  # noqa: RUF012 -- declared as a ClassVar by Record
        "target_state": (_parse_state, "a state of that kind of work"),
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
            _of_kind(_is_filter("selection")),
        ),
        Check(
            "exempt",
            "a filter over that kind's fields, such as tags contains hold",
            _of_kind(_is_filter("exempt")),
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
            "target_state",
            "one that some state of selection leads to",
            _of_kind(_is_target_reachable),
        ),
        Check(
            "verb",
            "transition with a target_state, assign with assigned_to_team, update with priority, "
            "or alert with none of these",
            _has_what_verb_needs,
        ),
        Check("verb", "what that kind of work has", _of_kind(_has_columns)),
        Check(
            "comments",
            "text; of what rows say only {ticket_category}, where that kind of work has one",
            _of_kind(
                lambda model, values: {*template_fields(values.get("comments"))} <= {*model.words}
            ),
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
