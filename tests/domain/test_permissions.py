"""Roles hold permissions; a manager named beside the actor lends his being one, nothing else."""

import pytest

from domain.machines.attendance import ATTENDANCE
from domain.machines.field_task import FIELD_TASK
from domain.machines.machine import Machine
from domain.machines.ticket import TICKET
from domain.machines.work_order import WORK_ORDER
from domain.permissions import ROLES, granted, permissions_of, states_open_to

MACHINES = (WORK_ORDER, FIELD_TASK, ATTENDANCE, TICKET)
OTHERS = ("site", "calendar", "vendor", "payroll_period")
ADMINISTRATION = ("person", "person_role", "role")
RESOURCE_TYPES = (*OTHERS, *ADMINISTRATION, *(each.kind for each in MACHINES))
ASHA, DORA = 1, 2

RECORDS = "view create update delete"
# What each role may do with each kind of work, in words.
OF_WORK = {
    "viewer": {
        "work_order": "view",
        "task": "view",
        "attendance": "view",
        "ticket": "view",
    },
    "auditor": {
        "work_order": "view",
        "task": "view",
        "attendance": "view",
        "ticket": "view",
    },
    "technician": {
        "work_order": "view record start complete",
        "task": "view record start work hold resume maintain complete partial",
        "attendance": "view record create",
        "ticket": "view record create start hold resume resolve",
    },
    "dispatcher": {
        "work_order": "view create update assign import submit start cancel rework",
        "task": "view create update assign import start hold resume",
        "attendance": "view create update assign import",
        "ticket": "view create update assign import open start hold resume resolve cancel reopen",
    },
    "supervisor": {
        "work_order": f"{RECORDS} assign import record submit approve start complete close cancel"
        " reject rework",
        "task": f"{RECORDS} assign import record start work hold resume maintain complete partial",
        "attendance": f"{RECORDS} assign import record approve reject resubmit",
        "ticket": f"{RECORDS} assign import record open start hold resume resolve close cancel"
        " reopen",
    },
    "payroll": {
        "work_order": "view",
        "task": "view",
        "attendance": "view lock",
        "ticket": "view",
    },
    "manager": {
        each.kind: f"{RECORDS} assign import record {' '.join(each.verbs)}" for each in MACHINES
    },
    "admin": {
        each.kind: f"{RECORDS} assign import record {' '.join(each.verbs)}" for each in MACHINES
    },
}


def spelled(table: dict[str, str]) -> set[str]:
    """Return the permissions of a table of verbs by resource type."""
    return {
        f"{resource_type}.{verb}"
        for resource_type, verbs in table.items()
        for verb in verbs.split()
    }


def held_over(role: str, resource_types: tuple[str, ...]) -> set[str]:
    """Return what a role may do with records of these resource types."""
    held = permissions_of(role, MACHINES, RESOURCE_TYPES)
    return {each for each in held if each.partition(".")[0] in resource_types}


STEERING = {
    *("operation.cancel", "operation.pause", "operation.resume"),
    *("operation.retry", "operation.execute", "operation.undo"),
}

AUDIT = {"audit.view", "audit.verify"}


def test_the_roles_are_those_of_the_contract() -> None:
    assert set(ROLES) == {
        *("viewer", "technician", "dispatcher", "supervisor"),
        *("manager", "payroll", "auditor", "admin"),
    }


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_do_with_work_what_its_table_says_and_no_more(role: str) -> None:
    beside = {"tenant.create", *STEERING, *AUDIT, "audit.archive", "audit.erase"}

    assert set(permissions_of(role, MACHINES)) - beside == spelled(OF_WORK[role])


@pytest.mark.parametrize("role", ["manager", "admin"])
def test_a_manager_and_an_admin_hold_every_permission_over_work(role: str) -> None:
    everything = {each.permission(arrow) for each in MACHINES for arrow in each.transitions}
    everything |= spelled(dict.fromkeys((m.kind for m in MACHINES), f"{RECORDS} assign import"))

    assert everything <= set(permissions_of(role, MACHINES))


@pytest.mark.parametrize("role", ["viewer", "auditor"])
def test_who_only_looks_may_do_nothing_else(role: str) -> None:
    held = permissions_of(role, MACHINES, RESOURCE_TYPES)

    looks = {"view", "verify"} if role == "auditor" else {"view"}
    assert {each.partition(".")[2] for each in held} == looks


