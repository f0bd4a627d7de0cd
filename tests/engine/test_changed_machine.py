"""A machine that changes: what docs/how-to/change-a-machine.md says, done to tickets."""

from dataclasses import replace
from uuid import UUID

import pytest

import lockside
from domain.machines.machine import Machine, arrow, needs_comments, system_only
from domain.machines.soundness import find_faults
from domain.machines.ticket import TICKET
from engine.records.standard_roles import update_standard_roles
from models.schema_upgrade import upgrade
from models.ticket import Ticket
from tests.engine.steps import drain
from tests.factories import tickets
from tests.interfaces.commands import call
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.slow

BESIDE = replace(
    TICKET,
    transitions=(
        *TICKET.transitions,
        arrow("INPROGRESS", "WAITING", "wait"),
        arrow("WAITING", "INPROGRESS", "resume"),
        arrow("WAITING", "RESOLVED", "resolve", needs_comments),
        arrow("ONHOLD", "WAITING", "rename_state", system_only),
    ),
)
REPLACED = replace(
    BESIDE,
    transitions=tuple(
        each for each in BESIDE.transitions if "ONHOLD" not in (each.source, each.target)
    ),
)


def release(site: lockside.Session, monkeypatch: pytest.MonkeyPatch, machine: Machine) -> None:
    """Bring out a release with another machine for tickets."""
    monkeypatch.setattr(Ticket, "machine", machine)
    upgrade(site.platform.database)
    update_standard_roles(site.platform)


def move(site: lockside.Session, ids: list[int], to: str) -> dict[str, int]:
    """Move tickets; return how many of them ended how, by code."""
    operation = site.transition("ticket", to=to, ids=ids, atomic=False, comments="Because")
    drain(site, UUID(operation.id))
    outcome = operation.wait(PATIENCE_S)
    return {"done": outcome["successful_items"], **outcome["failure_codes"]}


@pytest.mark.parametrize("machine", [BESIDE, REPLACED], ids=["beside", "replaced"])
def test_the_changed_machines_are_sound(machine: Machine) -> None:
    assert find_faults(machine) == ()


def test_a_new_state_and_its_arrows_are_known_to_guard_and_roles(
    site: lockside.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = tickets(site, 2, state="INPROGRESS")

    release(site, monkeypatch, BESIDE)

    assert move(site, ids, "WAITING") == {"done": 2}
    assert move(site, ids, "RESOLVED") == {"done": 2}


def test_rows_of_a_renamed_state_are_moved_by_the_system_and_recorded(
    site: lockside.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = tickets(site, 3, state="ONHOLD")
    release(site, monkeypatch, BESIDE)
    by_a_person = move(site, ids, "WAITING")
    site.act_as("demo", None)

    moved = move(site, ids, "WAITING")
    release(site, monkeypatch, REPLACED)

    assert (by_a_person, moved) == ({"done": 0, "system_only": 3}, {"done": 3})
    assert move(site, ids, "INPROGRESS") == {"done": 3}


def test_the_doctor_names_rows_in_a_state_that_their_machine_lost(
    site: lockside.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    tickets(site, 2, state="ONHOLD")

    release(site, monkeypatch, REPLACED)

    answer = call(site.settings, "doctor", "--json")
    checks = {each["name"]: (each["status"], each["found"]) for each in answer.json["checks"]}
    assert checks["states"] == ("fail", "2 ticket in ONHOLD")
