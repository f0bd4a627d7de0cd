"""Judging: every reason is told, none is invented, and explaining agrees with judging."""

from typing import Any

import pytest

from domain.machines.attendance import ATTENDANCE
from domain.machines.machine import (
    Judge,
    Machine,
    Reason,
    Request,
    Rule,
    arrow,
    explain_transitions,
    judge,
    needs,
    needs_comments,
    needs_manager,
    no_change,
    system_only,
)
from domain.machines.ticket import TICKET
from domain.machines.work_order import WORK_ORDER

ALL = frozenset(WORK_ORDER.permission(each) for each in WORK_ORDER.transitions)
DOOR = Machine(
    kind="door",
    initial="OPEN",
    final=("SHUT",),
    transitions=(
        arrow(
            "OPEN",
            "SHUT",
            "shut",
            needs("key_id", code="key_missing", message="A key is needed"),
            needs_comments,
            needs_manager,
            system_only,
        ),
    ),
)
BARE = {"vendor_id": None, "line_count": 0, "key_id": None}


def codes(machine: Machine, state: str, request: Request, facts: Any = BARE) -> list[str]:
    return [each.code for each in judge(machine, state, facts, request).reasons]


def test_a_refusal_tells_all_reasons() -> None:
    assert codes(DOOR, "OPEN", Request("SHUT")) == [
        "permission_denied",
        "comments_required",
        "manager_required",
        "system_only",
        "key_missing",
    ]


def test_nothing_speaks_against_what_fulfils_every_rule() -> None:
    request = Request("SHUT", comments="Night", by_system=True)

    verdict = judge(DOOR, "OPEN", {"key_id": 3}, request)

    assert verdict.ok


def test_a_verdict_names_its_arrow_even_if_it_is_refused() -> None:
    verdict = judge(DOOR, "OPEN", BARE, Request("SHUT"))

    assert verdict.transition == DOOR.transitions[0]


def test_a_missing_arrow_is_the_only_reason() -> None:
    assert codes(WORK_ORDER, "DRAFT", Request("CLOSED")) == ["illegal_transition"]


def test_a_missing_arrow_tells_the_allowed_targets() -> None:
    (reason,) = judge(WORK_ORDER, "DRAFT", BARE, Request("CLOSED")).reasons

    assert reason.message == (
        "No transition from DRAFT to CLOSED (allowed from DRAFT: SUBMITTED, CANCELLED)"
    )


def test_a_missing_arrow_out_of_a_final_state_says_that_it_is_final() -> None:
    (reason,) = judge(WORK_ORDER, "CLOSED", BARE, Request("DRAFT")).reasons

    assert reason.message == "No transition from CLOSED to DRAFT (CLOSED is final)"


def test_staying_where_one_is_is_no_arrow() -> None:
    assert codes(TICKET, "OPEN", Request("OPEN")) == ["illegal_transition"]


def test_another_permission_of_the_same_kind_does_not_help() -> None:
    request = Request("IN_PROGRESS", permissions=ALL - {"work_order.start"})

    assert codes(WORK_ORDER, "APPROVED", request) == ["permission_denied"]


def test_a_missing_permission_is_named() -> None:
    (reason,) = judge(WORK_ORDER, "APPROVED", BARE, Request("IN_PROGRESS")).reasons

    assert reason.message == "The permission work_order.start is needed"


def test_the_system_needs_no_permission() -> None:
    assert codes(WORK_ORDER, "APPROVED", Request("IN_PROGRESS", by_system=True)) == []


def test_the_system_keeps_the_rules() -> None:
    assert codes(WORK_ORDER, "SUBMITTED", Request("APPROVED", by_system=True)) == ["vendor_missing"]


@pytest.mark.parametrize("comments", [None, "", " ", "\n\t "])
def test_blank_comments_are_missing(comments: str | None) -> None:
    request = Request("CANCELLED", ALL, comments=comments)

    assert codes(WORK_ORDER, "DRAFT", request) == ["comments_required"]


def test_comments_are_there_if_anything_is_written() -> None:
    assert codes(WORK_ORDER, "DRAFT", Request("CANCELLED", ALL, comments=" no ")) == []


@pytest.mark.parametrize(("by_manager", "reasons"), [(True, []), (False, ["manager_required"])])
def test_submitting_needs_a_manager(by_manager: bool, reasons: list[str]) -> None:
    request = Request("SUBMITTED", ALL, by_manager=by_manager)

    assert codes(WORK_ORDER, "DRAFT", request) == reasons


def test_the_system_counts_as_a_manager() -> None:
    assert codes(WORK_ORDER, "DRAFT", Request("SUBMITTED", by_system=True)) == []


def test_what_only_the_system_does_nobody_else_may() -> None:
    everything = Request("SHUT", frozenset({"door.shut"}), "Night", by_manager=True)

    assert codes(DOOR, "OPEN", everything, {"key_id": 3}) == ["system_only"]


@pytest.mark.parametrize("missing", [None, 0, ""])
def test_a_needed_fact_is_neither_none_nor_empty_nor_zero(missing: object) -> None:
    found = codes(WORK_ORDER, "SUBMITTED", Request("APPROVED", ALL), {"vendor_id": missing})

    assert found == ["vendor_missing"]


@pytest.mark.parametrize(("lines", "reasons"), [(0, ["lines_missing"]), (1, []), (7, [])])
def test_completing_needs_at_least_one_line(lines: int, reasons: list[str]) -> None:
    request = Request("COMPLETED", ALL)

    assert codes(WORK_ORDER, "IN_PROGRESS", request, {"line_count": lines}) == reasons


def test_a_rule_about_the_request_alone_is_asked_once_for_many_rows() -> None:
    asked: list[Request] = []

    def ask(_: object, request: Request) -> bool:
        asked.append(request)
        return True

    curious = Rule(Reason("no", "No"), ask)
    machine = Machine("door", "OPEN", ("SHUT",), (arrow("OPEN", "SHUT", "shut", curious),))
    once = Judge(machine, Request("SHUT", by_system=True))

    for _ in range(100):
        once.judge("OPEN", {})

    assert len(asked) == 1


def test_a_judge_keeps_rows_apart() -> None:
    one = Judge(WORK_ORDER, Request("APPROVED", ALL))

    verdicts = [one.judge("SUBMITTED", {"vendor_id": vendor}).ok for vendor in (1, None, 2)]

    assert verdicts == [True, False, True]


def test_explaining_asks_about_every_arrow_out_of_the_state() -> None:
    verdicts = explain_transitions(WORK_ORDER, "SUBMITTED", BARE, Request("", ALL, "because"))

    answers = {each.transition.target: each.ok for each in verdicts if each.transition}
    assert answers == {"APPROVED": False, "CANCELLED": True, "REJECTED": True}


def test_a_final_state_leaves_nothing_to_explain() -> None:
    assert explain_transitions(WORK_ORDER, "CLOSED", BARE, Request("", ALL)) == ()


def test_why_a_row_changes_no_more_is_told() -> None:
    assert no_change(ATTENDANCE, "LOCKED") == Reason(
        "record_locked", "LOCKED is final: the attendance changes no more"
    )
