"""Seals: how a batch of records is pinned, so that no record can change, come or go unseen.

A record's digest is SHA-256 over what the database stores of it. The digests of a batch are the
leaves of a Merkle tree, and a seal binds its root to the seal before it. The prefixes keep a
leaf, a node and a seal from ever being taken for each other (RFC 6962, section 2.1).
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
"""What the first seal of a tenant names as the one before it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def merkle_root(leaves: bytes) -> bytes:
    """Return the root over a batch's digests, which stand one after another.

    A node without a neighbour goes up as it is, so that the tree is that of RFC 6962.

    Raises:
        ValueError: There is none, or one of them isn't whole.
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
    """Return what stands for a set of records: a digest over their event ids in order."""
    return sha256(b"".join(each.bytes for each in sorted(event_ids))).hexdigest()


def digest_of_rests(rests: Mapping[UUID, bytes]) -> str:
    """Return what stands for what was left of a set of records: over each event id and digest."""
    return sha256(b"".join(each.bytes + rests[each] for each in sorted(rests))).hexdigest()


@dataclass(frozen=True, slots=True)
class Seal:
    """What pins one batch of a tenant's records.

    Attributes:
        tenant_id: Whose records they are.
        seal_no: 1, 2, 3 and so on, without a gap.
        previous: The digest of the seal before; `FIRST` if there is none.
        root: The Merkle root over the records' digests.
        records: So many they are.
        sealed_at: When, to the microsecond.
    """

    tenant_id: int
    seal_no: int
    previous: bytes
    root: bytes
    records: int
    sealed_at: datetime

    @property
    def digest(self) -> bytes:
        """Return what the next seal, and an anchor, says of this one."""
        since = self.sealed_at - _EPOCH
        micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
        numbers = (self.tenant_id, self.seal_no, self.records, micros)
        fixed = b"".join(each.to_bytes(8, "big") for each in numbers)
        return sha256(_SEAL + fixed + self.previous + self.root).digest()
