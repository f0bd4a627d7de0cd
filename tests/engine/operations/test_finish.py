"""The end of an operation comes once, whoever brings it, and its pollers get to know."""

from dataclasses import replace
from functools import partial
from itertools import accumulate, permutations
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from celery.result import AsyncResult
from redis import Redis

import lockside
from domain.errors import InvalidInput
from engine.audit.writer import write_records
from engine.operations.finish import finish
from engine.operations.run_chunk import run_chunk
from engine.operations.sweeper import sweep
from engine.ports.result_backend import Results
from tests.checker import check_invariants
from tests.engine.steps import (
    Crash,
    Recorder,
    ask,
    at_once,
    crash_at,
    drain,
    leases_over,
    nobody,
    operation,
    query,
    without_locks,
)
from tests.factories import work_orders
from tests.patience import PATIENCE_S
from tests.sentences import Sentences


def polled(site: lockside.Session, operation_id: UUID) -> AsyncResult[Any]:
    """Return what somebody sees who asks Celery for the operation."""
    return AsyncResult(str(operation_id), app=site.app)


def test_an_operation_with_a_waiting_chunk_is_not_finished(site: lockside.Session) -> None:
    operation_id = ask(site, work_orders(site, 4), atomic=False, chunk_items=2)
    run_chunk(site.platform, operation_id, 0)

    assert not finish(site.platform, operation_id)


def test_of_ten_who_finish_an_operation_one_does(site: lockside.Session) -> None:
    operation_id = ask(site, work_orders(site, 2))
    with pytest.raises(Crash):
        run_chunk(crash_at(site.platform, "released"), operation_id, 0)

    answers = at_once(*[partial(finish, site.platform, operation_id)] * 5)

    assert sorted(map(str, answers)) == ["False"] * 4 + ["True"]


@pytest.mark.slow
def test_two_last_chunks_that_end_together_finish_the_operation_once(
    site: lockside.Session,
) -> None:
    # Half of them meet before both commit, half before both look whether they were the last.
    ids = work_orders(site, 2)
    platform = replace(without_locks(site.platform), publish=Recorder())
    operations = [
        ask(site, ids, target="APPROVED", atomic=False, chunk_items=1, wait_s=60)
        for _ in range(200)
    ]

    for turn, each in enumerate(operations):
        both = replace(platform, step=Meeting("writing" if turn % 2 else "released"))
        answers = at_once(partial(run_chunk, both, each, 0), partial(run_chunk, both, each, 1))
        assert "finished" in answers, answers

    ended = query(site, "SELECT count(*) AS n FROM operation WHERE state = 'SUCCEEDED'")
    assert ended == [{"n": 201}]
    check_invariants(site)


class Meeting:
    """Lets two threads go on from a step together."""

    def __init__(self, step: str) -> None:
        self._step = step
        self._barrier = Barrier(2, timeout=PATIENCE_S)

    def __call__(self, step: str) -> None:
        if step == self._step:
            self._barrier.wait()


def test_a_bulk_operation_leaves_one_record(site: lockside.Session) -> None:
    operation_id = ask(site, work_orders(site, 3))
    drain(site, operation_id)

    write_records(site.platform)

    (record,) = query(site, "SELECT * FROM bulk_operation_audit")
    assert record["correlation_id"] == operation_id


@pytest.mark.parametrize("options", [{}, {"dry_run": True}])
def test_a_single_transition_and_a_dry_run_leave_none(
    site: lockside.Session, options: dict[str, Any]
) -> None:
    drain(site, ask(site, work_orders(site, 2 if options else 1), **options))

    write_records(site.platform)

    assert query(site, "SELECT * FROM bulk_operation_audit") == []


def test_beyond_a_thousand_items_the_result_counts_only(site: lockside.Session) -> None:
    ids = work_orders(site, 1001) + work_orders(site, 2, vendor=False)

    told = drain(site, ask(site, ids, atomic=False))

    assert (told["successful_items"], told["successful_ids"], told["failure_codes"]) == (
        1001,
        [],
        {"vendor_missing": 2},
    )
    check_invariants(site)


def test_results_of_one_outcome_go_by_its_name_in_any_case(
    site: lockside.Session, says: Sentences
) -> None:
    bad, good = work_orders(site, 1, vendor=False), work_orders(site, 1)
    asked = ask(site, bad + good, atomic=False)
    drain(site, asked)

    found = site.operation(asked).results(only="failed")

    assert [each["id"] for each in found] == [str(bad[0])]
    with pytest.raises(InvalidInput, check=says):
        next(site.operation(asked).results(only="broken"))


