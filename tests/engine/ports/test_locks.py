"""Locks on rows: never two holders, only one's own released, nothing wrong when Redis is away."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from typing import Any, Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

import lockside
from engine.ports.locks import _ACQUIRE, Held, Locks, row_key
from tests.engine.steps import at_once, nobody, until

ONE = ["lockside:lock:1:ticket:1"]
THREE = [f"lockside:lock:1:ticket:{n}" for n in (1, 2, 3)]


@pytest.fixture
def redis(site: lockside.Session) -> Iterator[Redis]:
    """Look at the database of the locks."""
    with Redis.from_url(site.settings.redis_database(2)) as client:
        yield client


@pytest.fixture
def locks(redis: Redis) -> Locks:
    return Locks(lambda: redis)


class Take(Protocol):
    def __call__(
        self,
        locks: Locks,
        keys: list[str],
        claim: str,
        *,
        lease_s: float = 60,
        all_or_none: bool = False,
    ) -> Held: ...


@pytest.fixture
def take() -> Iterator[Take]:
    """Give a way to take locks and to keep them until the test is over."""
    with ExitStack() as blocks:

        def take(
            locks: Locks,
            keys: list[str],
            claim: str,
            *,
            lease_s: float = 60,
            all_or_none: bool = False,
        ) -> Held:
            operation = f"operation-of-{claim}"
            return blocks.enter_context(
                locks.hold(
                    keys,
                    claim=claim,
                    operation=operation,
                    lease_s=lease_s,
                    all_or_none=all_or_none,
                )
            )

        yield take


def test_a_lock_is_named_for_its_row() -> None:
    assert row_key(4, "work_order", 17) == "lockside:lock:4:work_order:17"


def test_a_lock_has_one_holder(take: Take, locks: Locks) -> None:
    take(locks, ONE, "mine")

    second = take(locks, ONE, "yours")

    assert list(second.contended) == [0]


def test_a_holder_is_told_by_operation_and_since_when(take: Take, locks: Locks) -> None:
    take(locks, ONE, "mine")

    holder = take(locks, ONE, "yours").contended[0]

    assert holder.operation == "operation-of-mine"
    assert datetime.fromisoformat(holder.since).tzinfo is not None


def test_what_is_free_among_busy_locks_is_taken(take: Take, locks: Locks, redis: Redis) -> None:
    take(locks, THREE[1:2], "mine")

    second = take(locks, THREE, "yours")

    assert (list(second.contended), redis.exists(*THREE)) == ([1], 3)


def test_all_or_none_takes_none(take: Take, locks: Locks, redis: Redis) -> None:
    take(locks, THREE[1:2], "mine")

    second = take(locks, THREE, "yours", all_or_none=True)

    assert (list(second.contended), redis.exists(*THREE)) == ([1], 1)


def test_all_or_none_over_several_calls_takes_none(take: Take, locks: Locks, redis: Redis) -> None:
    keys = [f"lockside:lock:1:ticket:{n}" for n in range(2500)]
    take(locks, keys[2400:2401], "mine")

    second = take(locks, keys, "yours", all_or_none=True)

    assert (list(second.contended), redis.dbsize()) == ([2400], 1)


def test_two_and_a_half_thousand_locks_are_held_and_released(locks: Locks, redis: Redis) -> None:
    keys = [f"lockside:lock:1:ticket:{n}" for n in range(2500)]

    with locks.hold(keys, claim="mine", operation="x", lease_s=60, all_or_none=False) as held:
        during = redis.dbsize()

    assert (held.contended, during, redis.dbsize()) == ({}, 2500, 0)


def test_positions_of_busy_locks_count_over_all_calls(take: Take, locks: Locks) -> None:
    keys = [f"lockside:lock:1:ticket:{n}" for n in range(2500)]
    take(locks, [keys[0], keys[999], keys[1000], keys[2499]], "mine")

    second = take(locks, keys, "yours")

    assert sorted(second.contended) == [0, 999, 1000, 2499]


@pytest.mark.parametrize("all_or_none", ["0", "1"])
def test_an_owner_who_asks_again_has_it_already(
    locks: Locks, redis: Redis, all_or_none: str
) -> None:
    # What a client does whose reply got lost: the same script again, with the same owner.
    for lease_ms in (1000, 60_000):
        [contended] = locks._run_script(_ACQUIRE, ONE, ["me", lease_ms, all_or_none]) or []

    assert (contended, redis.pttl(ONE[0]) > 50_000) == ([], True)


def test_locks_are_gone_after_the_block(locks: Locks, redis: Redis) -> None:
    with locks.hold(THREE, claim="mine", operation="x", lease_s=60, all_or_none=False):
        pass

    assert redis.dbsize() == 0


def test_locks_are_gone_after_a_failure_in_the_block(locks: Locks, redis: Redis) -> None:
    holding = locks.hold(THREE, claim="mine", operation="x", lease_s=60, all_or_none=False)

    with pytest.raises(ZeroDivisionError), holding:
        raise ZeroDivisionError

    assert redis.dbsize() == 0


def test_only_ones_own_locks_are_released(locks: Locks, redis: Redis) -> None:
    with locks.hold(THREE, claim="mine", operation="x", lease_s=60, all_or_none=False):
        redis.set(THREE[1], "somebody else took it when my lease was over")

    assert redis.keys() == [THREE[1].encode()]


def test_what_was_busy_is_not_released(take: Take, locks: Locks, redis: Redis) -> None:
    take(locks, THREE[1:2], "yours")

    with locks.hold(THREE, claim="mine", operation="x", lease_s=60, all_or_none=False):
        pass

    assert redis.keys() == [THREE[1].encode()]


def test_a_lock_outlives_its_owner_by_its_lease(take: Take, locks: Locks, redis: Redis) -> None:
    take(locks, ONE, "mine", lease_s=0.05)

    until(lambda: not redis.exists(ONE[0]))

    assert take(locks, ONE, "yours").contended == {}


def test_renewing_prolongs_a_lock_after_a_third_of_its_lease(
    take: Take, locks: Locks, redis: Redis
) -> None:
    held = take(locks, ONE, "mine", lease_s=0.3)
    until(lambda: redis.pttl(ONE[0]) < 190)

    held.renew()

    assert redis.pttl(ONE[0]) > 250


def test_renewing_at_once_asks_nobody(take: Take, locks: Locks, redis: Redis) -> None:
    held = take(locks, ONE, "mine", lease_s=60)
    redis.pexpire(ONE[0], 1000)

    held.renew()

    assert redis.pttl(ONE[0]) <= 1000


def test_renewing_leaves_what_somebody_else_took(take: Take, locks: Locks, redis: Redis) -> None:
    held = take(locks, ONE, "mine", lease_s=0.03)
    until(lambda: not redis.exists(ONE[0]))
    redis.set(ONE[0], "theirs", px=5000)

    held.renew()

    assert (redis.get(ONE[0]), redis.pttl(ONE[0]) > 4000) == (b"theirs", True)


def test_of_ten_who_want_the_same_locks_one_gets_them_all(take: Take, locks: Locks) -> None:
    answers = at_once(*[lambda n=n: take(locks, THREE, f"claim{n}") for n in range(10)])

    contended = sorted(len(each.contended) for each in answers)  # type: ignore[attr-defined]
    assert sum(3 - each for each in contended) == 3


# Redis is away


@pytest.fixture
def away() -> Locks:
    return Locks(nobody)


def test_without_redis_nothing_is_busy_and_it_is_told(take: Take, away: Locks) -> None:
    held = take(away, THREE, "mine")

    assert (held.contended, held.degraded) == ({}, True)


def test_without_redis_the_block_runs_and_ends(away: Locks) -> None:
    with away.hold(THREE, claim="mine", operation="x", lease_s=0.0, all_or_none=True) as held:
        held.renew()

    assert held.degraded


def test_without_redis_once_is_always(away: Locks) -> None:
    away.forget("audit")

    assert [away.once("audit", 60), away.once("audit", 60)] == [True, True]


def test_once_is_once_until_it_is_forgotten(locks: Locks) -> None:
    answers = [locks.once("audit", 60), locks.once("audit", 60)]
    locks.forget("audit")

    assert [*answers, locks.once("audit", 60)] == [True, False, True]


def test_once_comes_again_after_its_time(locks: Locks) -> None:
    locks.once("audit", 0.02)

    until(lambda: locks.once("audit", 60))


def test_locks_that_are_switched_off_lock_nothing(take: Take, redis: Redis) -> None:
    off = Locks(lambda: redis, enabled=False)

    held = take(off, ONE, "mine")

    assert (held.contended, held.degraded, redis.dbsize()) == ({}, False, 0)


keys = st.lists(st.sampled_from(THREE), min_size=1, unique=True).map(sorted)
acts = st.lists(st.tuples(keys, st.booleans(), st.booleans()), min_size=1, max_size=15)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts)
def test_there_are_never_two_holders(
    locks: Locks, redis: Redis, done: list[tuple[list[str], bool, bool]]
) -> None:
    redis.flushdb()
    holders: dict[str, str] = {}

    with ExitStack() as kept:
        for turn, (wanted, all_or_none, leaves) in enumerate(done):
            claim = f"claim-{turn}"
            block = ExitStack()
            held = block.enter_context(
                locks.hold(wanted, claim=claim, operation="x", lease_s=60, all_or_none=all_or_none)
            )
            assert {wanted[place] for place in held.contended} == holders.keys() & set(wanted)
            if not (held.contended and all_or_none):
                holders |= {key: claim for key in wanted if key not in holders}
            if leaves:
                block.close()
                holders = {key: owner for key, owner in holders.items() if owner != claim}
            kept.push(block)
            assert owners(redis) == holders

    assert owners(redis) == {}


def owners(redis: Redis) -> dict[str, str]:
    """Return the claim that each lock stands for."""
    stored: dict[str, Any] = {key: redis.get(key) for key in THREE}
    return {key: owner.split()[0].decode() for key, owner in stored.items() if owner}
