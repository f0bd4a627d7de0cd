"""A machine is proven: each fault of a table is found, each way through it is a legal one."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.machines.attendance import ATTENDANCE
from domain.machines.field_task import FIELD_TASK
from domain.machines.machine import (
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
    system_only,
)
from domain.machines.soundness import find_faults, shortest_path
from domain.machines.ticket import TICKET
from domain.machines.work_order import WORK_ORDER

quickly = settings(max_examples=40)
STATES = ("A", "B", "C", "D", "E", "F")
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
RULES = (
    needs_comments,
    needs_manager,
    system_only,
    needs("wheel", code="wheel_missing", message="A wheel is needed"),
    Rule(
        Reason("too_late", "It is past the deadline"),
        lambda facts, request: request.now is None or request.now < facts["deadline"],
        ("deadline",),
    ),
)


def machine(*arrows: str, final: tuple[str, ...] = ("Z",)) -> Machine:
    """Return a machine that begins in A, of arrows written as `AB`."""
    transitions = tuple(arrow(each[0], each[1], f"go_{each[1].lower()}") for each in arrows)
    return Machine("thing", "A", final, transitions)


FAULTS = [
    (("AZ", "BZ"), "B can't be reached from A"),
    (("AZ", "AB"), "B is a trap: no final state can be reached from it"),
    (("AZ", "ZA"), "Z is final but has a way out"),
    (("AZ", "AB", "BZ", "AZ"), "an arrow stands in the table twice"),
    (("AB", "BC", "CB", "AZ"), "C is a trap: no final state can be reached from it"),
    (("AB", "BA"), "Z can't be reached from A"),
]
AMBIGUOUS = Machine(
    "thing", "A", ("Z",), (arrow("A", "B", "go"), arrow("A", "Z", "go"), arrow("B", "Z", "end"))
)


@pytest.mark.parametrize(("arrows", "fault"), FAULTS)
def test_each_fault_of_a_table_is_told(arrows: tuple[str, ...], fault: str) -> None:
    assert fault in find_faults(machine(*arrows))


def test_a_verb_has_one_target() -> None:
    assert find_faults(AMBIGUOUS) == ("go leads to B and to Z",)


def test_a_sound_machine_has_no_fault() -> None:
    assert find_faults(machine("AB", "BA", "BZ", "AZ")) == ()


def test_a_machine_without_a_final_state_is_one_great_trap() -> None:
    assert len(find_faults(machine("AB", "BA", final=()))) == 2


def test_the_shortest_way_is_found() -> None:
    assert shortest_path(TICKET, "NEW", "CLOSED") == ("OPEN", "INPROGRESS", "RESOLVED", "CLOSED")


def test_who_is_there_has_no_way_to_go() -> None:
    assert shortest_path(TICKET, "ONHOLD", "ONHOLD") == ()


def test_no_way_leads_out_of_a_final_state() -> None:
    assert shortest_path(WORK_ORDER, "CLOSED", "DRAFT") is None


def test_of_two_shortest_ways_the_first_of_the_table_is_taken() -> None:
    assert shortest_path(machine("AC", "AB", "BZ", "CZ"), "A", "Z") == ("C", "Z")


pairs = st.tuples(st.sampled_from(STATES), st.sampled_from(STATES)).filter(lambda p: p[0] != p[1])


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    """Draw any machine at all, sound or not, each arrow once, with any rules."""
    chosen = draw(st.lists(pairs, min_size=1, max_size=12, unique=True))
    transitions = tuple(
        arrow(
            source,
            target,
            f"{draw(st.sampled_from(('go', 'run')))}_{target.lower()}",
            *draw(st.lists(st.sampled_from(RULES), max_size=3, unique=True)),
            undo=draw(st.booleans()),
        )
        for source, target in chosen
    )
    return Machine("thing", "A", tuple(draw(st.sets(st.sampled_from(STATES)))), transitions)


requests = st.builds(
    Request,
    to=st.sampled_from(STATES),
    permissions=st.frozensets(
        st.sampled_from([f"thing.{how}_{each.lower()}" for how in ("go", "run") for each in STATES])
        | st.just("other.go_a")
    ),
    comments=st.sampled_from((None, " ", "words")),
    by_manager=st.booleans(),
    by_system=st.booleans(),
    now=st.sampled_from((None, NOON, NOON + timedelta(hours=1))),
)
facts = st.fixed_dictionaries(
    {
        "wheel": st.sampled_from((None, 1)),
        "deadline": st.sampled_from((NOON, NOON.replace(hour=18))),
    }
)


@quickly
@given(machines(), requests, facts)
def test_explaining_agrees_with_judging(known: Machine, request: Request, row: Any) -> None:
    for state in known.states:
        for verdict in explain_transitions(known, state, row, request):
            assert verdict.transition is not None
            wanted = replace(request, to=verdict.transition.target)
            assert verdict == judge(known, state, row, wanted)


@quickly
@given(machines(), requests, facts, st.lists(st.sampled_from(STATES), max_size=20))
def test_a_walk_over_good_verdicts_stays_on_arrows(
    known: Machine, request: Request, row: Any, wanted: list[str]
) -> None:
    state = known.initial

    for target in wanted:
        if judge(known, state, row, replace(request, to=target)).ok:
            assert known.transition(state, target) is not None
            state = target

    assert state in known.states


@quickly
@given(machines(), requests, facts)
def test_a_refusal_has_a_reason_and_an_arrow_or_says_that_there_is_none(
    known: Machine, request: Request, row: Any
) -> None:
    for state in known.states:
        verdict = judge(known, state, row, request)
        codes = [each.code for each in verdict.reasons]
        assert verdict.ok is (not codes)
        assert (verdict.transition is None) is (codes == ["illegal_transition"])
        assert len(codes) == len(set(codes))


@quickly
@given(machines())
def test_every_state_of_a_sound_machine_is_reached_and_ends(known: Machine) -> None:
    if find_faults(known):
        return

    for state in known.states:
        assert shortest_path(known, known.initial, state) is not None
        assert any(shortest_path(known, state, end) is not None for end in known.final)


@quickly
@given(machines(), st.sampled_from(STATES), st.sampled_from(STATES))
def test_a_way_is_made_of_arrows(known: Machine, source: str, target: str) -> None:
    way = shortest_path(known, source, target)

    for here, there in pairwise((source, *(way or ()))):
        assert known.transition(here, there) is not None


@pytest.mark.parametrize(
    "known", [WORK_ORDER, FIELD_TASK, ATTENDANCE, TICKET], ids=lambda each: each.kind
)
def test_every_state_of_our_machines_can_be_reached(known: Machine) -> None:
    unreached = [each for each in known.states if shortest_path(known, known.initial, each) is None]

    assert unreached == []