def test_execution_time_runs_from_the_first_claim_to_the_end(site: lockside.Session) -> None:
    operation_id = ask(site, work_orders(site, 2))

    told = drain(site, operation_id)

    row = operation(site, operation_id)
    span = row["finished_at"] - row["started_at"]
    assert told["execution_time_ms"] == round(span.total_seconds() * 1000)


# Told to whoever polls


def test_before_anything_is_done_pollers_see_what_celery_calls_pending(
    site: lockside.Session,
) -> None:
    operation_id = ask(site, work_orders(site, 2))

    assert polled(site, operation_id).state == "PENDING"


def test_between_chunks_pollers_see_the_progress(site: lockside.Session) -> None:
    operation_id = ask(site, work_orders(site, 4), atomic=False, chunk_items=1)
    run_chunk(site.platform, operation_id, 0)

    answer: Any = polled(site, operation_id)

    assert answer.state == "PROGRESS"
    counted = {name: answer.info[name] for name in ("done", "total", "succeeded", "percent")}
    assert counted == {"done": 1, "total": 4, "succeeded": 1, "percent": 25}


def test_at_the_end_pollers_see_the_result(site: lockside.Session) -> None:
    operation_id = ask(site, work_orders(site, 2))

    told = drain(site, operation_id)

    answer = polled(site, operation_id)
    assert (answer.state, answer.result) == ("SUCCESS", told)


def test_an_operation_whose_items_failed_is_a_success_to_celery(site: lockside.Session) -> None:
    operation_id = ask(site, work_orders(site, 2, vendor=False))

    drain(site, operation_id)

    assert polled(site, operation_id).state == "SUCCESS"


def test_an_operation_that_could_not_run_is_a_failure_to_celery(site: lockside.Session) -> None:
    operation_id = ask(site, work_orders(site, 2))
    for _ in range(site.platform.pace.attempts):
        with pytest.raises(Crash):
            run_chunk(crash_at(site.platform, "claimed"), operation_id, 0)
        leases_over(site)

    sweep(site.platform)

    answer = polled(site, operation_id)
    assert (answer.state, str(answer.result)) == (
        "FAILURE",
        f"operation {operation_id} could not run",
    )


def test_a_failed_operation_is_read_from_postgresql(site: lockside.Session) -> None:
    results = site.platform.results
    results.store_result("7", {"state": "FAILED"})

    assert results.read("7") is None


STAGES = ({"done": 1, "total": 3}, {"done": 2, "total": 3}, {"state": "SUCCEEDED"})


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_whatever_comes_late_pollers_only_see_it_go_forward(
    site: lockside.Session, order: tuple[int, ...]
) -> None:
    results = site.platform.results
    seen = []

    for stage in order:
        store = results.store_result if "state" in STAGES[stage] else results.store_progress
        store("an operation", STAGES[stage])
        seen.append(STAGES.index(results.read("an operation") or {}))

    assert seen == list(accumulate(order, max))


def test_a_result_never_goes_back_to_another(site: lockside.Session) -> None:
    results = site.platform.results
    results.store_result("an operation", {"state": "SUCCEEDED"})

    results.store_result("an operation", {"state": "CANCELLED"})

    assert results.read("an operation") == {"state": "SUCCEEDED"}


def test_without_redis_a_result_waits_in_postgresql(site: lockside.Session) -> None:
    away = replace(site.platform, results=Results(nobody))
    operation_id = ask(site, work_orders(site, 2))
    run_chunk(away, operation_id, 0)

    row = operation(site, operation_id)

    assert (row["result"]["state"], row["result_stored_at"]) == ("SUCCEEDED", None)


def test_the_sweeper_stores_a_result_that_nobody_stored(site: lockside.Session) -> None:
    operation_id = ask(site, work_orders(site, 2))
    with pytest.raises(Crash):
        run_chunk(crash_at(site.platform, "finished"), operation_id, 0)
    assert polled(site, operation_id).state == "PENDING"

    swept = sweep(site.platform)

    assert (swept.results_stored, polled(site, operation_id).state) == (1, "SUCCESS")


def test_pollers_never_hear_a_hundred_before_the_end(site: lockside.Session) -> None:
    operation_id = ask(site, work_orders(site, 3), atomic=False, chunk_items=1)
    heard: list[dict[str, Any]] = []

    class Listening(Results):
        def store_progress(self, operation_id: str, progress: Any) -> bool:
            heard.append(dict(progress))
            return super().store_progress(operation_id, progress)

    ears = replace(
        site.platform,
        results=Listening(lambda: Redis.from_url(site.settings.redis_database(1))),
    )
    for chunk_no in (2, 0, 1):
        run_chunk(ears, operation_id, chunk_no)

    assert [each["percent"] for each in heard] == [33, 66]
