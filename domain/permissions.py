"""Which role holds which permission, unless a tenant says otherwise."""

from collections.abc import Iterable
from dataclasses import dataclass

from domain.machine import Machine

_VERBS: dict[str, frozenset[str]] = {
    "viewer": frozenset(),
    "technician": frozenset(
        {"start", "work", "hold", "resume", "maintain", "complete", "partial", "resolve"}
    ),
    "dispatcher": frozenset(
        {"open", "submit", "start", "hold", "resume", "resolve", "cancel", "rework", "reopen"}
    ),
    "supervisor": frozenset(
        "open submit approve start hold resume work maintain complete partial resolve close "
        "cancel reject rework reopen resubmit".split()
    ),
    "payroll": frozenset({"lock"}),
    "auditor": frozenset(),
}
"""What each role may do; `manager` and `admin` may do everything a machine knows."""

ROLES = (*_VERBS, "manager", "admin")


def permissions_of(role: str, machines: Iterable[Machine]) -> tuple[str, ...]:
    """Return the permissions that *role* holds over these machines, sorted.

    Raises:
        KeyError: There is no such role.
    """
    verbs = None if role in ("manager", "admin") else _VERBS[role]
    held = {
        machine.permission(each)
        for machine in machines
        for each in machine.transitions
        if verbs is None or each.verb in verbs
    }
    return tuple(sorted(held))


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: a person of a tenant, or with `person_id` None the system itself."""

    tenant_id: int
    person_id: int | None
