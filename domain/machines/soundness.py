"""The ways through a machine, and the proof that its table is sound."""

from domain.machines.machine import Machine


def shortest_path(machine: Machine, source: str, target: str) -> tuple[str, ...] | None:
    """Return the states to walk from *source* to *target*, the target last.

    Returns:
        An empty tuple if the row is there already, None where no way leads there. Of
        several shortest ways it is the one that stands first in the machine's table.
    """
    ways: dict[str, tuple[str, ...]] = {source: ()}
    queue = [source]
    for state in queue:
        if state == target:
            return ways[state]
        for each in machine.leaving(state):
            if each.target not in ways:
                ways[each.target] = (*ways[state], each.target)
                queue.append(each.target)
    return None


def find_faults(machine: Machine) -> tuple[str, ...]:
    """Prove the machine: return every fault of its table as a sentence, none if it is sound.

    A sound machine names each arrow once, reaches every state from the initial one, lets
    every state end in a final one, leaves no final state, and has one target for each verb.
    """
    faults = []
    for verb, target in machine.verbs.items():
        others = {each.target for each in machine.transitions if each.verb == verb} - {target}
        faults += [f"{verb} leads to {other} and to {target}" for other in sorted(others)]
    if len({(each.source, each.target) for each in machine.transitions}) != len(
        machine.transitions
    ):
        faults.append("an arrow stands in the table twice")
    for state in machine.states:
        if state in machine.final and machine.leaving(state):
            faults.append(f"{state} is final but has a way out")
        if shortest_path(machine, machine.initial, state) is None:
            faults.append(f"{state} can't be reached from {machine.initial}")
        if all(shortest_path(machine, state, end) is None for end in machine.final):
            faults.append(f"{state} is a trap: no final state can be reached from it")
    return tuple(faults)
