"""The operation's machine: the states of a submitted operation, from its plan to its end."""

from domain.machines.machine import Machine, arrow

SUCCEEDED = "SUCCEEDED"
COMPLETED_WITH_ERRORS = "COMPLETED_WITH_ERRORS"
ROLLED_BACK = "ROLLED_BACK"
CANCELLED = "CANCELLED"
FAILED = "FAILED"

_ENDS = {
    SUCCEEDED: "succeed",
    COMPLETED_WITH_ERRORS: "complete",
    ROLLED_BACK: "roll_back",
    CANCELLED: "give_up",
    FAILED: "fail",
}

OPERATION = Machine(
    kind="operation",
    initial="PLANNED",
    final=tuple(_ENDS),
    transitions=(
        arrow("PLANNED", "QUEUED", "execute"),
        arrow("PLANNED", "CANCELLED", "discard"),
        arrow("QUEUED", "RUNNING", "start"),
        arrow("QUEUED", "PAUSED", "pause"),
        arrow("QUEUED", "CANCELLING", "cancel"),
        arrow("RUNNING", "PAUSED", "pause"),
        arrow("RUNNING", "CANCELLING", "cancel"),
        arrow("PAUSED", "QUEUED", "resume"),
        arrow("PAUSED", "CANCELLING", "cancel"),
        *(
            arrow(source, end, verb)
            # An operation may end from any of these: when its last chunk has ended, nothing is
            # left to pause, or to start again once resumed.
            for source in ("QUEUED", "RUNNING", "PAUSED", "CANCELLING")
            for end, verb in _ENDS.items()
        ),
    ),
)

OPEN_STATES = tuple(state for state in OPERATION.states if state not in OPERATION.final)
CLAIMABLE_STATES = ("QUEUED", "RUNNING")
