"""The Python interface: the only package that other people's scripts import.

import lockside

with lockside.connect() as site:
    operation = site.transition("work_order", to="APPROVED", ids=range(1, 5001))
    outcome = operation.wait(on_progress=print)
    for failure in operation.failures():
        print(failure.id, failure.code, failure.message)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from domain.errors import (
    IdempotencyMismatch,
    IllegalTransition,
    InvalidInput,
    LockBusy,
    LocksideError,
    NotFound,
    PermissionDenied,
    RateLimited,
    RuleRefused,
    StaleVersion,
    Unavailable,
)

if TYPE_CHECKING:
    from domain.bulk import Failure
    from domain.permissions import Origin
    from lockside.session.operation import Operation, Paused, StillRunning
    from lockside.session.session import Session, connect

__all__ = [
    "Failure",
    "IdempotencyMismatch",
    "IllegalTransition",
    "InvalidInput",
    "LockBusy",
    "LocksideError",
    "NotFound",
    "Operation",
    "Origin",
    "Paused",
    "PermissionDenied",
    "RateLimited",
    "RuleRefused",
    "Session",
    "StaleVersion",
    "StillRunning",
    "Unavailable",
    "connect",
]

_HOMES = {
    "Failure": "domain.bulk",
    "Operation": "lockside.session.operation",
    "Origin": "domain.permissions",
    "Paused": "lockside.session.operation",
    "Session": "lockside.session.session",
    "StillRunning": "lockside.session.operation",
    "connect": "lockside.session.session",
}
"""Imported at first use: a script that only needs an error class shouldn't load the database."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
