"""Seals: the tree over a batch's digests, and what binds one seal to the one before."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.audit.seal import DIGEST_BYTES, FIRST, Seal, merkle_root
from tests.sentences import Sentences

digests = st.lists(st.binary(min_size=DIGEST_BYTES, max_size=DIGEST_BYTES), min_size=1, max_size=70)


def root_of_rfc_6962(leaves: list[bytes]) -> bytes:
    """Return the root as the standard defines it, from the top down."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    left, right = root_of_rfc_6962(leaves[:split]), root_of_rfc_6962(leaves[split:])
    return sha256(b"\x01" + left + right).digest()


@given(digests)
def test_the_root_is_that_of_rfc_6962(leaves: list[bytes]) -> None:
    assert merkle_root(b"".join(leaves)) == root_of_rfc_6962(leaves)


@given(digests, st.data())
def test_another_leaf_is_another_root(leaves: list[bytes], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(leaves) - 1))
    other = [*leaves]
    other[place] = sha256(leaves[place]).digest()

    assert merkle_root(b"".join(other)) != merkle_root(b"".join(leaves))


@pytest.mark.parametrize("leaves", [b"", b"\x00" * 31, b"\x00" * 33])
def test_what_is_no_batch_of_digests_has_no_root(leaves: bytes, says: Sentences) -> None:
    with pytest.raises(ValueError, check=says):
        merkle_root(leaves)


SEAL = Seal(
    tenant_id=1,
    seal_no=2,
    previous=FIRST,
    root=sha256(b"root").digest(),
    records=3,
    sealed_at=datetime(2026, 11, 20, 3, 30, tzinfo=UTC),
)


@pytest.mark.parametrize(
    "change",
    [
        {"tenant_id": 2},
        {"seal_no": 3},
        {"previous": sha256(b"other").digest()},
        {"root": FIRST},
        {"records": 4},
        {"sealed_at": SEAL.sealed_at + timedelta(microseconds=1)},
    ],
)
def test_a_seal_that_says_something_else_has_another_digest(change: dict[str, object]) -> None:
    assert replace(SEAL, **change).digest != SEAL.digest  # type: ignore[arg-type]


def test_the_same_moment_in_another_zone_is_the_same_seal() -> None:
    there = SEAL.sealed_at.astimezone(ZoneInfo("Asia/Kolkata"))
    assert replace(SEAL, sealed_at=there).digest == SEAL.digest
