"""Verification: check that records are as they were sealed, and that the seals are complete."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row

from domain.audit.erasure import emptied_again, is_part_of_evidence, matches_evidence
from domain.audit.seal import DIGEST_BYTES, FIRST, Seal, merkle_root
from domain.audit.verification import Anchor, Verified
from reads.audit.archived_records import ArchivedRecords, ArchiveStore
from reads.audit.seals import (
    IDENTITY,
    compare_records,
    digest_of,
    emptied,
    erasures,
    head_of,
    lock_archiving,
    records_of,
    seal_batches,
    unsealed_records,
)


def verify_seals(
    db: Connection,
    tenant_id: int,
    *,
    first: int = 1,
    last: int | None = None,
    anchors: Iterable[Anchor] = (),
    store: ArchiveStore | None = None,
) -> Iterator[Verified]:
    """Verify a tenant's seals from one number to another, all by default.

    Args:
        db: A transaction of one snapshot, in which nothing was queried yet.
        tenant_id: Whose seals.
        first: The number of the first seal; the one before it is taken as it is.
        last: The number of the last; by default the chain is verified to its head and beyond.
        anchors: Seals that were pinned outside, of any tenant.
        store: Where the archives are; without it archived records can't be found.

    Yields:
        The findings and counts so far, batch by batch; the same object each time.
    """
    lock_archiving(db)
    head = head_of(db, tenant_id)
    end = max(head.seal_no, head.newest) if last is None else last
    own_anchors = [anchor for anchor in anchors if anchor.tenant_id == tenant_id]
    pinned = {anchor.seal_no: anchor for anchor in own_anchors}
    verified = Verified()
    verified.pinned = len(pinned)
    link = _Link(verified, tenant_id, first, digest_of(db, tenant_id, first - 1))
    archived = ArchivedRecords(db, tenant_id, store, verified, first)
    for batch in seal_batches(db, tenant_id, first, end):
        comparisons = compare_records(db, tenant_id, batch)
        cold = archived.until(batch[-1].seal_no)
        differing = {
            seal.seal_no
            for seal, comparison in zip(batch, comparisons, strict=True)
            if not comparison.is_same or seal.seal_no in cold
        }
        hot = records_of(db, tenant_id, differing) if differing else {}
        for seal, comparison in zip(batch, comparisons, strict=True):
            link.take(seal, comparison)
            anchor = pinned.pop(seal.seal_no, None)
            if anchor is not None and anchor.digest != seal.digest:
                verified.add("anchor_differs", _differs(anchor), seal_no=seal.seal_no)
            if seal.seal_no in differing:
                records = (hot.get(seal.seal_no, ()), cold.get(seal.seal_no, ()))
                _verify_records(
                    seal, comparison.leaves, *records, archived=archived, verified=verified
                )
        yield verified
    link.miss_until(end + 1)
    for number in sorted(pinned):
        if first <= number and (last is None or number <= last):
            verified.add("anchor_differs", _differs(pinned[number]), seal_no=number)
    _verify_unsealed(head.unsealed, own_anchors, verified)
    if last is None:
        is_all = first == 1
        _verify_end(
            db, tenant_id, head, link.previous, archived=archived, verified=verified, is_all=is_all
        )
    yield verified


def _verify_unsealed(unsealed: int, anchors: Iterable[Anchor], verified: Verified) -> None:
    """Verify that no more records count as from before sealing began than were pinned."""
    for anchor in anchors:
        if anchor.unsealed is not None and anchor.unsealed != unsealed:
            message = (
                f"{unsealed:,} records are counted as from before sealing began, and "
                f"{anchor.unsealed:,} were at {anchor.pinned_at:%Y-%m-%d %H:%M:%S}Z: records were "
                "added or taken away."
            )
            verified.add("record_unsealed", message)
            return


@dataclass(slots=True)
class _Link:
    """Follows the chain: checks that each seal is unchanged and names the one before it."""

    verified: Verified
    tenant_id: int
    expected: int
    previous: bytes | None

    def take(self, seal: Row[Any], comparison: Row[Any]) -> None:
        """Verify the next seal itself; its records are compared elsewhere."""
        self.miss_until(seal.seal_no)
        self.verified.seals += 1
        self.verified.records += seal.records
        self.verified.erased += comparison.erased
        stored = Seal(
            tenant_id=self.tenant_id,
            seal_no=seal.seal_no,
            previous=seal.previous,
            root=seal.root,
            records=seal.records,
            sealed_at=seal.sealed_at,
        )
        if stored.digest != seal.digest or merkle_root(comparison.leaves) != seal.root:
            message = (
                f"Seal {seal.seal_no} itself was changed: its digest isn't that of what it says."
            )
            self.verified.add("seal_changed", message, seal_no=seal.seal_no)
        elif self.previous is not None and seal.previous != self.previous:
            message = (
                f"Seal {seal.seal_no} names another seal before it: seal {seal.seal_no - 1} "
                "was written anew, with its records."
            )
            self.verified.add("chain_broken", message, seal_no=seal.seal_no)
        self.previous = seal.digest
        self.expected += 1

    def miss_until(self, number: int) -> None:
        """Report the seals that are missing before the seal of this number."""
        while self.expected < number:
            self.verified.add(
                "seal_missing", f"Seal {self.expected} is gone.", seal_no=self.expected
            )
            self.expected += 1
            self.previous = None


def _verify_records(
    seal: Row[Any],
    leaves: bytes,
    hot: Sequence[Row[Any]],
    cold: Sequence[Row[Any]],
    *,
    archived: ArchivedRecords,
    verified: Verified,
) -> None:
    """Compare the records of a seal, from their tables and from archives, with the seal."""
    verified.archived += len(cold)
    verified.erased += sum(1 for record in cold if record.erased_by is not None)
    records = sorted((*hot, *cold), key=lambda record: record.seal_place)
    is_kept = all(record.is_kept for record in cold)
    if is_kept and not hot and b"".join([record.leaf for record in records]) == leaves:
        return
    missing = _compare(seal.seal_no, leaves, records, verified)
    if archived.is_lost(seal.seal_no):
        return  # it is reported once, with the archive
    if archived.is_dropped(seal):
        verified.dropped += len(missing)
        return
    for place in missing:
        gone = f"The record at place {place} of seal {seal.seal_no} is gone."
        verified.add("record_missing", gone, seal_no=seal.seal_no)


def _compare(
    seal_no: int, leaves: bytes, records: Iterable[Row[Any]], verified: Verified
) -> list[int]:
    """Report records that aren't as they were sealed; return the places without a record."""
    digests = [leaves[at : at + DIGEST_BYTES] for at in range(0, len(leaves), DIGEST_BYTES)]
    places = {digest: place for place, digest in enumerate(digests)}
    missing = set(range(len(digests)))
    for row in records:
        record = {name: row._mapping[name] for name in IDENTITY}
        which = {"seal_no": seal_no, "record": record}
        name = f"{row.record} {row.event_id}"
        if row.seal_place not in missing:
            verified.add("record_added", f"{name} is in no seal: it was added.", **which)
            continue
        missing.remove(row.seal_place)
        if row.leaf != digests[row.seal_place]:
            elsewhere = places.get(row.leaf)
            if elsewhere is None:
                verified.add("record_changed", f"{name} was changed after it was sealed.", **which)
            else:
                moved = f"{name} stands at place {row.seal_place}, but was sealed at {elsewhere}."
                verified.add("record_moved", moved, **which)
        elif not row.is_kept:
            verified.add("words_changed", f"The words of {name} were changed.", **which)
    return sorted(missing)


