"""The ticket's machine, as in the contract."""

from domain.machines.machine import Machine, arrow, needs_comments

PRIORITIES = ("LOW", "MEDIUM", "HIGH", "CRITICAL")

TICKET = Machine(
    kind="ticket",
    initial="NEW",
    final=("CLOSED", "CANCELLED"),
    transitions=(
        arrow("NEW", "OPEN", "open"),
        arrow("OPEN", "INPROGRESS", "start", undo=True),
        arrow("INPROGRESS", "ONHOLD", "hold", undo=True),
        arrow("ONHOLD", "INPROGRESS", "resume"),
        arrow("INPROGRESS", "RESOLVED", "resolve", needs_comments, undo=True),
        arrow("ONHOLD", "RESOLVED", "resolve", needs_comments, undo=True),
        arrow("RESOLVED", "CLOSED", "close", needs_comments, undo=True),
        arrow("RESOLVED", "INPROGRESS", "reopen", needs_comments),
        arrow("NEW", "CANCELLED", "cancel", needs_comments, undo=True),
        arrow("OPEN", "CANCELLED", "cancel", needs_comments, undo=True),
        arrow("RESOLVED", "CANCELLED", "cancel", needs_comments, undo=True),
    ),
)
