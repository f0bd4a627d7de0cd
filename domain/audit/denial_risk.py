"""How much a denial should worry somebody: a score from 0 to 100, by rule."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

HIGHEST = 100
SUSPICIOUS_FROM = 60
"""From this score on a denial is marked as suspicious."""

REPEATS_COUNTED = 6
"""More denials of the hour before add nothing, and needn't be counted."""

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
    """Somebody asked for what they may not do.

    Attributes:
        kind: What they wanted to touch, e.g. `work_order` or `role`.
        action: What they wanted to do with it, e.g. `approve`.
        required: The permissions that they would have needed; none where no permission helps.
        held: The permissions that they have.
        ids: The rows that they named; none for a new row or a list.
        recent: How many denials they had in the hour before.
        is_cross_tenant: They named what is another tenant's.
        is_out_of_hours: They came when nobody usually works.
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
        """Return 0 to 100: what was wanted, on how many rows, by whom, when, how often before.

        Reaching for another tenant's rows weighs most: by itself it is suspicious. Then
        reaching for roles and people: it would open everything else.
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
        """Return what about it should catch the eye, sorted."""
        told = {
            ELEVATED: self.kind in _ELEVATED,
            FOREIGN_IDS: self.is_cross_tenant,
            OUT_OF_HOURS: self.is_out_of_hours,
            REPEATED: self.recent > 0,
        }
        return sorted(name for name, is_so in told.items() if is_so)


def flags_of_write(kind: str, reason: str, more: Iterable[str] = ()) -> list[str]:
    """Return what about a write should catch the eye, sorted.

    Args:
        kind: What is written; roles, who holds them, and tenants are `elevated`.
        reason: Why; `override` is one.
        more: What else is known of it.
    """
    told = {ELEVATED: kind in _ELEVATED, OVERRIDE: reason == OVERRIDE}
    return sorted({*more, *(name for name, is_so in told.items() if is_so)})
