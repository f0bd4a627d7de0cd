"""Initial states: allow new work only in states that the importing actor may move work to."""

from collections.abc import Collection

from domain.permissions import Actor, states_open_to
from engine.access.permissions import authorize, authorize_one_of
from engine.files.columns import STATE, Columns, Fault
from engine.ports.platform import Platform
from models.base import Work


def authorize_import(platform: Platform, actor: Actor, model: type[Work]) -> tuple[str, ...]:
    """Make sure that an actor may import; return the states in which their work may begin.

    Raises:
        PermissionDenied: The actor may not; the denial is recorded.
    """
    held = authorize(platform, actor, model.resource_type, "import")
    return states_open_to(model.machine, held)


def authorize_states(
    platform: Platform, actor: Actor, model: type[Work], columns: Columns, states: Collection[str]
) -> None:
    """Make sure that new rows begin only in *states*, which `authorize_import` returned.

    Raises:
        PermissionDenied: A row begins in another state; the denial is recorded.
    """
    machine = model.machine
    requested = set(columns.get(STATE, ()))
    closed = next(
        (state for state in machine.states if state in requested.difference(states)), None
    )
    if closed is not None:
        verbs = [arrow.verb for arrow in machine.transitions if arrow.target == closed]
        authorize_one_of(platform, actor, model.resource_type, verbs)


def faults_of_state(columns: Columns, states: Collection[str]) -> list[Fault]:
    """Return a fault for each row that begins in another state than *states*."""
    row_states = columns.get(STATE, ())
    if set(row_states) <= {None, *states}:
        return []
    expected = f"one of {', '.join(states)}"
    return [
        Fault(position, STATE, state, "permission_denied", expected)
        for position, state in enumerate(row_states)
        if state is not None and state not in states
    ]
