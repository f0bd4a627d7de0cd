"""Machine diagrams: write a machine as a Mermaid state diagram and as a Markdown table."""

from domain.machines.machine import Machine, Transition


def mermaid(machine: Machine) -> str:
    """Return the machine as a Mermaid `stateDiagram-v2`, one line for each arrow."""
    arrows = [f"    {t.source} --> {t.target}: {t.verb}{_marks(t)}" for t in machine.transitions]
    ends = [f"    {state} --> [*]" for state in machine.final]
    return "\n".join(["stateDiagram-v2", f"    [*] --> {machine.initial}", *arrows, *ends])


def transition_table(machine: Machine) -> str:
    """Return the machine as a Markdown table: from, to, permission, rules, undo."""
    rows = [
        f"| {t.source} | {t.target} | `{machine.permission(t)}` | "
        f"{', '.join(rule.mark for rule in t.rules) or '—'} | {'yes' if t.undo else '—'} |"
        for t in machine.transitions
    ]
    return "\n".join(["| from | to | permission | rules | undo |", "|---|---|---|---|---|", *rows])


def _marks(transition: Transition) -> str:
    marks = ", ".join(rule.mark for rule in transition.rules)
    return f" [{marks}]" if marks else ""
