"""How much a denial should worry somebody: a score from 0 to 100, by rule."""

from collections.abc import Sequence
from dataclasses import dataclass

HIGHEST = 100
SUSPICIOUS_FROM = 60
"""From this score on a denial is marked as suspicious."""

_BY_VERB = {"view": 5, "export": 25, "import": 30, "delete": 40, "lock": 35, "approve": 30}
_ANOTHER_VERB = 15
_OWN_ROLES = 35
_NO_ROLE = 20
_MANY_ITEMS = 100
_MANY = 20
_PER_REPEAT = 5
_REPEATS_COUNTED = 6
_ADMINISTRATION = ("role", "person_role", "person", "tenant")


@dataclass(frozen=True, slots=True)
class Denial:
    """Somebody asked for what they may not do.

    Attributes:
        kind: What they wanted to touch, e.g. `work_order` or `role`.
        action: What they wanted to do with it, e.g. `approve`.
        required: The permissions that they would have needed.
        held: The permissions that they have.
        ids: The rows that they named; none for a new row or a list.
        recent: How many denials they had in the hour before.
    """

    kind: str
    action: str
    required: frozenset[str]
    held: frozenset[str]
    ids: Sequence[int] = ()
    recent: int = 0

    @property
    def risk_score(self) -> int:
        """Return 0 to 100: what was wanted, on how many rows, by whom, how often before.

        Reaching for roles and people weighs most: it would open everything else.
        """
        score = _BY_VERB.get(self.action, _ANOTHER_VERB)
        score += _OWN_ROLES if self.kind in _ADMINISTRATION else 0
        score += _NO_ROLE if not self.held else 0
        score += _MANY if len(self.ids) >= _MANY_ITEMS else 0
        score += _PER_REPEAT * min(self.recent, _REPEATS_COUNTED)
        return min(score, HIGHEST)

    @property
    def is_suspicious(self) -> bool:
        """Say whether somebody should look at it."""
        return self.risk_score >= SUSPICIOUS_FROM
