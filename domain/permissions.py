"""Which role holds which permission, unless a tenant says otherwise."""

from collections.abc import Iterable, Sequence
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
        {
            *("open", "submit", "approve", "start", "work", "hold", "resume", "maintain"),
            *("complete", "partial", "resolve", "close", "cancel", "reject", "rework"),
            *("reopen", "resubmit"),
        }
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


def granted(
    held: Iterable[tuple[int, str, Sequence[str]]], person_id: int
) -> tuple[frozenset[str], bool]:
    """Return what a person may do, and whether anybody named is a manager.

    Args:
        held: Roles with their permissions, by person: the actor's, and those of the person
            named as `approved_by`, whose permissions don't count but whose being a manager
            does.
        person_id: The actor.
    """
    roles = list(held)
    permissions = {each for person, _, given in roles if person == person_id for each in given}
    return frozenset(permissions), any(name == "manager" for _, name, _ in roles)
