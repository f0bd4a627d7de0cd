"""Locks on rows: never two holders, only one's own released, nothing wrong when Redis is away."""

from collections.abc import Iterator
from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

import lockside
from engine.locks import Held, Locks, row_key
from tests.engine.steps import at_once, until

ONE = ["lockside:lock:1:ticket:1"]
THREE = [f"lockside:lock:1:ticket:{n}" for n in (1, 2, 3)]


@pytest.fixture
def redis(site: lockside.Site) -> Iterator[Redis]:
    """Look at the database of the locks."""
    with Redis.from_url(site.settings.redis_database(2)) as client:
        yield client


@pytest.fixture
def locks(redis: Redis) -> Locks:
    return Locks(redis)


def take(
    locks: Locks, keys: list[str], claim: str, *, lease_s: float = 60, all_or_none: bool = False
) -> Held:
    """Take locks as somebody who dies with them: nothing is released."""
    holding = locks.hold(
        keys,
        claim=claim,
        operation=f"operation-of-{claim}",
        lease_s=lease_s,
        all_or_none=all_or_none,
    )
    held = holding.__enter__()
    DEAD.append(holding)
    return held


# Kept, so that no generator is closed, which would release its locks.
DEAD: list[object] = []


def test_a_lock_is_named_for_its_row() -> None:
    assert row_key(4, "work_order", 17) == "lockside:lock:4:work_order:17"


def test_a_lock_has_one_holder(locks: Locks) -> None:
    take(locks, ONE, "mine")

    second = take(locks, ONE, "yours")

    assert list(second.busy) == [0]


def test_a_holder_is_told_by_operation_and_since_when(locks: Locks) -> None:
    take(locks, ONE, "mine")

    holder = take(locks, ONE, "yours").busy[0]

    assert holder.operation == "operation-of-mine"
    assert datetime.fromisoformat(holder.since).tzinfo is not None


def test_what_is_free_among_busy_locks_is_taken(locks: Locks, redis: Redis) -> None:
    take(locks, THREE[1:2], "mine")

    second = take(locks, THREE, "yours")

    assert (list(second.busy), redis.exists(*THREE)) == ([1], 3)


def test_all_or_none_takes_none(locks: Locks, redis: Redis) -> None:
    take(locks, THREE[1:2], "mine")

    second = take(locks, THREE, "yours", all_or_none=True)

    assert (list(second.busy), redis.exists(*THREE)) == ([1], 1)


def test_all_or_none_over_several_calls_takes_none(locks: Locks, redis: Redis) -> None:
    keys = [f"lockside:lock:1:ticket:{n}" for n in range(2500)]
    take(locks, keys[2400:2401], "mine")

    second = take(locks, keys, "yours", all_or_none=True)

    assert (list(second.busy), redis.dbsize()) == ([2400], 1)


def test_two_and_a_half_thousand_locks_are_held_and_released(locks: Locks, redis: Redis) -> None:
    keys = [f"lockside:lock:1:ticket:{n}" for n in range(2500)]

    with locks.hold(keys, claim="mine", operation="x", lease_s=60, all_or_none=False) as held:
        during = redis.dbsize()

    assert (held.busy, during, redis.dbsize()) == ({}, 2500, 0)


def test_positions_of_busy_locks_count_over_all_calls(locks: Locks) -> None:
    keys = [f"lockside:lock:1:ticket:{n}" for n in range(2500)]
    take(locks, [keys[0], keys[999], keys[1000], keys[2499]], "mine")

    second = take(locks, keys, "yours")

    assert sorted(second.busy) == [0, 999, 1000, 2499]


def test_an_owner_who_asks_again_has_it_already(locks: Locks, redis: Redis) -> None:
    # What a client does whose reply got lost: the same script again, with the same owner.
    owner = "claim operation 2026-11-22T09:30:00"
    redis.set(ONE[0], owner, px=1000)

    busy = locks._acquire(keys=ONE, args=[owner, 60_000, "0"])
    again = locks._acquire(keys=ONE, args=[owner, 60_000, "1"])

    assert (busy, again) == ([], [])
    assert redis.pttl(ONE[0]) > 50_000


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


