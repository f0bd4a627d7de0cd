"""Permissions: the roles and what each may do, unless a tenant defines its own roles."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from domain.machines.machine import Machine

RECORD_VERBS = ("view", "create", "update", "delete")
"""What can be done with any record."""

WORK_VERBS = (*RECORD_VERBS, "assign", "import")
"""What can be done with work beside its machine's own verbs."""

STEERING_VERBS = ("cancel", "pause", "resume", "retry", "execute", "undo")
"""What can be done with other people's operations; everybody may do it with their own."""

AUDIT_VERBS = ("view", "verify")
"""What can be done with audit records; erasing is for administrators only."""

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

Everybody may view other records. Managers may change them, payroll its periods; roles and who
holds them are for administrators only.
"""

ROLES = (*_VERBS, "manager", "admin")
_ADMINISTRATION = frozenset({"person", "person_role", "role"})
_OF_PAYROLL = ("create", "update")
_OF_TECHNICIANS = ("attendance.create", "ticket.create")
"""Technicians punch in, and report problems."""


def permissions_of(
    role: str, machines: Iterable[Machine], resource_types: Iterable[str] = ()
) -> tuple[str, ...]:
    """Return the permissions that *role* holds, sorted.

    Args:
        role: One of `ROLES`.
        machines: The machine of every kind of work.
        resource_types: Every other resource type; a kind of work among them is left out.

    Raises:
        KeyError: There is no such role.
    """
    machine_of = {machine.kind: machine for machine in machines}
    everything = role in ("manager", "admin")
    verbs = None if everything else _VERBS[role]
    held = {
        f"{kind}.{verb}"
        for kind, machine in machine_of.items()
        for verb in (*machine.verbs, *WORK_VERBS, "record")
        if verbs is None or verb in verbs
    }
    others = [name for name in resource_types if name not in machine_of]
    held |= {f"{resource_type}.view" for resource_type in others}
    if everything:
        changed = set(others) - (set() if role == "admin" else _ADMINISTRATION)
        held |= {f"{resource_type}.{verb}" for resource_type in changed for verb in RECORD_VERBS}
    if role == "technician":
        held |= {
            permission
            for permission in _OF_TECHNICIANS
            if permission.partition(".")[0] in machine_of
        }
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
    """Return the states in which an actor may create new work, in the table's order.

    Creating work in a state takes the same right as moving it there: the permission of one of
    the arrows into that state. The initial state is open to everybody.

    Args:
        machine: The machine of the kind of work.
        held: The actor's permissions; None is the system, which may do everything.
    """
    reached = {
        transition.target
        for transition in machine.transitions
        if held is None or machine.permission(transition) in held
    }
    return tuple(state for state in machine.states if state in {machine.initial, *reached})


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from, as far as its interface knows.

    Attributes:
        session_id: The same for all requests of one login, or of one run of a program.
        ip_address: The address of the client, if it came over a network.
    """

    session_id: str | None = None
    ip_address: str | None = None

    @property
    def as_dict(self) -> dict[str, str]:
        """Return its known attributes by name, as JSON holds them."""
        parts = {"session_id": self.session_id, "ip_address": self.ip_address}
        return {name: value for name, value in parts.items() if value is not None}


NOWHERE = Origin()


@dataclass(frozen=True, slots=True)
class Actor:
    """The actor of a request: a person of a tenant, or with `person_id` None the system itself.

    Attributes:
        origin: Where the request came from; it doesn't count when actors are compared.
    """

    tenant_id: int
    person_id: int | None
    origin: Origin = field(default=NOWHERE, compare=False)


def granted(
    held: Iterable[tuple[int, str, Sequence[str]]], person_id: int
) -> tuple[frozenset[str], bool]:
    """Return a person's permissions, and whether they or their approver are a manager.

    Args:
        held: Person, role and its permissions: of the actor, and of the person named as
            `approved_by`, whose permissions don't count but whose role as a manager does.
        person_id: The actor.
    """
    roles = list(held)
    permissions = {
        permission
        for person, _, role_permissions in roles
        if person == person_id
        for permission in role_permissions
    }
    return frozenset(permissions), any(name == "manager" for _, name, _ in roles)
