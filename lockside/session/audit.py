"""Audit: verify and pin the audit records of a tenant, and erase a person from them."""

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


def _ignore(_verified: Verified) -> None:
    """Do nothing."""


class Audit:
    """The audit records of a tenant as a whole, for one actor; made by `Session.audit`."""

    def __init__(self, platform: Platform, actor: Actor) -> None:
        """Keep the actor, whose tenant it is about; nothing is read yet."""
        self._platform = platform
        self._actor = actor

    def verify(
        self,
        *,
        first: int = 1,
        last: int | None = None,
        complete: bool = False,
        on_progress: Callable[[Verified], None] = _ignore,
    ) -> Verified:
        """Verify that the records are as they were sealed, in one snapshot of the database.

        Args:
            first: The number of the first seal to verify.
            last: The number of the last one; by default all up to the head of the chain, with
                the anchors.
            complete: Whether to check as well that every version of every row has its record,
                and that every row matches its records.
            on_progress: Called with what has been verified so far, batch by batch.

        Returns:
            What was verified, and the findings; there are none if nothing was tampered with.

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
            verified = Verified()
            store = ArchiveStore(self._platform.archives, self._platform.retention)
            for verified in verify_seals(
                db, tenant_id, first=first, last=last, anchors=anchors, store=store
            ):
                on_progress(verified)
            newest = int(head_of(db, tenant_id).newest)
            if first > max(1, newest):
                got, expected = f"from {first} on", f"at most {newest}, the newest"
                raise InvalidInput(field="seals", got=got, expected=expected)
            verified.waiting, verified.waiting_since = waiting(db, tenant_id)
            if complete:
                find_incomplete(db, tenant_id, verified, store)
        return verified

    def erase(self, person_id: int, *, also: Iterable[str] = ()) -> Erased:
        """Erase what identifies a deleted person from all records; the seals stay valid.

        Args:
            person_id: The person.
            also: Other words that identify them, such as an address.

        Returns:
            How many records lost words, and the rows of work that still name the person.

        Raises:
            PermissionDenied: The actor may not.
            NotFound: There is no such person.
            RuleRefused: The person isn't deleted yet.
            InvalidInput: A word is too short, or only a number.
        """
        return erase_person(self._platform, self._actor, person_id, also=also)

    def newest(self) -> int:
        """Return the number of the newest seal; 0 if there is none yet.

        Raises:
            PermissionDenied: The actor may not.
        """
        authorize(self._platform, self._actor, "audit", "verify")
        with self._platform.database.connect() as db:
            return int(head_of(db, self._actor.tenant_id).newest)

    def pin(self) -> list[Anchor]:
        """Pin the newest seals outside the database now; return the tenant's anchor if it is new.

        Raises:
            PermissionDenied: The actor may not.
            Unavailable: The file of the anchors can't be written.
        """
        authorize(self._platform, self._actor, "audit", "verify")
        pinned = pin_seals(self._platform)
        return [anchor for anchor in pinned if anchor.tenant_id == self._actor.tenant_id]
