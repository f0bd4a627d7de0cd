"""The machines are the contract's table: every arrow of it, and nothing else."""

import re
from itertools import product

import pytest

from domain.machines.attendance import ATTENDANCE
from domain.machines.field_task import FIELD_TASK
from domain.machines.machine import Machine, Transition
from domain.machines.operation import OPEN_STATES, OPERATION
from domain.machines.soundness import find_faults
from domain.machines.ticket import TICKET
from domain.machines.work_order import WORK_ORDER

# The rows of the contract's table "Machines", as they stand there.
WORK_ORDER_ROW = """
DRAFT→SUBMITTED submit **m** u · SUBMITTED→APPROVED approve (vendor) u ·
APPROVED→IN_PROGRESS start u · IN_PROGRESS→COMPLETED complete (≥ 1 line) u ·
COMPLETED→CLOSED close **c** u ·
DRAFT/SUBMITTED/APPROVED/IN_PROGRESS→CANCELLED cancel **c** u ·
SUBMITTED/APPROVED/COMPLETED→REJECTED reject **c** u · REJECTED→DRAFT rework
"""
TASK_ROW = """
ASSIGNED→INPROGRESS start (assignee) u · INPROGRESS→WORKING work u ·
INPROGRESS→STANDBY hold **c** u · STANDBY→INPROGRESS resume · WORKING→MAINTENANCE maintain u ·
MAINTENANCE→WORKING work · INPROGRESS/WORKING→COMPLETED complete (readings) u ·
WORKING/COMPLETED→PARTIALLYCOMPLETED partial **c** u ·
ASSIGNED/INPROGRESS/WORKING/STANDBY/MAINTENANCE→PARTIALLYCOMPLETED partial **s** u ·
all but AUTOCLOSED→AUTOCLOSED autoclose **s** (system's comment) u
"""
# When a period closes the system takes these same arrows, with its own comment.
ATTENDANCE_ROW = """
PENDING→APPROVED approve (cutoff, geofence) u · PENDING→REJECTED reject **c** u ·
REJECTED→PENDING resubmit · APPROVED→ADJUSTED adjust **c m** u ·
APPROVED/ADJUSTED→LOCKED lock **c**
"""
TICKET_ROW = """
NEW→OPEN open · OPEN→INPROGRESS start u · INPROGRESS→ONHOLD hold u · ONHOLD→INPROGRESS resume ·
INPROGRESS/ONHOLD→RESOLVED resolve **c** u · RESOLVED→CLOSED close **c** u ·
RESOLVED→INPROGRESS reopen **c** · NEW/OPEN/RESOLVED→CANCELLED cancel **c** u
"""
ENTRY = re.compile(
    r"(?P<sources>[A-Z_/]+|all but [A-Z]+)→(?P<target>[A-Z_]+) (?P<verb>[a-z]+)"
    r"(?: \((?P<rules>[^)]+)\))?(?: \*\*(?P<marks>[cms ]+)\*\*)?(?: \((?P<more>[^)]+)\))?"
    r"(?P<undo> u)?"
)
CODES = {"c": "comments_required", "m": "manager_required", "s": "system_only"}
RULES = {
    "vendor": "vendor_missing",
    "≥ 1 line": "lines_missing",
    "assignee": "assignee_missing",
    "readings": "readings_missing",
    "cutoff": "after_cutoff",
    "geofence": "outside_geofence",
    "system's comment": "comments_required",
}

CASES = [
    pytest.param(WORK_ORDER, WORK_ORDER_ROW, "DRAFT", {"CLOSED", "CANCELLED"}, id="work_order"),
    pytest.param(FIELD_TASK, TASK_ROW, "ASSIGNED", {"AUTOCLOSED"}, id="task"),
    pytest.param(ATTENDANCE, ATTENDANCE_ROW, "PENDING", {"LOCKED"}, id="attendance"),
    pytest.param(TICKET, TICKET_ROW, "NEW", {"CLOSED", "CANCELLED"}, id="ticket"),
]