def _verify_end(
    db: Connection,
    tenant_id: int,
    head: Row[Any],
    newest: bytes | None,
    *,
    archived: ArchivedRecords,
    verified: Verified,
    is_all: bool,
) -> None:
    """Verify that the head is the last seal, and that no record is outside the seals."""
    digest = head.digest or FIRST
    if head.seal_no != head.newest or (newest is not None and digest != newest):
        message = (
            f"The chain's head is at seal {head.seal_no}, its last seal is {head.newest}: "
            "the head was set to another place, and nothing is sealed until it is set right."
        )
        verified.add("head_moved", message, seal_no=head.newest)
    elif is_all and head.records != verified.records and not verified.findings:
        message = f"The head counts {head.records:,} records, the seals {verified.records:,}."
        verified.add("head_moved", message, seal_no=head.newest)
    if is_all and verified.dropped > archived.dropped:
        message = (
            f"{verified.dropped:,} records are gone, but only {archived.dropped:,} were dropped "
            "as too old to be kept."
        )
        verified.add("record_missing", message)
    others = unsealed_records(db, tenant_id, head.newest)
    unsealed, beyond = archived.end()
    if is_all:
        _verify_erasures(db, tenant_id, archived, verified)
    verified.unsealed = int(others.unsealed) + unsealed
    if others.beyond + beyond:
        message = f"{int(others.beyond) + beyond:,} records name seals that aren't there."
        verified.add("record_unsealed", message)
    if verified.unsealed != head.unsealed:
        message = (
            f"{verified.unsealed:,} records have no seal, {head.unsealed:,} were there before "
            "sealing began: records were added or taken away."
        )
        verified.add("record_unsealed", message)


def _verify_erasures(
    db: Connection, tenant_id: int, archived: ArchivedRecords, verified: Verified
) -> None:
    """Verify that each erasure emptied exactly the records that it recorded, and nothing else."""
    recorded = {**archived.erasures(), **erasures(db, tenant_id)}
    emptied_records: dict[UUID, dict[UUID, bytes]] = {}
    newest: dict[UUID, datetime] = {}
    for record in (*emptied(db, tenant_id), *archived.emptied()):
        emptied_records.setdefault(record.erased_by, {})[record.event_id] = bytes(record.rest)
        newest[record.erased_by] = max(
            newest.get(record.erased_by, record.occurred_at), record.occurred_at
        )
    for claimed in recorded.values():
        for erasure_id, event_id, rest in emptied_again(claimed):
            emptied_records.setdefault(erasure_id, {})[event_id] = rest
    for erasure_id, rests in emptied_records.items():
        claimed = recorded.get(erasure_id)
        if matches_evidence(claimed, rests) or (
            archived.is_cut and is_part_of_evidence(claimed, rests)
        ):
            continue
        # Records kept for longer than the erasure's own record, which is no older than they are.
        if claimed is None and (erasure_id not in newest or archived.may_lack(newest[erasure_id])):
            continue
        message = (
            f"{len(rests):,} records were emptied as if by erasure {erasure_id}, or what it left "
            "of them was changed: that isn't what was erased."
        )
        verified.add("erasure_differs", message)


def _differs(anchor: Anchor) -> str:
    return (
        f"Seal {anchor.seal_no} isn't the one that was pinned at "
        f"{anchor.pinned_at:%Y-%m-%d %H:%M:%S}Z: the chain was set back or written anew, at or "
        "before it."
    )
