"""Errors: the exceptions that refuse a whole request, each with its code.

The codes, `retryable`, HTTP statuses and exit codes are the table "Errors" of the contract.
Expected failures of single items are values (`Reason`), not exceptions.
"""

from collections.abc import Mapping
from datetime import datetime
from math import isfinite
from typing import Any


class LocksideError(Exception):
    """The base class of all refusals.

    Facts are passed by keyword and kept in `facts`; the message is made from them.

    Attributes:
        code: The stable name of the refusal, as in the contract.
        retryable: Whether the same request may succeed later, unchanged.
    """

    code = "error"
    retryable = False
    template = "{message}"

    def __init__(self, **facts: Any) -> None:
        self.facts = facts
        super().__init__(self.template.format_map(facts))

    def __reduce__(self) -> tuple[Any, ...]:
        # Celery and multiprocessing rebuild an exception from its class and positional
        # arguments; without this the keywords would be lost and the class with them.
        return _rebuild, (type(self), self.facts)

    def to_dict(self) -> dict[str, Any]:
        """Return the error as every interface shows it: `error`, `message`, `retryable`, facts."""
        facts = {name: _plain(value) for name, value in self.facts.items() if name != "message"}
        return {"error": self.code, "message": str(self), "retryable": self.retryable, **facts}


def _rebuild(kind: type[LocksideError], facts: Mapping[str, Any]) -> LocksideError:
    return kind(**facts)


def _plain(value: object) -> object:
    # What a caller submitted can be of any type; the answer has to be JSON.
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    return value if value is None or isinstance(value, str | int) else str(value)


class IllegalTransition(LocksideError):
    """The machine has no such arrow from the row's state."""

    code = "illegal_transition"
    template = "{message}"


class RuleRefused(LocksideError):
    """A rule of the machine refuses the transition; the `code` of each reason says which."""

    code = "rule_refused"


class PermissionDenied(LocksideError):
    """The actor doesn't hold the permission that the request needs."""

    code = "permission_denied"


class StaleVersion(LocksideError):
    """The row has another version than the caller expected (optimistic lock)."""

    code = "concurrency_conflict"
    retryable = True


class LockBusy(LocksideError):
    """Somebody else holds the row's lock, and waiting for it took too long."""

    code = "locked"
    retryable = True


class NotFound(LocksideError):
    """There is no such thing, or it belongs to another tenant: the answer is the same.

    For things that are deleted after a time, `kept_days` says after how many days.
    """

    code = "not_found"
    template = "No {what} {got}. Check it, and the tenant that you act in."

    def __init__(self, **facts: Any) -> None:
        if "kept_days" in facts:
            self.template += (
                " One is kept for {kept_days} days after its end, its records for longer: "
                "`lockside audit trail --{what} {got}`, and then `audit archives search`."
            )
        super().__init__(**facts)


class InvalidInput(LocksideError):
    """A value of the request is not what was expected.

    Facts: `field`, `got`, `expected`.
    """

    code = "invalid_input"
    template = "{field}: got {got!r}, expected {expected}"


class IdempotencyMismatch(LocksideError):
    """The idempotency key was used before, for a request with other content."""

    code = "idempotency_mismatch"
    template = (
        "The idempotency key {key!r} was used for another request (operation {operation_id}). "
        "Use a new key, or send the first request unchanged."
    )


class RateLimited(LocksideError):
    """Too many requests in a span of time."""

    code = "rate_limited"
    retryable = True


class Unavailable(LocksideError):
    """A server that Lockside needs doesn't answer, or the work was lost with its worker."""

    code = "unavailable"
    retryable = True


def error_named(code: str) -> type[LocksideError]:
    """Return the error class of an item's failure code; the codes of rules share `RuleRefused`."""
    for kind in LocksideError.__subclasses__():
        if kind.code == code:
            return kind
    return RuleRefused
