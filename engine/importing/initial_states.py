"""In which states work comes in: in those that who brings it may move work to."""

from collections.abc import Collection

from domain.permissions import Actor, states_open_to
from engine.access.permissions import authorize, authorize_one_of
from engine.files.columns import STATE, Columns, Fault
from engine.ports.platform import Platform
from models.base import Work


def authorize_import(platform: Platform, actor: Actor, model: type[Work]) -> tuple[str, ...]:
    """Make sure that an actor may import; return the states in which their work may begin.

    Raises:
        PermissionDenied: They may not; the denial is recorded.
    """
    held = authorize(platform, actor, model.resource_type, "import")
    return states_open_to(model.machine, held)


def demand_states(
    platform: Platform, actor: Actor, model: type[Work], columns: Columns, states: Collection[str]
) -> None:
    """Make sure that checked rows begin in some of these states only.

    Raises:
        PermissionDenied: One of them doesn't; the denial is recorded.
    """
    machine = model.machine
    wanted = set(columns.get(STATE, ()))
    closed = next((each for each in machine.states if each in wanted.difference(states)), None)
    if closed is not None:
        verbs = [each.verb for each in machine.transitions if each.target == closed]
        authorize_one_of(platform, actor, model.resource_type, verbs)


def faults_of_state(columns: Columns, states: Collection[str]) -> list[Fault]:
    """Return a fault for each row that doesn't begin in one of these states."""
    given = columns.get(STATE, ())
    if set(given) <= {None, *states}:
        return []
    expected = f"one of {', '.join(states)}"
    return [
        Fault(position, STATE, each, "permission_denied", expected)
        for position, each in enumerate(given)
        if each is not None and each not in states
    ]
