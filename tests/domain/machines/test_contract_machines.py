"""All four machines, arrow by arrow, as a person reads the contract's table of them."""

from datetime import UTC, datetime
from itertools import product
from typing import Any, NamedTuple

import pytest

from domain.machines.attendance import ATTENDANCE
from domain.machines.field_task import FIELD_TASK
from domain.machines.machine import Machine, Request, Transition, judge, no_change
from domain.machines.soundness import find_faults
from domain.machines.ticket import TICKET
from domain.machines.work_order import WORK_ORDER

MACHINES = {each.kind: each for each in (WORK_ORDER, FIELD_TASK, ATTENDANCE, TICKET)}
each_machine = pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)


class Line(NamedTuple):
    """One arrow of the contract: `c` comments, `m` manager, `s` the system, `u` undo."""

    kind: str
    source: str
    target: str
    verb: str
    marks: str
    codes: tuple[str, ...] = ()


# Where the contract names an arrow twice, once for people and once for the system, it is one:
# it wants comments of both, and of the system no permission.
CONTRACT = [
    Line("work_order", "DRAFT", "SUBMITTED", "submit", "mu"),
    Line("work_order", "SUBMITTED", "APPROVED", "approve", "u", ("vendor_missing",)),
    Line("work_order", "APPROVED", "IN_PROGRESS", "start", "u"),
    Line("work_order", "IN_PROGRESS", "COMPLETED", "complete", "u", ("lines_missing",)),
    Line("work_order", "COMPLETED", "CLOSED", "close", "cu"),
    Line("work_order", "DRAFT", "CANCELLED", "cancel", "cu"),
    Line("work_order", "SUBMITTED", "CANCELLED", "cancel", "cu"),
    Line("work_order", "APPROVED", "CANCELLED", "cancel", "cu"),
    Line("work_order", "IN_PROGRESS", "CANCELLED", "cancel", "cu"),
    Line("work_order", "SUBMITTED", "REJECTED", "reject", "cu"),
    Line("work_order", "APPROVED", "REJECTED", "reject", "cu"),
    Line("work_order", "COMPLETED", "REJECTED", "reject", "cu"),
    Line("work_order", "REJECTED", "DRAFT", "rework", ""),
    Line("task", "ASSIGNED", "INPROGRESS", "start", "u", ("assignee_missing",)),
    Line("task", "INPROGRESS", "WORKING", "work", "u"),
    Line("task", "INPROGRESS", "STANDBY", "hold", "cu"),
    Line("task", "STANDBY", "INPROGRESS", "resume", ""),
    Line("task", "WORKING", "MAINTENANCE", "maintain", "u"),
    Line("task", "MAINTENANCE", "WORKING", "work", ""),
    Line("task", "INPROGRESS", "COMPLETED", "complete", "u", ("readings_missing",)),
    Line("task", "WORKING", "COMPLETED", "complete", "u", ("readings_missing",)),
    Line("task", "WORKING", "PARTIALLYCOMPLETED", "partial", "cu"),
    Line("task", "COMPLETED", "PARTIALLYCOMPLETED", "partial", "cu"),
    Line("task", "ASSIGNED", "PARTIALLYCOMPLETED", "partial", "su"),
    Line("task", "INPROGRESS", "PARTIALLYCOMPLETED", "partial", "su"),
    Line("task", "STANDBY", "PARTIALLYCOMPLETED", "partial", "su"),
    Line("task", "MAINTENANCE", "PARTIALLYCOMPLETED", "partial", "su"),
    Line("task", "ASSIGNED", "AUTOCLOSED", "autoclose", "scu"),
    Line("task", "INPROGRESS", "AUTOCLOSED", "autoclose", "scu"),
    Line("task", "WORKING", "AUTOCLOSED", "autoclose", "scu"),
    Line("task", "STANDBY", "AUTOCLOSED", "autoclose", "scu"),
    Line("task", "MAINTENANCE", "AUTOCLOSED", "autoclose", "scu"),
    Line("task", "COMPLETED", "AUTOCLOSED", "autoclose", "scu"),
    Line("task", "PARTIALLYCOMPLETED", "AUTOCLOSED", "autoclose", "scu"),
    Line(
        *("attendance", "PENDING", "APPROVED", "approve", "u"), ("after_cutoff", "outside_geofence")
    ),
    Line("attendance", "PENDING", "REJECTED", "reject", "cu"),
    Line("attendance", "REJECTED", "PENDING", "resubmit", ""),
    Line("attendance", "APPROVED", "ADJUSTED", "adjust", "cmu"),
    Line("attendance", "APPROVED", "LOCKED", "lock", "c"),
    Line("attendance", "ADJUSTED", "LOCKED", "lock", "c"),
    Line("ticket", "NEW", "OPEN", "open", ""),
    Line("ticket", "OPEN", "INPROGRESS", "start", "u"),
    Line("ticket", "INPROGRESS", "ONHOLD", "hold", "u"),
    Line("ticket", "ONHOLD", "INPROGRESS", "resume", ""),
    Line("ticket", "INPROGRESS", "RESOLVED", "resolve", "cu"),
    Line("ticket", "ONHOLD", "RESOLVED", "resolve", "cu"),
    Line("ticket", "RESOLVED", "CLOSED", "close", "cu"),
    Line("ticket", "RESOLVED", "INPROGRESS", "reopen", "c"),
    Line("ticket", "NEW", "CANCELLED", "cancel", "cu"),
    Line("ticket", "OPEN", "CANCELLED", "cancel", "cu"),
    Line("ticket", "RESOLVED", "CANCELLED", "cancel", "cu"),
]
FIRST = {"work_order": "DRAFT", "task": "ASSIGNED", "attendance": "PENDING", "ticket": "NEW"}
FINAL = {
    "work_order": {"CLOSED", "CANCELLED"},
    "task": {"AUTOCLOSED"},
    "attendance": {"LOCKED"},
    "ticket": {"CLOSED", "CANCELLED"},
}
OF_MARK = {"c": "comments_required", "m": "manager_required", "s": "system_only"}
CLOSED_AT = datetime(2026, 11, 1, tzinfo=UTC)
# Facts under which no rule of any kind holds, and facts under which every one does.
BAD: dict[str, Any] = {
    "vendor_id": None,
    "line_count": 0,
    "assigned_to_user": None,
    "assigned_to_team": None,
    "readings_missing": ["pressure"],
    "payroll_cutoff_at": CLOSED_AT,
    "payroll_closed_at": CLOSED_AT,
    "site_latitude": 19.0,
    "site_longitude": 72.8,
    "site_radius_m": 50.0,
    "punchin_latitude": 28.6,
    "punchin_longitude": 77.2,
    "punchout_latitude": None,
    "punchout_longitude": None,
}
GOOD: dict[str, Any] = dict.fromkeys(BAD) | {
    "vendor_id": 1,
    "line_count": 1,
    "assigned_to_team": 1,
    "readings_missing": [],
}

