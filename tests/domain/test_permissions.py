"""Roles hold permissions; a manager named beside the actor lends his being one, nothing else."""

import pytest

from domain.permissions import ROLES, granted, permissions_of
from domain.ticket import TICKET
from domain.work_order import WORK_ORDER

MACHINES = (WORK_ORDER, TICKET)
EVERYTHING = {each.permission(arrow) for each in MACHINES for arrow in each.transitions}
ASHA, DORA = 1, 2


def test_the_roles_are_those_of_the_contract() -> None:
    assert set(ROLES) == {
        *("viewer", "technician", "dispatcher", "supervisor"),
        *("manager", "payroll", "auditor", "admin"),
    }


@pytest.mark.parametrize("role", ["manager", "admin"])
def test_a_manager_and_an_admin_hold_every_permission(role: str) -> None:
    assert set(permissions_of(role, MACHINES)) == EVERYTHING


@pytest.mark.parametrize("role", ["viewer", "auditor"])
def test_who_only_looks_holds_no_permission(role: str) -> None:
    assert permissions_of(role, MACHINES) == ()


@pytest.mark.parametrize("role", ROLES)
def test_a_role_holds_permissions_of_the_machines_only(role: str) -> None:
    assert set(permissions_of(role, MACHINES)) <= EVERYTHING


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
