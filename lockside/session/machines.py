"""The machines of all kinds of work, and of operations themselves, proven on request."""

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
    machines = [each.machine for each in kinds().values()] + [OPERATION]
    return [
        {
            "kind": each.kind,
            "initial": each.initial,
            "final": list(each.final),
            "states": len(each.states),
            "arrows": len(each.transitions),
            "faults": list(find_faults(each)),
        }
        for each in machines
    ]
