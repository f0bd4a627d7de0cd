"""Seals: digest a batch of audit records, so that no record is changed, added or removed unseen.

A record's digest is SHA-256 over what the database stores of it. The digests of a batch are the
leaves of a Merkle tree, and a seal chains its root to the seal before it. The prefixes keep a
leaf, a node and a seal from ever being mistaken for each other (RFC 6962, section 2.1).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

DIGEST_BYTES = 32
LEAF = b"\x00"
_NODE = b"\x01"
_SEAL = b"\x02"
FIRST = bytes(DIGEST_BYTES)
"""The digest that the first seal of a tenant names as the one before it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def merkle_root(leaves: bytes) -> bytes:
    """Return the Merkle root over a batch's digests, which are concatenated.

    A node without a neighbour moves up unchanged, as in the tree of RFC 6962.

    Raises:
        ValueError: There is no digest, or one of them isn't complete.
    """
    if not leaves or len(leaves) % DIGEST_BYTES:
        raise ValueError(f"{len(leaves)} bytes are no batch of digests")
    level = leaves
    while len(level) > DIGEST_BYTES:
        pair = 2 * DIGEST_BYTES
        paired = len(level) - len(level) % pair
        nodes = [
            sha256(_NODE + level[first : first + pair]).digest() for first in range(0, paired, pair)
        ]
        level = b"".join(nodes) + level[paired:]
    return level


def digest_of_events(event_ids: Iterable[UUID]) -> str:
    """Return a digest that identifies a set of records: over their event ids in order."""
    return sha256(b"".join(event_id.bytes for event_id in sorted(event_ids))).hexdigest()


def digest_of_rests(rests: Mapping[UUID, bytes]) -> str:
    """Return a digest over what was left of a set of records: each event id and its digest."""
    parts = (event_id.bytes + rests[event_id] for event_id in sorted(rests))
    return sha256(b"".join(parts)).hexdigest()


@dataclass(frozen=True, slots=True)
class Seal:
    """A seal over one batch of a tenant's audit records.

    Attributes:
        tenant_id: The tenant of the records.
        seal_no: 1, 2, 3 and so on, without a gap.
        previous: The digest of the seal before; `FIRST` if there is none.
        root: The Merkle root over the records' digests.
        records: The number of records.
        sealed_at: When it was made, to the microsecond.
    """

    tenant_id: int
    seal_no: int
    previous: bytes
    root: bytes
    records: int
    sealed_at: datetime

    @property
    def digest(self) -> bytes:
        """Return the digest by which the next seal and an anchor refer to this one."""
        since = self.sealed_at - _EPOCH
        micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
        numbers = (self.tenant_id, self.seal_no, self.records, micros)
        fixed = b"".join(number.to_bytes(8, "big") for number in numbers)
        return sha256(_SEAL + fixed + self.previous + self.root).digest()
