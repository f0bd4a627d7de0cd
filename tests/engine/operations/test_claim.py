"""Claims: one at a time, counted, fenced; a lost one is handed on, a killer is buried."""

from functools import partial
from threading import Thread

import pytest

import lockside
from engine.audit.writer import write_records
from engine.operations.claim import take_claim
from engine.operations.follow_up import undo
from engine.operations.run_chunk import run_chunk
from engine.operations.sweeper import sweep
from tests.checker import check_invariants
from tests.engine.steps import (
    Crash,
    ask,
    at_once,
    chunks,
    crash_at,
    drain,
    due_now,
    leases_over,
    operation,
    outcomes,
    query,
    raw,
    rows,
    somebody_waits_for_a_row,
    then,
    until,
    without_locks,
)
from tests.factories import work_orders


def die(site: lockside.Session, operation_id: object, chunk_no: int = 0, times: int = 1) -> None:
    """Have a worker die over a chunk, and its lease run out."""
    for _ in range(times):
        with pytest.raises(Crash):
            run_chunk(crash_at(site.platform, "claimed"), operation_id, chunk_no)  # type: ignore[arg-type]
        leases_over(site)


def test_of_ten_who_want_a_chunk_one_gets_it(site: lockside.Session) -> None:
    operation_id = ask(site, work_orders(site, 2))

    claims = at_once(*[lambda: take_claim(site.platform, operation_id, 0)] * 10)

    assert [each is None for each in claims].count(False) == 1


def test_the_first_claim_starts_the_operation(site: lockside.Session) -> None:
    operation_id = ask(site, work_orders(site, 2))

    take_claim(site.platform, operation_id, 0)

    row = operation(site, operation_id)
    assert (row["state"], row["started_at"] is not None) == ("RUNNING", True)


@pytest.mark.parametrize("state", ["PAUSED", "CANCELLING"])
def test_a_claim_that_met_a_pause_or_a_cancel_has_begun(site: lockside.Session, state: str) -> None:
    ids = work_orders(site, 2)
    operation_id = ask(site, ids, atomic=False)
    with raw(site) as other:
        other.execute("UPDATE operation SET state = %s WHERE id = %s", [state, operation_id])
        worker = Thread(target=run_chunk, args=(site.platform, operation_id, 0))
        worker.start()
        until(lambda: somebody_waits_for_a_row(site))
        other.commit()
    worker.join()

    write_records(site.platform)
    undone = drain(site, undo(site.platform, site.actor, operation_id))

    assert undone["successful_ids"] == [str(each) for each in ids]


def test_a_claim_lasts_as_long_as_its_lease(site: lockside.Session) -> None:
    operation_id = ask(site, work_orders(site, 2), lease_s=60)
    take_claim(site.platform, operation_id, 0)

    assert take_claim(site.platform, operation_id, 0) is None


def test_a_lease_that_is_over_is_handed_on(site: lockside.Session) -> None:
    ids = work_orders(site, 2)
    operation_id = ask(site, ids)
    die(site, operation_id)

    run_chunk(site.platform, operation_id, 0)

    assert rows(site) == dict.fromkeys(ids, ("APPROVED", 2))
    assert chunks(site, operation_id)[0]["attempt"] == 2
    check_invariants(site)


@pytest.mark.parametrize("step", ["claimed", "locked"])
def test_who_lost_the_claim_changes_nothing(site: lockside.Session, step: str) -> None:
    ids = work_orders(site, 3)
    operation_id = ask(site, ids, atomic=False)
    alone = without_locks(site.platform)

    def hand_on() -> None:
        leases_over(site)
        run_chunk(alone, operation_id, 0)

    run_chunk(then(alone, step, hand_on), operation_id, 0)

    assert rows(site) == dict.fromkeys(ids, ("APPROVED", 2))
    assert chunks(site, operation_id)[0]["attempt"] == 2
    check_invariants(site)


def test_a_claim_whose_change_is_open_is_nobody_elses(site: lockside.Session) -> None:
    operation_id = ask(site, work_orders(site, 2))
    others = []

    def try_to_take() -> None:
        others.append(take_claim(site.platform, operation_id, 0))

    query(site, "UPDATE operation SET lease_seconds = 0.0")
    run_chunk(then(site.platform, "writing", try_to_take), operation_id, 0)

    assert others == [None]
    check_invariants(site)


