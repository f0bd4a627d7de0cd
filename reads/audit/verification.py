"""Verification: every record is where its seal says, as it was written, and the seals are whole."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row

from domain.audit.erasure import emptied_again, is_part_of_evidence, matches_evidence
from domain.audit.seal import DIGEST_BYTES, FIRST, Seal, merkle_root
from domain.audit.verification import Anchor, Verified
from reads.audit.archived_records import ArchivedRecords, Shelf
from reads.audit.seals import (
    IDENTITY,
    compared,
    digest_of,
    emptied,
    erasures,
    head_of,
    records_of,
    stand_still,
    unsealed_records,
    windows,
)


def verify_seals(
    db: Connection,
    tenant_id: int,
    *,
    first: int = 1,
    last: int | None = None,
    anchors: Iterable[Anchor] = (),
    shelf: Shelf | None = None,
) -> Iterator[Verified]:
    """Verify a tenant's seals from one number to another, all by default.

    Args:
        db: A transaction of one snapshot, in which nothing was asked yet.
        tenant_id: Whose.
        first: The number of the first seal; the one before it is taken as it is.
        last: Of the last; by default the chain is verified to its head and beyond.
        anchors: Seals that were pinned outside, of any tenant.
        shelf: Where the archives are; without it archived records can't be found.

    Yields:
        What was seen so far, window by window; the same object each time.
    """
    stand_still(db)
    head = head_of(db, tenant_id)
    end = max(head.seal_no, head.newest) if last is None else last
    known = [each for each in anchors if each.tenant_id == tenant_id]
    pinned = {each.seal_no: each for each in known}
    seen = Verified()
    seen.pinned = len(pinned)
    link = _Link(seen, tenant_id, first, digest_of(db, tenant_id, first - 1))
    archived = ArchivedRecords(db, tenant_id, shelf, seen, first)
    for window in windows(db, tenant_id, first, end):
        found = compared(db, tenant_id, window)
        cold = archived.until(window[-1].seal_no)
        differing = {
            seal.seal_no
            for seal, each in zip(window, found, strict=True)
            if not each.is_same or seal.seal_no in cold
        }
        hot = records_of(db, tenant_id, differing) if differing else {}
        for seal, each in zip(window, found, strict=True):
            link.take(seal, each)
            anchor = pinned.pop(seal.seal_no, None)
            if anchor is not None and anchor.digest != seal.digest:
                seen.tell("anchor_differs", _differs(anchor), seal_no=seal.seal_no)
            if seal.seal_no in differing:
                records = (hot.get(seal.seal_no, ()), cold.get(seal.seal_no, ()))
                _look_into(seal, each.leaves, *records, archived=archived, seen=seen)
        yield seen
    link.miss_until(end + 1)
    for number in sorted(pinned):
        if first <= number and (last is None or number <= last):
            seen.tell("anchor_differs", _differs(pinned[number]), seal_no=number)
    _verify_unsealed(head.unsealed, known, seen)
    if last is None:
        is_all = first == 1
        _verify_end(db, tenant_id, head, link.previous, archived=archived, seen=seen, is_all=is_all)
    yield seen


def _verify_unsealed(unsealed: int, anchors: Iterable[Anchor], seen: Verified) -> None:
    """Verify that nobody counts more records as from before sealing began than were pinned."""
    for each in anchors:
        if each.unsealed is not None and each.unsealed != unsealed:
            message = (
                f"{unsealed:,} records are counted as from before sealing began, and "
                f"{each.unsealed:,} were at {each.pinned_at:%Y-%m-%d %H:%M:%S}Z: records were "
                "added or taken away."
            )
            seen.tell("record_unsealed", message)
            return


@dataclass(slots=True)
class _Link:
    """Follows the chain: each seal is whole, and names the one before it."""

    seen: Verified
    tenant_id: int
    expected: int
    previous: bytes | None

    def take(self, seal: Row[Any], found: Row[Any]) -> None:
        """Verify the next seal itself; its records are compared elsewhere."""
        self.miss_until(seal.seal_no)
        self.seen.seals += 1
        self.seen.records += seal.records
        self.seen.erased += found.erased
        told = Seal(
            tenant_id=self.tenant_id,
            seal_no=seal.seal_no,
            previous=seal.previous,
            root=seal.root,
            records=seal.records,
            sealed_at=seal.sealed_at,
        )
        if told.digest != seal.digest or merkle_root(found.leaves) != seal.root:
            message = (
                f"Seal {seal.seal_no} itself was changed: its digest isn't that of what it says."
            )
            self.seen.tell("seal_changed", message, seal_no=seal.seal_no)
        elif self.previous is not None and seal.previous != self.previous:
            message = (
                f"Seal {seal.seal_no} names another seal before it: seal {seal.seal_no - 1} "
                "was written anew, with its records."
            )
            self.seen.tell("chain_broken", message, seal_no=seal.seal_no)
        self.previous = seal.digest
        self.expected += 1

    def miss_until(self, number: int) -> None:
        """Tell the seals that should stand before one of this number."""
        while self.expected < number:
            self.seen.tell("seal_missing", f"Seal {self.expected} is gone.", seal_no=self.expected)
            self.expected += 1
            self.previous = None


def _look_into(
    seal: Row[Any],
    leaves: bytes,
    hot: Sequence[Row[Any]],
    cold: Sequence[Row[Any]],
    *,
    archived: ArchivedRecords,
    seen: Verified,
) -> None:
    """Hold the records of a seal against it, from their tables and from archives."""
    seen.archived += len(cold)
    seen.erased += sum(1 for each in cold if each.erased_by is not None)
    records = sorted((*hot, *cold), key=lambda each: each.seal_place)
    is_kept = all(each.is_kept for each in cold)
    if is_kept and not hot and b"".join([each.leaf for each in records]) == leaves:
        return
    missing = _compare(seal.seal_no, leaves, records, seen)
    if archived.is_lost(seal.seal_no):
        return  # it is told once, with the archive
    if archived.is_dropped(seal):
        seen.dropped += len(missing)
        return
    for place in missing:
        gone = f"The record at place {place} of seal {seal.seal_no} is gone."
        seen.tell("record_missing", gone, seal_no=seal.seal_no)


def _compare(seal_no: int, leaves: bytes, records: Iterable[Row[Any]], seen: Verified) -> list[int]:
    """Name the records of a seal that aren't as they were sealed; return the places of none."""
    digests = [leaves[at : at + DIGEST_BYTES] for at in range(0, len(leaves), DIGEST_BYTES)]
    places = {digest: place for place, digest in enumerate(digests)}
    missing = set(range(len(digests)))
    for each in records:
        record = {name: each._mapping[name] for name in IDENTITY}
        which = {"seal_no": seal_no, "record": record}
        said = f"{each.record} {each.event_id}"
        if each.seal_place not in missing:
            seen.tell("record_added", f"{said} is in no seal: it was added.", **which)
            continue
        missing.remove(each.seal_place)
        if each.leaf != digests[each.seal_place]:
            elsewhere = places.get(each.leaf)
            if elsewhere is None:
                seen.tell("record_changed", f"{said} was changed after it was sealed.", **which)
            else:
                moved = f"{said} stands at place {each.seal_place}, but was sealed at {elsewhere}."
                seen.tell("record_moved", moved, **which)
        elif not each.is_kept:
            seen.tell("words_changed", f"The words of {said} were changed.", **which)
    return sorted(missing)


