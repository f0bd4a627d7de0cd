"""The machines are the contract's table: every arrow of it, and nothing else."""

import re
from itertools import product

import pytest

from domain.machine import Machine, Transition, check
from domain.operation import OPEN_STATES, OPERATION
from domain.ticket import TICKET
from domain.work_order import WORK_ORDER

# The two rows of the contract's table "Machines", as they stand there.
WORK_ORDER_ROW = """
DRAFT→SUBMITTED submit **m** u · SUBMITTED→APPROVED approve (vendor) u ·
APPROVED→IN_PROGRESS start u · IN_PROGRESS→COMPLETED complete (≥ 1 line) u ·
COMPLETED→CLOSED close **c** u ·
DRAFT/SUBMITTED/APPROVED/IN_PROGRESS→CANCELLED cancel **c** u ·
SUBMITTED/APPROVED/COMPLETED→REJECTED reject **c** u · REJECTED→DRAFT rework
"""
TICKET_ROW = """
NEW→OPEN open · OPEN→INPROGRESS start u · INPROGRESS→ONHOLD hold u · ONHOLD→INPROGRESS resume ·
INPROGRESS/ONHOLD→RESOLVED resolve **c** u · RESOLVED→CLOSED close **c** u ·
RESOLVED→INPROGRESS reopen **c** · NEW/OPEN/RESOLVED→CANCELLED cancel **c** u
"""
ENTRY = re.compile(
    r"(?P<sources>[A-Z_/]+)→(?P<target>[A-Z_]+) (?P<verb>[a-z]+)"
    r"(?: \((?P<rule>[^)]+)\))?(?: \*\*(?P<marks>[cms ]+)\*\*)?(?P<undo> u)?"
)
CODES = {"c": "comments_required", "m": "manager_required", "s": "system_only"}
RULES = {"vendor": "vendor_missing", "≥ 1 line": "lines_missing"}

CASES = [
    pytest.param(WORK_ORDER, WORK_ORDER_ROW, "DRAFT", {"CLOSED", "CANCELLED"}, id="work_order"),
    pytest.param(TICKET, TICKET_ROW, "NEW", {"CLOSED", "CANCELLED"}, id="ticket"),
]

Arrow = tuple[str, str, str, frozenset[str], bool]


def written(row: str) -> set[Arrow]:
    """Read the contract's notation: source, target, verb, the codes of its rules, undo."""
    arrows = set()
    for entry in " ".join(row.split()).split(" · "):
        found = ENTRY.fullmatch(entry)
        assert found, entry
        codes = {CODES[mark] for mark in (found["marks"] or "").split()}
        codes |= {RULES[found["rule"]]} if found["rule"] else set()
        for source in found["sources"].split("/"):
            arrows.add(
                (source, found["target"], found["verb"], frozenset(codes), bool(found["undo"]))
            )
    return arrows


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


@pytest.mark.parametrize("machine", [WORK_ORDER, TICKET, OPERATION], ids=lambda m: m.kind)
def test_our_machines_are_sound(machine: Machine) -> None:
    assert check(machine) == ()


def test_an_operation_has_the_states_of_the_contract() -> None:
    assert set(OPERATION.states) == {
        *("PLANNED", "QUEUED", "RUNNING", "PAUSED", "CANCELLING"),
        *("SUCCEEDED", "COMPLETED_WITH_ERRORS", "ROLLED_BACK", "CANCELLED", "FAILED"),
    }


def test_an_operation_is_open_until_it_has_a_final_state() -> None:
    assert set(OPEN_STATES) == {"PLANNED", "QUEUED", "RUNNING", "PAUSED", "CANCELLING"}