def test_who_lost_the_claim_gives_nothing_back(site: lockside.Session) -> None:
    ids = work_orders(site, 2)
    operation_id = ask(site, ids)
    alone = without_locks(site.platform)

    def hand_on_and_fail() -> None:
        leases_over(site)
        run_chunk(alone, operation_id, 0)
        raise RuntimeError("the old one fails after that")

    with pytest.raises(RuntimeError):
        run_chunk(then(alone, "locked", hand_on_and_fail), operation_id, 0)

    assert chunks(site, operation_id)[0]["status"] == "DONE"
    check_invariants(site)


def test_only_starts_count_as_attempts(site: lockside.Session) -> None:
    operation_id = ask(site, work_orders(site, 2))
    die(site, operation_id, times=2)
    sweep(site.platform)

    assert chunks(site, operation_id)[0]["attempt"] == 2


def test_after_the_last_attempt_nobody_starts_again(site: lockside.Session) -> None:
    operation_id = ask(site, work_orders(site, 2))
    die(site, operation_id, times=site.platform.pace.attempts)

    assert take_claim(site.platform, operation_id, 0) is None


def buried(site: lockside.Session, **options: object) -> lockside.Operation:
    """Run an operation of seven items in threes whose second chunk kills whoever takes it."""
    operation_id = ask(site, work_orders(site, 7), atomic=False, chunk_items=3, **options)
    die(site, operation_id, 1, site.platform.pace.attempts)
    sweep(site.platform)
    drain(site, operation_id)
    return site.operation(operation_id)


def test_a_chunk_that_kills_its_workers_is_dead_and_the_others_are_done(
    site: lockside.Session,
) -> None:
    done = buried(site)

    statuses = [each["status"] for each in query(site, "SELECT status FROM operation_chunk"
                " ORDER BY chunk_no")]  # fmt: skip
    assert statuses == ["DONE", "DEAD", "DONE"]
    assert done.show()["state"] == "COMPLETED_WITH_ERRORS"
    check_invariants(site)


def test_the_items_of_a_dead_chunk_failed_and_may_be_tried_again(site: lockside.Session) -> None:
    failures = list(buried(site).failures())

    assert [(each.code, each.retryable) for each in failures] == [("unavailable", True)] * 3
    assert failures[0].message.startswith("Given up after 5 attempts")


def test_a_dead_chunk_is_counted_by_its_code(site: lockside.Session) -> None:
    assert buried(site).show()["result"]["failure_codes"] == {"unavailable": 3}


def test_an_operation_whose_every_item_died_could_not_run(site: lockside.Session) -> None:
    operation_id = ask(site, work_orders(site, 2))
    die(site, operation_id, times=site.platform.pace.attempts)

    sweep(site.platform)

    assert operation(site, operation_id)["state"] == "FAILED"
    check_invariants(site)


def test_what_a_chunk_did_before_it_died_stays_done(site: lockside.Session) -> None:
    ids = work_orders(site, 3)
    operation_id = ask(site, ids, atomic=False)
    key = f"lockside:lock:{site.actor.tenant_id}:work_order:{ids[0]}"
    with site.platform.locks.hold(
        [key], claim="theirs", operation="x", lease_s=60, all_or_none=False
    ):
        run_chunk(site.platform, operation_id, 0)
    for _ in range(site.platform.pace.attempts):
        due_now(site)
        die(site, operation_id)

    sweep(site.platform)

    assert list(outcomes(site, operation_id).values()) == ["FAILED", "SUCCEEDED", "SUCCEEDED"]
    assert operation(site, operation_id)["state"] == "COMPLETED_WITH_ERRORS"
    check_invariants(site)


def test_several_sweepers_bury_a_chunk_once(site: lockside.Session) -> None:
    operation_id = ask(site, work_orders(site, 2))
    die(site, operation_id, times=site.platform.pace.attempts)

    swept = at_once(*[partial(sweep, site.platform)] * 4)

    assert sum(each.dead for each in swept) == 1  # type: ignore[attr-defined]
    check_invariants(site)