Arrow = tuple[str, str, str, frozenset[str], bool]


def written(row: str) -> set[Arrow]:
    """Read the contract's notation: source, target, verb, the codes of its rules, undo.

    Of an arrow that stands there twice, for people and then for the system, the first counts:
    the system may take what people may.
    """
    found = [ENTRY.fullmatch(entry) for entry in " ".join(row.split()).split(" · ")]
    entries = [each for each in found if each]
    assert len(entries) == len(found), row
    named = [each[name] for each in entries for name in ("sources", "target")]
    states = {state for each in named for state in each.split("/") if " " not in state}
    arrows: dict[tuple[str, str], Arrow] = {}
    for entry in entries:
        rules = f"{entry['rules'] or ''}, {entry['more'] or ''}".split(", ")
        codes = {CODES[mark] for mark in (entry["marks"] or "").split()}
        codes |= {RULES[each] for each in rules if each}
        for source in sources_of(entry["sources"], states):
            each = source, entry["target"], entry["verb"], frozenset(codes), bool(entry["undo"])
            arrows.setdefault((source, entry["target"]), each)
    return set(arrows.values())


def sources_of(written_: str, states: set[str]) -> set[str]:
    """Return the states that an entry's arrow begins in."""
    name, _, but = written_.partition("all but ")
    return states - {but} if but else set(name.split("/"))


def told(each: Transition) -> Arrow:
    codes = frozenset(rule.reason.code for rule in each.rules)
    return each.source, each.target, each.verb, codes, each.undo


@pytest.mark.parametrize(("machine", "row", "initial", "final"), CASES)
def test_a_machine_has_the_arrows_of_the_contract_and_no_other(
    machine: Machine, row: str, initial: str, final: set[str]
) -> None:
    arrows = [told(each) for each in machine.transitions]

    assert set(arrows) == written(row)
    assert len(arrows) == len(written(row))


@pytest.mark.parametrize(("machine", "row", "initial", "final"), CASES)
def test_a_machine_begins_and_ends_where_the_contract_says(
    machine: Machine, row: str, initial: str, final: set[str]
) -> None:
    assert (machine.initial, set(machine.final)) == (initial, final)


@pytest.mark.parametrize(("machine", "row", "initial", "final"), CASES)
def test_every_pair_of_states_without_an_arrow_in_the_contract_has_none(
    machine: Machine, row: str, initial: str, final: set[str]
) -> None:
    declared = {(source, target) for source, target, *_ in written(row)}

    known = {pair for pair in product(machine.states, repeat=2) if machine.transition(*pair)}

    assert known == declared


@pytest.mark.parametrize(("machine", "row", "initial", "final"), CASES)
def test_a_permission_is_the_kind_and_the_verb(
    machine: Machine, row: str, initial: str, final: set[str]
) -> None:
    permissions = {machine.permission(each) for each in machine.transitions}

    assert permissions == {f"{machine.kind}.{verb}" for _, _, verb, *_ in written(row)}


@pytest.mark.parametrize(
    "machine", [WORK_ORDER, FIELD_TASK, ATTENDANCE, TICKET, OPERATION], ids=lambda m: m.kind
)
def test_our_machines_are_sound(machine: Machine) -> None:
    assert find_faults(machine) == ()


def test_an_operation_has_the_states_of_the_contract() -> None:
    assert set(OPERATION.states) == {
        *("PLANNED", "QUEUED", "RUNNING", "PAUSED", "CANCELLING"),
        *("SUCCEEDED", "COMPLETED_WITH_ERRORS", "ROLLED_BACK", "CANCELLED", "FAILED"),
    }


def test_an_operation_is_open_until_it_has_a_final_state() -> None:
    assert set(OPEN_STATES) == {"PLANNED", "QUEUED", "RUNNING", "PAUSED", "CANCELLING"}
