"""Cancelling: what waits never runs, what runs ends as it is, and the operation always ends."""

from uuid import uuid4

import pytest

import lockside
from domain.errors import IllegalTransition, NotFound
from engine.operations.cancel import cancel
from engine.operations.run_chunk import run_chunk
from engine.operations.sweeper import sweep
from tests.checker import check_invariants
from tests.engine.steps import (
    Crash,
    ask,
    chunks,
    crash_at,
    drain,
    due_now,
    leases_over,
    operation,
    outcomes,
    query,
    rows,
    then,
)
from tests.factories import work_orders
from tests.sentences import Sentences

pytestmark = pytest.mark.slow


def test_what_waits_is_cancelled_at_once(site: lockside.Session) -> None:
    ids = work_orders(site, 4)
    operation_id = ask(site, ids, atomic=False, chunk_items=2)

    cancel(site.platform, site.actor, operation_id)

    assert operation(site, operation_id)["state"] == "CANCELLED"
    assert rows(site) == dict.fromkeys(ids, ("SUBMITTED", 1))
    check_invariants(site)


def test_what_was_done_stays_done(site: lockside.Session) -> None:
    operation_id = ask(site, work_orders(site, 4), atomic=False, chunk_items=2)
    run_chunk(site.platform, operation_id, 0)

    cancel(site.platform, site.actor, operation_id)

    assert list(outcomes(site, operation_id).values()) == [
        *("SUCCEEDED", "SUCCEEDED", "CANCELLED", "CANCELLED")
    ]
    check_invariants(site)


@pytest.mark.parametrize("step", ["claimed", "locked", "writing", "changed", "released"])
def test_a_running_chunk_ends_as_it_is(site: lockside.Session, step: str) -> None:
    operation_id = ask(site, work_orders(site, 4), atomic=False, chunk_items=2)

    run_chunk(
        then(site.platform, step, lambda: cancel(site.platform, site.actor, operation_id)),
        operation_id,
        0,
    )

    assert [each["status"] for each in chunks(site, operation_id)] == ["DONE", "CANCELLED"]
    assert operation(site, operation_id)["state"] == "CANCELLED"
    check_invariants(site)


def test_busy_rows_of_a_cancelled_operation_are_not_waited_for(site: lockside.Session) -> None:
    ids = work_orders(site, 3)
    operation_id = ask(site, ids, atomic=False)
    key = f"lockside:lock:{site.actor.tenant_id}:work_order:{ids[0]}"
    platform = then(
        site.platform, "locked", lambda: cancel(site.platform, site.actor, operation_id)
    )

    with site.platform.locks.hold(
        [key], claim="theirs", operation="x", lease_s=60, all_or_none=False
    ):
        run_chunk(platform, operation_id, 0)

    assert list(outcomes(site, operation_id).values()) == ["CANCELLED", "SUCCEEDED", "SUCCEEDED"]
    check_invariants(site)


def test_a_chunk_that_waits_for_busy_rows_keeps_what_it_did(site: lockside.Session) -> None:
    ids = work_orders(site, 3)
    operation_id = ask(site, ids, atomic=False)
    key = f"lockside:lock:{site.actor.tenant_id}:work_order:{ids[0]}"
    with site.platform.locks.hold(
        [key], claim="theirs", operation="x", lease_s=60, all_or_none=False
    ):
        run_chunk(site.platform, operation_id, 0)

    cancel(site.platform, site.actor, operation_id)

    assert list(outcomes(site, operation_id).values()) == ["CANCELLED", "SUCCEEDED", "SUCCEEDED"]
    check_invariants(site)


def test_cancelling_during_the_last_chunk_comes_too_late(site: lockside.Session) -> None:
    operation_id = ask(site, work_orders(site, 2), atomic=False)

    run_chunk(
        then(site.platform, "locked", lambda: cancel(site.platform, site.actor, operation_id)),
        operation_id,
        0,
    )

    assert operation(site, operation_id)["state"] == "SUCCEEDED"
    check_invariants(site)


