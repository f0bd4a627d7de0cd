"""Machine check: list the faults in the machines of all kinds of work and of operations."""

from typing import Any

from domain.machines.operation import OPERATION
from domain.machines.soundness import find_faults
from models.base import kinds


def check_machines() -> list[dict[str, Any]]:
    """Return each machine with its faults; a sound one has none.

    Returns:
        Dicts with `kind`, `initial`, `final`, how many `states` and `arrows`, and `faults` as
        sentences.
    """
    machines = [machine.machine for machine in kinds().values()] + [OPERATION]
    return [
        {
            "kind": machine.kind,
            "initial": machine.initial,
            "final": list(machine.final),
            "states": len(machine.states),
            "arrows": len(machine.transitions),
            "faults": list(find_faults(machine)),
        }
        for machine in machines
    ]