each_line = pytest.mark.parametrize(
    "line", CONTRACT, ids=lambda line: f"{line.kind}-{line.source}-{line.target}"
)


def known(line: Line) -> Transition:
    found = MACHINES[line.kind].transition(line.source, line.target)
    assert found is not None, f"{line.kind} has no {line.source} → {line.target}"
    return found


def codes(line: Line, request: Request, facts: dict[str, Any]) -> set[str]:
    verdict = judge(MACHINES[line.kind], line.source, facts, request)
    return {each.code for each in verdict.reasons}


@each_machine
def test_a_kind_has_exactly_the_arrows_of_the_contract(machine: Machine) -> None:
    declared = [(each.source, each.target) for each in CONTRACT if each.kind == machine.kind]

    arrows = [(each.source, each.target) for each in machine.transitions]

    assert (sorted(arrows), len(arrows)) == (sorted(declared), len(set(declared)))


@each_machine
def test_no_other_pair_of_states_has_an_arrow(machine: Machine) -> None:
    declared = {(each.source, each.target) for each in CONTRACT if each.kind == machine.kind}

    found = {pair for pair in product(machine.states, repeat=2) if machine.transition(*pair)}

    assert found == declared


@each_machine
def test_a_kind_begins_and_ends_where_the_contract_says(machine: Machine) -> None:
    assert (machine.initial, set(machine.final)) == (FIRST[machine.kind], FINAL[machine.kind])


@each_line
def test_an_arrow_has_the_verb_of_the_contract(line: Line) -> None:
    assert known(line).verb == line.verb


@each_line
def test_undo_may_go_back_where_the_contract_says(line: Line) -> None:
    assert known(line).undo is ("u" in line.marks)


@each_line
def test_an_arrow_needs_the_permission_of_its_kind_and_verb(line: Line) -> None:
    assert MACHINES[line.kind].permission(known(line)) == f"{line.kind}.{line.verb}"


@each_line
def test_against_an_arrow_speak_exactly_the_reasons_of_the_contract(line: Line) -> None:
    told = codes(line, Request(line.target, now=CLOSED_AT), BAD)

    wanted = {OF_MARK[mark] for mark in line.marks if mark in OF_MARK}
    assert told == {"permission_denied", *wanted, *line.codes}


@each_line
def test_the_system_needs_no_permission_and_no_manager_but_keeps_the_rest(line: Line) -> None:
    told = codes(line, Request(line.target, by_system=True, now=CLOSED_AT), BAD)

    assert told == ({"comments_required"} if "c" in line.marks else set()) | set(line.codes)


@each_line
def test_a_person_with_everything_passes_unless_it_is_the_systems(line: Line) -> None:
    request = Request(
        line.target,
        permissions=frozenset({f"{line.kind}.{line.verb}"}),
        comments="Because",
        by_manager=True,
        now=CLOSED_AT,
    )

    assert codes(line, request, GOOD) == ({"system_only"} if "s" in line.marks else set())


@each_line
def test_the_permission_of_another_kind_or_verb_is_none(line: Line) -> None:
    others = {f"{each.kind}.{each.verb}" for each in CONTRACT} - {f"{line.kind}.{line.verb}"}

    told = codes(line, Request(line.target, permissions=frozenset(others)), GOOD)

    assert "permission_denied" in told


@each_machine
def test_every_machine_is_sound(machine: Machine) -> None:
    assert find_faults(machine) == ()


@each_machine
def test_nothing_leads_out_of_a_final_state(machine: Machine) -> None:
    assert [each for state in machine.final for each in machine.leaving(state)] == []


@each_machine
def test_a_row_changes_in_every_state_but_a_final_one(machine: Machine) -> None:
    frozen = {each for each in machine.states if no_change(machine, each) is not None}

    assert frozen == FINAL[machine.kind]


@each_machine
def test_a_verb_leads_to_one_state(machine: Machine) -> None:
    targets = {(each.verb, each.target) for each in machine.transitions}

    assert machine.verbs == dict(targets)
    assert len(targets) == len(machine.verbs)
