"""What holds of every machine, whichever way a row walks and whatever is asked of it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.machines.attendance import ATTENDANCE
from domain.machines.field_task import FIELD_TASK
from domain.machines.machine import Machine, Request, explain_transitions, judge
from domain.machines.soundness import shortest_path
from domain.machines.ticket import TICKET
from domain.machines.work_order import WORK_ORDER

MACHINES = (WORK_ORDER, FIELD_TASK, ATTENDANCE, TICKET)
STATES = sorted({state for each in MACHINES for state in each.states})
quickly = settings(max_examples=100, deadline=None)

machines = st.sampled_from(MACHINES)
moments = st.datetimes(
    min_value=datetime(2026, 1, 1),  # noqa: DTZ001 -- hypothesis adds the zone
    max_value=datetime(2026, 12, 31),  # noqa: DTZ001 -- the same
    timezones=st.just(UTC),
)
ids = st.none() | st.integers(0, 3)
degrees = st.floats(-90, 90, allow_nan=False)
around = st.floats(-180, 180, allow_nan=False)
# A site's fence is whole or not there: the database knows no other.
fences = st.just((None, None, None)) | st.tuples(degrees, around, st.floats(1, 20_000_000))


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    """Draw what rules may look at, of any kind of work."""
    latitude, longitude, radius_m = draw(fences)
    return {
        "vendor_id": draw(ids),
        "line_count": draw(st.integers(0, 2)),
        "assigned_to_user": draw(ids),
        "assigned_to_team": draw(ids),
        "readings_missing": draw(st.none() | st.lists(st.just("pressure"), max_size=2)),
        "payroll_cutoff_at": draw(st.none() | moments),
        "payroll_closed_at": draw(st.none() | moments),
        "site_latitude": latitude,
        "site_longitude": longitude,
        "site_radius_m": radius_m,
        "punchin_latitude": draw(st.none() | degrees),
        "punchin_longitude": draw(st.none() | around),
        "punchout_latitude": draw(st.none() | degrees),
        "punchout_longitude": draw(st.none() | around),
    }


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """Draw a request to any state at all, with or without everything it may need."""
    verbs = [m.permission(each) for m in MACHINES for each in m.transitions]
    return Request(
        draw(st.sampled_from(STATES)),
        draw(st.frozensets(st.sampled_from(verbs)) | st.just(frozenset(verbs))),
        draw(st.none() | st.text(max_size=3)),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.none() | moments),
    )


@quickly
@given(machines, st.data())
def test_every_walk_over_arrows_is_at_an_end_or_can_still_reach_one(
    machine: Machine, data: st.DataObject
) -> None:
    state = machine.initial

    for _ in range(data.draw(st.integers(0, 12))):
        if leaving := machine.leaving(state):
            state = data.draw(st.sampled_from([each.target for each in leaving]))

    ways = [shortest_path(machine, state, end) for end in machine.final]
    assert any(way is not None for way in ways)


@quickly
@given(machines, rows(), requests())
def test_judging_never_raises_and_tells_every_reason(
    machine: Machine, row: dict[str, Any], request: Request
) -> None:
    for state in machine.states:
        verdict = judge(machine, state, row, request)

        assert sorted(each.code for each in verdict.reasons) == against(
            machine, state, row, request
        )


def against(machine: Machine, state: str, row: dict[str, Any], request: Request) -> list[str]:
    """Return the codes of all reasons, each rule asked for itself."""
    transition = machine.transition(state, request.to)
    if transition is None:
        return ["illegal_transition"]
    denied = not request.by_system and machine.permission(transition) not in request.permissions
    broken = [rule.reason.code for rule in transition.rules if not rule.holds(row, request)]
    return sorted([*broken, *(["permission_denied"] if denied else [])])


@quickly
@given(machines, rows(), requests())
def test_a_final_state_says_yes_to_nobody(
    machine: Machine, row: dict[str, Any], request: Request
) -> None:
    for state in machine.final:
        assert not judge(machine, state, row, request).ok
        assert explain_transitions(machine, state, row, request) == ()


@quickly
@given(machines, rows(), requests())
def test_explaining_says_of_each_arrow_what_judging_says(
    machine: Machine, row: dict[str, Any], request: Request
) -> None:
    for state in machine.states:
        wanted = [replace(request, to=each.target) for each in machine.leaving(state)]

        told = explain_transitions(machine, state, row, request)

        assert told == tuple(judge(machine, state, row, each) for each in wanted)


@quickly
@given(machines, rows(), requests())
def test_who_has_no_arrow_is_told_where_arrows_lead(
    machine: Machine, row: dict[str, Any], request: Request
) -> None:
    for state in machine.states:
        if machine.transition(state, request.to) is None:
            (reason,) = judge(machine, state, row, request).reasons

            assert all(each.target in reason.message for each in machine.leaving(state))