def test_a_message_that_comes_after_the_cancel_does_nothing(site: lockside.Session) -> None:
    ids = work_orders(site, 2)
    operation_id = ask(site, ids)
    cancel(site.platform, site.actor, operation_id)

    run_chunk(site.platform, operation_id, 0)

    assert rows(site) == dict.fromkeys(ids, ("SUBMITTED", 1))


def test_cancelling_twice_is_cancelling_once(site: lockside.Session) -> None:
    operation_id = ask(site, work_orders(site, 4), atomic=False, chunk_items=2)

    def twice() -> None:
        cancel(site.platform, site.actor, operation_id)
        cancel(site.platform, site.actor, operation_id)

    run_chunk(then(site.platform, "locked", twice), operation_id, 0)

    check_invariants(site)


def test_what_has_ended_can_not_be_cancelled(site: lockside.Session, says: Sentences) -> None:
    operation_id = ask(site, work_orders(site, 2))
    drain(site, operation_id)

    with pytest.raises(IllegalTransition, check=says):
        cancel(site.platform, site.actor, operation_id)


def test_an_operation_that_is_not_there_can_not_be_cancelled(
    site: lockside.Session, says: Sentences
) -> None:
    with pytest.raises(NotFound, check=says):
        cancel(site.platform, site.actor, uuid4())


def test_a_crash_while_cancelling_is_mended_by_the_sweeper(site: lockside.Session) -> None:
    operation_id = ask(site, work_orders(site, 4), atomic=False, chunk_items=2)
    with pytest.raises(Crash):
        cancel(crash_at(site.platform, "cancelling"), site.actor, operation_id)

    sweep(site.platform)

    assert operation(site, operation_id)["state"] == "CANCELLED"
    check_invariants(site)


@pytest.mark.parametrize("step", ["claimed", "locked", "writing"])
def test_a_chunk_whose_worker_was_lost_is_cancelled_with_the_rest(
    site: lockside.Session, step: str
) -> None:
    operation_id = ask(site, work_orders(site, 4), atomic=False, chunk_items=2)
    with pytest.raises(Crash):
        run_chunk(crash_at(site.platform, step), operation_id, 0)
    cancel(site.platform, site.actor, operation_id)
    leases_over(site)

    sweep(site.platform)

    assert operation(site, operation_id)["state"] == "CANCELLED"
    assert set(outcomes(site, operation_id).values()) == {"CANCELLED"}
    check_invariants(site)


def test_a_chunk_whose_lease_still_runs_is_not_cancelled(site: lockside.Session) -> None:
    operation_id = ask(site, work_orders(site, 2), lease_s=60)
    with pytest.raises(Crash):
        run_chunk(crash_at(site.platform, "claimed"), operation_id, 0)
    cancel(site.platform, site.actor, operation_id)

    sweep(site.platform)

    assert operation(site, operation_id)["state"] == "CANCELLING"


def test_a_cancelled_dead_chunk_is_told_as_dead(site: lockside.Session) -> None:
    operation_id = ask(site, work_orders(site, 4), atomic=False, chunk_items=2)
    for _ in range(site.platform.pace.attempts):
        with pytest.raises(Crash):
            run_chunk(crash_at(site.platform, "claimed"), operation_id, 0)
        leases_over(site)
    sweep(site.platform)

    cancel(site.platform, site.actor, operation_id)

    assert [each["status"] for each in chunks(site, operation_id)] == ["DEAD", "CANCELLED"]
    check_invariants(site)


def test_a_paused_operation_can_be_cancelled(site: lockside.Session) -> None:
    operation_id = ask(site, work_orders(site, 2))
    query(site, "UPDATE operation SET state = 'PAUSED' WHERE id = :id", id=operation_id)
    due_now(site)

    cancel(site.platform, site.actor, operation_id)

    assert operation(site, operation_id)["state"] == "CANCELLED"
    check_invariants(site)