def _verify_end(
    db: Connection,
    tenant_id: int,
    head: Row[Any],
    newest: bytes | None,
    *,
    archived: ArchivedRecords,
    seen: Verified,
    is_all: bool,
) -> None:
    """Verify that the head is the last seal, and that no record is outside of the seals."""
    digest = head.digest or FIRST
    if head.seal_no != head.newest or (newest is not None and digest != newest):
        message = (
            f"The chain's head is at seal {head.seal_no}, its last seal is {head.newest}: "
            "the head was set to another place, and nothing is sealed until it is set right."
        )
        seen.tell("head_moved", message, seal_no=head.newest)
    elif is_all and head.records != seen.records and not seen.findings:
        message = f"The head counts {head.records:,} records, the seals {seen.records:,}."
        seen.tell("head_moved", message, seal_no=head.newest)
    if is_all and seen.dropped > archived.dropped:
        message = (
            f"{seen.dropped:,} records are gone, but only {archived.dropped:,} were dropped as too "
            "old to be kept."
        )
        seen.tell("record_missing", message)
    others = unsealed_records(db, tenant_id, head.newest)
    unsealed, beyond = archived.end()
    if is_all:
        _verify_erasures(db, tenant_id, archived, seen)
    seen.unsealed = int(others.unsealed) + unsealed
    if others.beyond + beyond:
        message = f"{int(others.beyond) + beyond:,} records name seals that aren't there."
        seen.tell("record_unsealed", message)
    if seen.unsealed != head.unsealed:
        message = (
            f"{seen.unsealed:,} records have no seal, {head.unsealed:,} were there before "
            "sealing began: records were added or taken away."
        )
        seen.tell("record_unsealed", message)


def _verify_erasures(
    db: Connection, tenant_id: int, archived: ArchivedRecords, seen: Verified
) -> None:
    """Verify that each erasure emptied the records that it recorded, and nobody any other."""
    known = {**archived.erasures(), **erasures(db, tenant_id)}
    found: dict[UUID, dict[UUID, bytes]] = {}
    newest: dict[UUID, datetime] = {}
    for each in (*emptied(db, tenant_id), *archived.emptied()):
        found.setdefault(each.erased_by, {})[each.event_id] = bytes(each.rest)
        newest[each.erased_by] = max(newest.get(each.erased_by, each.occurred_at), each.occurred_at)
    for told in known.values():
        for erasure_id, event_id, rest in emptied_again(told):
            found.setdefault(erasure_id, {})[event_id] = rest
    for erasure_id, rests in found.items():
        told = known.get(erasure_id)
        if matches_evidence(told, rests) or (archived.is_cut and is_part_of_evidence(told, rests)):
            continue
        # Kept for longer than the erasure's own record: it is never older than what it emptied.
        if told is None and (erasure_id not in newest or archived.may_lack(newest[erasure_id])):
            continue
        message = (
            f"{len(rests):,} records were emptied as if by erasure {erasure_id}, or what it left "
            "of them was changed: that isn't what was erased."
        )
        seen.tell("erasure_differs", message)


def _differs(anchor: Anchor) -> str:
    return (
        f"Seal {anchor.seal_no} isn't the one that was pinned at "
        f"{anchor.pinned_at:%Y-%m-%d %H:%M:%S}Z: the chain was set back or written anew, at or "
        "before it."
    )
