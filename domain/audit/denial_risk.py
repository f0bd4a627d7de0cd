"""Denial risk: rate a denied request with a score from 0 to 100, by rule, and flag it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

HIGHEST = 100
SUSPICIOUS_FROM = 60
"""A denial with this score or more is suspicious."""

REPEATS_COUNTED = 6
"""Further denials of the hour before don't raise the score, and needn't be counted."""

ELEVATED = "elevated"
FOREIGN_IDS = "foreign_ids"
OUT_OF_HOURS = "out_of_hours"
OVERRIDE = "override"
REPEATED = "repeated"

_BY_VERB = {"view": 5, "export": 25, "import": 30, "delete": 40, "lock": 35, "approve": 30}
_ANOTHER_VERB = 15
_OWN_ROLES = 35
_NO_ROLE = 20
_MANY_ITEMS = 100
_MANY = 20
_PER_REPEAT = 5
_FOREIGN = 60
_OUT_OF_HOURS = 10
_ADMINISTRATION = ("role", "person_role", "person", "tenant")
_ELEVATED = ("role", "person_role", "tenant")


@dataclass(frozen=True, slots=True)
class Denial:
    """A request that was denied, as far as its risk depends on it.

    Attributes:
        kind: The resource type that was requested, e.g. `work_order` or `role`.
        action: What was to be done with it, e.g. `approve`.
        required: The permissions that were needed; none where no permission helps.
        held: The permissions that the actor has.
        ids: The rows that were named; none for a new row or a list.
        recent: How many denials the actor had in the hour before.
        is_cross_tenant: Whether it named rows of another tenant.
        is_out_of_hours: Whether it came outside of the usual working hours.
    """

    kind: str
    action: str
    required: frozenset[str]
    held: frozenset[str]
    ids: Sequence[int] = ()
    recent: int = 0
    is_cross_tenant: bool = False
    is_out_of_hours: bool = False

    @property
    def risk_score(self) -> int:
        """Return 0 to 100, by the action, the number of rows, the actor, the time and repeats.

        Naming another tenant's rows weighs most: it is suspicious by itself. Then come roles and
        people, because they would give access to everything else.
        """
        score = _BY_VERB.get(self.action, _ANOTHER_VERB)
        score += _OWN_ROLES if self.kind in _ADMINISTRATION else 0
        score += _NO_ROLE if self.required and not self.held else 0
        score += _MANY if len(self.ids) >= _MANY_ITEMS else 0
        score += _PER_REPEAT * min(self.recent, REPEATS_COUNTED)
        score += _FOREIGN if self.is_cross_tenant else 0
        score += _OUT_OF_HOURS if self.is_out_of_hours else 0
        return min(score, HIGHEST)

    @property
    def is_suspicious(self) -> bool:
        """Say whether somebody should look at it."""
        return self.risk_score >= SUSPICIOUS_FROM

    @property
    def flags(self) -> list[str]:
        """Return its flags, such as `elevated` or `repeated`, sorted."""
        flags = {
            ELEVATED: self.kind in _ELEVATED,
            FOREIGN_IDS: self.is_cross_tenant,
            OUT_OF_HOURS: self.is_out_of_hours,
            REPEATED: self.recent > 0,
        }
        return sorted(name for name, is_so in flags.items() if is_so)


def flags_of_write(kind: str, reason: str, more: Iterable[str] = ()) -> list[str]:
    """Return the flags of a write, sorted.

    Args:
        kind: The resource type that is written; roles, who holds them, and tenants are
            `elevated`.
        reason: Why it is written; `override` is a flag as well.
        more: Further flags.
    """
    flags = {ELEVATED: kind in _ELEVATED, OVERRIDE: reason == OVERRIDE}
    return sorted({*more, *(name for name, is_so in flags.items() if is_so)})