@pytest.mark.parametrize("role", ROLES)
def test_everybody_may_view_everything(role: str) -> None:
    assert spelled(dict.fromkeys(RESOURCE_TYPES, "view")) <= set(
        permissions_of(role, MACHINES, RESOURCE_TYPES)
    )


@pytest.mark.parametrize("role", ["technician", "dispatcher", "supervisor"])
def test_who_works_changes_no_record_but_work(role: str) -> None:
    assert held_over(role, (*OTHERS, *ADMINISTRATION)) == spelled(
        dict.fromkeys((*OTHERS, *ADMINISTRATION), "view")
    )


@pytest.mark.parametrize("role", ["manager", "admin"])
def test_a_manager_and_an_admin_change_every_other_record(role: str) -> None:
    assert held_over(role, OTHERS) == spelled(dict.fromkeys(OTHERS, RECORDS))


def test_people_and_roles_are_the_administrators_alone() -> None:
    changing = {
        role
        for role in ROLES
        if held_over(role, ADMINISTRATION) - spelled(dict.fromkeys(ADMINISTRATION, "view"))
    }

    assert changing == {"admin"}
    assert held_over("admin", ADMINISTRATION) == spelled(dict.fromkeys(ADMINISTRATION, RECORDS))


def test_payroll_keeps_its_periods_and_deletes_none() -> None:
    assert held_over("payroll", OTHERS) == spelled(
        {"payroll_period": "view create update", **dict.fromkeys(OTHERS[:-1], "view")}
    )


# What is neither a kind of work nor a record, and who holds it.
BESIDE = {
    "supervisor": STEERING,
    "auditor": AUDIT,
    "manager": STEERING | AUDIT,
    "admin": STEERING | AUDIT | {"tenant.create", "audit.archive", "audit.erase"},
}


@pytest.mark.parametrize("role", ROLES)
def test_beside_work_and_records_few_hold_anything(role: str) -> None:
    held = set(permissions_of(role, MACHINES, RESOURCE_TYPES))

    assert held - held_over(role, RESOURCE_TYPES) == BESIDE.get(role, set())


@pytest.mark.parametrize("permission", sorted(STEERING))
def test_who_leads_steers_the_operations_of_others(permission: str) -> None:
    held = {role for role in ROLES if permission in permissions_of(role, MACHINES)}

    assert held == {"supervisor", "manager", "admin"}


def test_a_kind_among_the_nouns_changes_nothing() -> None:
    kinds = [each.kind for each in MACHINES]

    assert permissions_of("viewer", MACHINES, kinds) == permissions_of("viewer", MACHINES)


@pytest.mark.parametrize("role", ROLES)
def test_permissions_are_told_in_order_and_once(role: str) -> None:
    held = permissions_of(role, MACHINES, RESOURCE_TYPES)

    assert list(held) == sorted(set(held))


def test_an_unknown_role_is_an_error() -> None:
    with pytest.raises(KeyError):
        permissions_of("janitor", MACHINES)


def test_the_permissions_of_several_roles_add_up() -> None:
    held = [(ASHA, "a", ["work_order.start"]), (ASHA, "b", ["ticket.open"])]

    permissions, _ = granted(held, ASHA)

    assert permissions == {"work_order.start", "ticket.open"}


def test_the_permissions_of_the_person_who_approved_do_not_count() -> None:
    held = [(DORA, "dispatcher", ["ticket.open"]), (ASHA, "manager", ["work_order.submit"])]

    permissions, by_manager = granted(held, DORA)

    assert permissions == {"ticket.open"}
    assert by_manager


def test_an_admin_alone_is_no_manager() -> None:
    assert granted([(ASHA, "admin", [])], ASHA) == (frozenset(), False)


def test_who_holds_no_role_may_do_nothing() -> None:
    assert granted([], ASHA) == (frozenset(), False)


@pytest.mark.parametrize("machine", MACHINES, ids=[each.kind for each in MACHINES])
def test_who_holds_nothing_begins_work_in_its_initial_state_only(machine: Machine) -> None:
    assert states_open_to(machine, frozenset()) == (machine.initial,)


@pytest.mark.parametrize("machine", MACHINES, ids=[each.kind for each in MACHINES])
def test_the_system_and_who_holds_everything_begin_it_anywhere(machine: Machine) -> None:
    everything = permissions_of("manager", MACHINES)

    assert states_open_to(machine, None) == states_open_to(machine, everything) == machine.states


def test_one_arrow_into_a_state_is_enough() -> None:
    held = {"ticket.resume"}

    assert states_open_to(TICKET, held) == ("NEW", "INPROGRESS")
