"""The work order's machine, as in the contract."""

from domain.machines.machine import Machine, arrow, needs, needs_comments, needs_manager

_vendor = needs(
    "vendor_id", code="vendor_missing", message="Cannot approve without vendor assignment"
)
# An approval is for one vendor: another vendor needs another approval.
_ORDERED = frozenset({"vendor_id"})
_lines = needs("line_count", code="lines_missing", message="Cannot complete without any line")

WORK_ORDER = Machine(
    kind="work_order",
    initial="DRAFT",
    final=("CLOSED", "CANCELLED"),
    settled=dict.fromkeys(("APPROVED", "IN_PROGRESS", "COMPLETED"), _ORDERED),
    transitions=(
        arrow("DRAFT", "SUBMITTED", "submit", needs_manager, undo=True),
        arrow("SUBMITTED", "APPROVED", "approve", _vendor, undo=True),
        arrow("APPROVED", "IN_PROGRESS", "start", undo=True),
        arrow("IN_PROGRESS", "COMPLETED", "complete", _lines, undo=True),
        arrow("COMPLETED", "CLOSED", "close", needs_comments, undo=True),
        arrow("DRAFT", "CANCELLED", "cancel", needs_comments, undo=True),
        arrow("SUBMITTED", "CANCELLED", "cancel", needs_comments, undo=True),
        arrow("APPROVED", "CANCELLED", "cancel", needs_comments, undo=True),
        arrow("IN_PROGRESS", "CANCELLED", "cancel", needs_comments, undo=True),
        arrow("SUBMITTED", "REJECTED", "reject", needs_comments, undo=True),
        arrow("APPROVED", "REJECTED", "reject", needs_comments, undo=True),
        arrow("COMPLETED", "REJECTED", "reject", needs_comments, undo=True),
        arrow("REJECTED", "DRAFT", "rework"),
    ),
)
