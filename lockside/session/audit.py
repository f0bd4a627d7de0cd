"""The records as a whole: verified, pinned."""

from collections.abc import Callable, Iterable

from sqlalchemy import text

from domain.audit.verification import Anchor, Verified
from domain.errors import InvalidInput
from domain.permissions import Actor
from engine.access.permissions import authorize
from engine.audit.anchors import pin_seals
from engine.input.checks import check, whole_number
from engine.ports.platform import Platform
from engine.retention.erase import Erased, erase_person
from reads.audit.archived_records import ArchiveStore
from reads.audit.completeness import find_incomplete
from reads.audit.seals import head_of, waiting
from reads.audit.verification import verify_seals

_SNAPSHOT = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
_SEAL_NO = whole_number(1, 2**63 - 1)
_NO_LIMIT = text("SET LOCAL statement_timeout = 0")


def _untold(_seen: Verified) -> None:
    """Watch nothing."""


class Audit:
    """What an actor may ask of the records of their tenant; made by `Site.audit`."""

    def __init__(self, platform: Platform, actor: Actor) -> None:
        """Name whose records are meant; nothing is asked yet."""
        self._platform = platform
        self._actor = actor

    def verify(
        self,
        *,
        first: int = 1,
        last: int | None = None,
        complete: bool = False,
        on_progress: Callable[[Verified], None] = _untold,
    ) -> Verified:
        """Verify that the records are as they were sealed, in one snapshot of the database.

        Args:
            first: The number of the first seal that is verified.
            last: Of the last; by default all to the head of the chain, and its anchors.
            complete: Whether every version of every row has its record as well, and every row
                is what its records say.
            on_progress: Called with what was seen, batch by batch.

        Returns:
            What was looked at, and what was found; nothing was found if all is whole.

        Raises:
            PermissionDenied: The actor may not.
            InvalidInput: There is no such range, or the anchors can't be read.
        """
        authorize(self._platform, self._actor, "audit", "verify")
        for seal_no in (first, last):
            if seal_no is not None:
                check("seals", seal_no, _SEAL_NO)
        if last is not None and last < first:
            raise InvalidInput(
                field="seals", got=f"{first}-{last}", expected="the first before the last"
            )
        tenant_id = self._actor.tenant_id
        anchors = list(self._platform.anchors.read())
        with self._platform.database.connect() as db:
            db.execute(_SNAPSHOT)
            db.execute(_NO_LIMIT)
            seen = Verified()
            store = ArchiveStore(self._platform.archives, self._platform.retention)
            for seen in verify_seals(
                db, tenant_id, first=first, last=last, anchors=anchors, store=store
            ):
                on_progress(seen)
            newest = int(head_of(db, tenant_id).newest)
            if first > max(1, newest):
                got, expected = f"from {first} on", f"at most {newest}, the newest"
                raise InvalidInput(field="seals", got=got, expected=expected)
            seen.waiting, seen.waiting_since = waiting(db, tenant_id)
            if complete:
                find_incomplete(db, tenant_id, seen, store)
        return seen

    def erase(self, person_id: int, *, also: Iterable[str] = ()) -> Erased:
        """Erase a person who was deleted, wherever it is told who they were; seals still hold.

        Args:
            person_id: Whose name goes.
            also: Other words that tell of them, such as an address.

        Returns:
            How much lost words, and the rows of work that still tell of the person.

        Raises:
            PermissionDenied: The actor may not.
            NotFound: There is no such person.
            RuleRefused: The person isn't deleted yet.
            InvalidInput: A word is too short, or a mere number.
        """
        return erase_person(self._platform, self._actor, person_id, also=also)

    def newest(self) -> int:
        """Return the number of the newest seal; 0 before there is one.

        Raises:
            PermissionDenied: The actor may not.
        """
        authorize(self._platform, self._actor, "audit", "verify")
        with self._platform.database.connect() as db:
            return int(head_of(db, self._actor.tenant_id).newest)

    def pin(self) -> list[Anchor]:
        """Pin the newest seals outside of the database now; return the tenant's own, if it is new.

        Raises:
            PermissionDenied: The actor may not.
            Unavailable: The file of the anchors can't be written.
        """
        authorize(self._platform, self._actor, "audit", "verify")
        pinned = pin_seals(self._platform)
        return [each for each in pinned if each.tenant_id == self._actor.tenant_id]
