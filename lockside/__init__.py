"""The door for Python, and the only name that other people's scripts import.

import lockside

with lockside.connect() as site:
    operation = site.transition("work_order", to="APPROVED", ids=range(1, 5001))
    outcome = operation.wait(on_progress=print)
    for failure in operation.failures():
        print(failure.id, failure.code, failure.message)
"""

from domain.bulk import Failure
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
from domain.permissions import Origin
from lockside.session.operation import Operation, Paused, StillRunning
from lockside.session.site import Site, connect

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
    "Site",
    "StaleVersion",
    "StillRunning",
    "Unavailable",
    "connect",
]
