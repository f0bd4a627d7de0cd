"""Documents show the machine itself: every arrow, with its rules."""

from domain.machines.diagram import mermaid, transition_table
from domain.machines.machine import Machine, arrow, needs_comments
from domain.machines.work_order import WORK_ORDER

DOOR = Machine(
    kind="door",
    initial="OPEN",
    final=("LOCKED",),
    transitions=(
        arrow("OPEN", "SHUT", "shut", undo=True),
        arrow("SHUT", "LOCKED", "lock", needs_comments),
    ),
)


def test_a_diagram_is_the_machine_in_mermaid() -> None:
    assert mermaid(DOOR).splitlines() == [
        "stateDiagram-v2",
        "    [*] --> OPEN",
        "    OPEN --> SHUT: shut",
        "    SHUT --> LOCKED: lock [comments]",
        "    LOCKED --> [*]",
    ]


def test_a_table_tells_permission_rules_and_undo() -> None:
    assert transition_table(DOOR).splitlines()[2:] == [
        "| OPEN | SHUT | `door.shut` | — | yes |",
        "| SHUT | LOCKED | `door.lock` | comments | — |",
    ]


def test_a_diagram_shows_each_arrow_once() -> None:
    lines = mermaid(WORK_ORDER).splitlines()

    arrows = [line for line in lines if ":" in line]
    assert len(arrows) == len(set(arrows)) == len(WORK_ORDER.transitions)
