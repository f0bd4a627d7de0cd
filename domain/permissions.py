"""Which role holds which permission, unless a tenant says otherwise."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from domain.machines.machine import Machine

RECORD_VERBS = ("view", "create", "update", "delete")
"""What interfaces do with any record."""

WORK_VERBS = (*RECORD_VERBS, "assign", "import")
"""What interfaces do with work beside its machine's own verbs."""

STEERING_VERBS = ("cancel", "pause", "resume", "retry", "execute", "undo")
"""What is done with other people's operations; with their own, everybody may."""

AUDIT_VERBS = ("view", "verify")
"""What is done with the records of everything; erasing is the administrators' alone."""

_READING = ("view",)
_TECHNICIAN = ("start", "work", "hold", "resume", "maintain", "complete", "partial", "resolve")
_DISPATCHER = ("open", "submit", "start", "hold", "resume", "resolve", "cancel", "rework", "reopen")
_SUPERVISOR = (
    *("open", "submit", "approve", "start", "work", "hold", "resume", "maintain"),
    *("complete", "partial", "resolve", "close", "cancel", "reject", "rework"),
    *("reopen", "resubmit"),
)

_VERBS: dict[str, frozenset[str]] = {
    "viewer": frozenset(_READING),
    "technician": frozenset((*_READING, *_TECHNICIAN, "record")),
    "dispatcher": frozenset((*_READING, *_DISPATCHER, "create", "update", "assign", "import")),
    "supervisor": frozenset(
        (*_READING, *_SUPERVISOR, "create", "update", "assign", "delete", "import", "record")
    ),
    "payroll": frozenset((*_READING, "lock")),
    "auditor": frozenset(_READING),
}
"""What each role may do with work; `manager` and `admin` may do everything.

Other records anybody may view. Managers change them, payroll its periods; roles and who holds
them are the administrators' alone.
"""

ROLES = (*_VERBS, "manager", "admin")
_ADMINISTRATION = frozenset({"person", "person_role", "role"})
_OF_PAYROLL = ("create", "update")
_OF_TECHNICIANS = ("attendance.create", "ticket.create")
"""They punch in, and report what they find."""


def permissions_of(
    role: str, machines: Iterable[Machine], resource_types: Iterable[str] = ()
) -> tuple[str, ...]:
    """Return the permissions that *role* holds, sorted.

    Args:
        role: One of `ROLES`.
        machines: Of every kind of work.
        resource_types: Every other record; a kind's name among them is left out.

    Raises:
        KeyError: There is no such role.
    """
    known = {each.kind: each for each in machines}
    everything = role in ("manager", "admin")
    verbs = None if everything else _VERBS[role]
    held = {
        f"{kind}.{verb}"
        for kind, machine in known.items()
        for verb in (*machine.verbs, *WORK_VERBS, "record")
        if verbs is None or verb in verbs
    }
    others = [each for each in resource_types if each not in known]
    held |= {f"{resource_type}.view" for resource_type in others}
    if everything:
        changed = set(others) - (set() if role == "admin" else _ADMINISTRATION)
        held |= {f"{resource_type}.{verb}" for resource_type in changed for verb in RECORD_VERBS}
    if role == "technician":
        held |= {each for each in _OF_TECHNICIANS if each.partition(".")[0] in known}
    if role == "payroll" and "payroll_period" in others:
        held |= {f"payroll_period.{verb}" for verb in _OF_PAYROLL}
    if everything or role == "auditor":
        held |= {f"audit.{verb}" for verb in AUDIT_VERBS}
    if everything or role == "supervisor":
        held |= {f"operation.{verb}" for verb in STEERING_VERBS}
    if role == "admin":
        held |= {"tenant.create", "audit.archive", "audit.erase"}
    return tuple(sorted(held))


def states_open_to(machine: Machine, held: Collection[str] | None) -> tuple[str, ...]:
    """Return the states that new work may begin in for somebody, in the table's order.

    Who may not move work to a state doesn't bring it there either: they need the permission of
    one of the arrows into it.

    Args:
        machine: Of the kind of work.
        held: What they may do; None is the system, which may do everything.
    """
    arrows = machine.transitions
    reached = {each.target for each in arrows if held is None or machine.permission(each) in held}
    return tuple(each for each in machine.states if each in {machine.initial, *reached})


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from, as its interface knows it.

    Attributes:
        session_id: The same for all that one login, or one run of a program, asks for.
        ip_address: Of whoever asks, where they come over a network.
    """

    session_id: str | None = None
    ip_address: str | None = None

    @property
    def told(self) -> dict[str, str]:
        """Return what is known of it, by name."""
        known = {"session_id": self.session_id, "ip_address": self.ip_address}
        return {name: value for name, value in known.items() if value is not None}


NOWHERE = Origin()


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: a person of a tenant, or with `person_id` None the system itself.

    Attributes:
        origin: Where they ask from; it makes nobody somebody else.
    """

    tenant_id: int
    person_id: int | None
    origin: Origin = field(default=NOWHERE, compare=False)


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
