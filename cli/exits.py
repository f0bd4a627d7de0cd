"""Exit codes: the table from errors and results to exit codes, as in the contract."""

from collections.abc import Mapping
from typing import Any

DONE = 0
USAGE = 2
SOME_FAILED = 3
NOT_ALLOWED = 4
REFUSED = 5
NOT_FOUND = 6
CONFLICT = 7
GOES_ON = 8
CANCELLED = 9
TRY_LATER = 75
INTERRUPTED = 130
PIPE_CLOSED = 141

MEANINGS = {
    DONE: "done",
    USAGE: "not understood",
    SOME_FAILED: "items failed",
    NOT_ALLOWED: "not allowed",
    REFUSED: "refused",
    NOT_FOUND: "not found",
    CONFLICT: "conflict",
    GOES_ON: "the work goes on",
    CANCELLED: "cancelled",
    TRY_LATER: "try later",
    INTERRUPTED: "stopped by Ctrl-C",
    PIPE_CLOSED: "whoever read the output stopped reading",
}

BY_CODE = {
    "invalid_input": USAGE,
    "permission_denied": NOT_ALLOWED,
    "illegal_transition": REFUSED,
    "rule_refused": REFUSED,
    "not_found": NOT_FOUND,
    "concurrency_conflict": CONFLICT,
    "idempotency_mismatch": CONFLICT,
    "still_running": GOES_ON,
    "paused": GOES_ON,
    "locked": TRY_LATER,
    "rate_limited": TRY_LATER,
    "unavailable": TRY_LATER,
}
"""The exit code of each error, by its code; the code of a rule is `REFUSED`."""

_BY_STATE = {"SUCCEEDED": DONE, "CANCELLED": CANCELLED, "FAILED": TRY_LATER}


def exit_code_of_error(code: str) -> int:
    """Return the exit code for an error's code; a code that isn't listed is a rule's."""
    return BY_CODE.get(code, REFUSED)


def exit_code_of_result(result: Mapping[str, Any]) -> int:
    """Return the exit code for an operation's result.

    A single item that failed gives the code of its own reason; several give `SOME_FAILED`.
    """
    code = _BY_STATE.get(result["state"])
    if code is not None:
        return code
    if result["total_items"] == 1:
        return exit_code_of_error(next(iter(result["failure_codes"])))
    return SOME_FAILED
