"""The risk of a denial: a score with bounds, which nothing that is worse ever lowers."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.audit.denial_risk import SUSPICIOUS_FROM, Denial, flags_of_write

KINDS = st.sampled_from(["ticket", "work_order", "role", "person_role", "person", "tenant"])
VERBS = st.sampled_from(["view", "approve", "delete", "import", "export", "lock", "open"])
PERMISSIONS = st.frozensets(st.sampled_from(["ticket.view", "ticket.open"]))
DENIALS = st.builds(
    Denial,
    kind=KINDS,
    action=VERBS,
    required=PERMISSIONS,
    held=PERMISSIONS,
    ids=st.integers(0, 200).map(range),
    recent=st.integers(0, 1000),
    is_cross_tenant=st.booleans(),
    is_out_of_hours=st.booleans(),
)


@given(DENIALS)
def test_the_risk_is_between_nothing_and_a_hundred(denial: Denial) -> None:
    assert 0 <= denial.risk_score <= 100


@given(DENIALS, st.integers(0, 1000))
def test_more_denials_before_never_lower_the_risk(denial: Denial, more: int) -> None:
    again = replace(denial, recent=denial.recent + more)

    assert again.risk_score >= denial.risk_score


@given(DENIALS, st.integers(0, 200))
def test_more_rows_never_lower_the_risk(denial: Denial, more: int) -> None:
    wider = replace(denial, ids=range(len(denial.ids) + more))

    assert wider.risk_score >= denial.risk_score


@given(DENIALS, PERMISSIONS)
def test_holding_less_never_lowers_the_risk(denial: Denial, held: frozenset[str]) -> None:
    richer = replace(denial, held=denial.held | held)

    assert denial.risk_score >= richer.risk_score


@given(DENIALS)
def test_coming_out_of_hours_never_lowers_the_risk(denial: Denial) -> None:
    by_day = replace(denial, is_out_of_hours=False)

    assert replace(denial, is_out_of_hours=True).risk_score >= by_day.risk_score


@given(DENIALS)
def test_reaching_for_roles_is_no_less_risky_than_for_work(denial: Denial) -> None:
    work, roles = replace(denial, kind="ticket"), replace(denial, kind="role")

    assert roles.risk_score >= work.risk_score


@given(DENIALS)
def test_what_is_another_tenants_is_suspicious_by_itself(denial: Denial) -> None:
    foreign = replace(denial, is_cross_tenant=True)

    assert foreign.is_suspicious
    assert foreign.risk_score >= max(SUSPICIOUS_FROM, denial.risk_score)


def test_flags_say_what_the_score_was_made_of() -> None:
    plain = Denial("ticket", "open", frozenset({"ticket.open"}), frozenset())
    worse = replace(plain, kind="role", recent=1, is_cross_tenant=True, is_out_of_hours=True)

    assert plain.flags == []
    assert worse.flags == ["elevated", "foreign_ids", "out_of_hours", "repeated"]


@pytest.mark.parametrize(
    ("kind", "reason", "flags"),
    [
        ("ticket", "user_action", []),
        ("person", "user_action", []),
        ("role", "user_action", ["elevated"]),
        ("person_role", "system_auto", ["elevated"]),
        ("tenant", "user_action", ["elevated"]),
        ("ticket", "override", ["override"]),
        ("role", "override", ["elevated", "override"]),
    ],
)
def test_writes_of_roles_and_overrides_are_flagged(
    kind: str, reason: str, flags: list[str]
) -> None:
    assert flags_of_write(kind, reason) == flags


def test_what_else_is_known_of_a_write_is_flagged_once() -> None:
    assert flags_of_write("role", "user_action", ["elevated", "a"]) == ["a", "elevated"]