def test_what_was_busy_is_not_released(locks: Locks, redis: Redis) -> None:
    take(locks, THREE[1:2], "yours")

    with locks.hold(THREE, claim="mine", operation="x", lease_s=60, all_or_none=False):
        pass

    assert redis.keys() == [THREE[1].encode()]


def test_a_lock_outlives_its_owner_by_its_lease(locks: Locks, redis: Redis) -> None:
    take(locks, ONE, "mine", lease_s=0.05)

    until(lambda: not redis.exists(ONE[0]))

    assert take(locks, ONE, "yours").busy == {}


def test_renewing_prolongs_a_lock_after_a_third_of_its_lease(locks: Locks, redis: Redis) -> None:
    held = take(locks, ONE, "mine", lease_s=0.3)
    until(lambda: redis.pttl(ONE[0]) < 190)

    held.renew()

    assert redis.pttl(ONE[0]) > 250


def test_renewing_at_once_asks_nobody(locks: Locks, redis: Redis) -> None:
    held = take(locks, ONE, "mine", lease_s=60)
    redis.pexpire(ONE[0], 1000)

    held.renew()

    assert redis.pttl(ONE[0]) <= 1000


def test_renewing_leaves_what_somebody_else_took(locks: Locks, redis: Redis) -> None:
    held = take(locks, ONE, "mine", lease_s=0.03)
    until(lambda: not redis.exists(ONE[0]))
    redis.set(ONE[0], "theirs", px=5000)

    held.renew()

    assert (redis.get(ONE[0]), redis.pttl(ONE[0]) > 4000) == (b"theirs", True)


def test_of_ten_who_want_the_same_locks_one_gets_them_all(locks: Locks) -> None:
    answers = at_once(*[lambda n=n: take(locks, THREE, f"claim{n}") for n in range(10)])

    busy = sorted(len(each.busy) for each in answers)  # type: ignore[attr-defined]
    assert sum(3 - each for each in busy) == 3


# Redis is away


@pytest.fixture
def away() -> Locks:
    return Locks(Redis(port=9, retry=Retry(NoBackoff(), 0), socket_connect_timeout=0.5))


def test_without_redis_nothing_is_busy_and_it_is_told(away: Locks) -> None:
    held = take(away, THREE, "mine")

    assert (held.busy, held.degraded) == ({}, True)


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


def test_locks_that_are_switched_off_lock_nothing(redis: Redis) -> None:
    off = Locks(redis, enabled=False)

    held = take(off, ONE, "mine")

    assert (held.busy, held.degraded, redis.dbsize()) == ({}, False, 0)


keys = st.lists(st.sampled_from(THREE), min_size=1, unique=True).map(sorted)
acts = st.lists(
    st.tuples(st.sampled_from("abc"), keys, st.booleans(), st.booleans()), min_size=1, max_size=15
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts)
def test_there_are_never_two_holders(
    locks: Locks, redis: Redis, done: list[tuple[str, list[str], bool, bool]]
) -> None:
    redis.flushdb()
    holders: dict[str, str] = {}
    blocks = []

    for who, wanted, all_or_none, leaves in done:
        claim = f"{who}{len(blocks)}"
        block = locks.hold(wanted, claim=claim, operation="x", lease_s=60, all_or_none=all_or_none)
        held = block.__enter__()
        taken = [key for place, key in enumerate(wanted) if place not in held.busy]
        if held.busy and all_or_none:
            taken = []
        busy = {wanted[place] for place in held.busy}
        assert busy == {key for key in wanted if key in holders}
        holders |= dict.fromkeys(taken, claim)
        blocks.append(block)
        if leaves:
            block.__exit__(None, None, None)
            holders = {key: owner for key, owner in holders.items() if owner != claim}

    stored = {key.decode(): value.split()[0].decode() for key in redis.keys()
              if (value := redis.get(key))}  # fmt: skip
    assert stored == holders
    DEAD.extend(blocks)
