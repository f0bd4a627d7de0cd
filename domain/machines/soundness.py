"""Soundness: shortest paths through a machine, and the faults of its table."""

from domain.machines.machine import Machine


def shortest_path(machine: Machine, source: str, target: str) -> tuple[str, ...] | None:
    """Return the states on the shortest path from *source* to *target*, the target last.

    Returns:
        An empty tuple if both are the same, None if there is no path. Of several shortest
        paths it is the one that comes first in the machine's table.
    """
    paths: dict[str, tuple[str, ...]] = {source: ()}
    queue = [source]
    for state in queue:
        if state == target:
            return paths[state]
        for transition in machine.leaving(state):
            if transition.target not in paths:
                paths[transition.target] = (*paths[state], transition.target)
                queue.append(transition.target)
    return None


def find_faults(machine: Machine) -> tuple[str, ...]:
    """Return every fault of a machine's table as a sentence; none if it is sound.

    In a sound machine each arrow is listed once, every state can be reached from the initial one,
    a final state can be reached from every state, no arrow leaves a final state, and each verb
    has one target.
    """
    faults = []
    for verb, target in machine.verbs.items():
        targets = {arrow.target for arrow in machine.transitions if arrow.verb == verb}
        others = sorted(targets - {target})
        faults += [f"{verb} leads to {other} and to {target}" for other in others]
    arrows = {(arrow.source, arrow.target) for arrow in machine.transitions}
    if len(arrows) != len(machine.transitions):
        faults.append("an arrow stands in the table twice")
    for state in machine.states:
        if state in machine.final and machine.leaving(state):
            faults.append(f"{state} is final but has a way out")
        if shortest_path(machine, machine.initial, state) is None:
            faults.append(f"{state} can't be reached from {machine.initial}")
        if all(shortest_path(machine, state, end) is None for end in machine.final):
            faults.append(f"{state} is a trap: no final state can be reached from it")
    return tuple(faults)
