"""Following an operation: it is heard of soon through Redis, and surely through PostgreSQL."""

from threading import Thread
from typing import Any
from uuid import UUID

import pytest
from redis import Redis

import lockside
from engine.operations.run_chunk import run_chunk
from engine.ports.result_backend import Results
from lockside import StillRunning
from reads.operations.progress import follow
from tests.engine.steps import Crash, ask, crash_at, drain, leases_over, nobody
from tests.factories import work_orders
from tests.patience import PATIENCE_S
from tests.sentences import Sentences


def three_chunks(site: lockside.Session) -> UUID:
    return ask(site, work_orders(site, 3), atomic=False, chunk_items=1)


def test_progress_comes_first_and_the_result_last(site: lockside.Session) -> None:
    operation_id = three_chunks(site)
    heard: list[dict[str, Any]] = []

    for told in site.operation(operation_id).follow(20):
        heard.append(told)
        if "state" not in told:
            run_chunk(site.platform, operation_id, told["done"])

    assert [each.get("done") for each in heard] == [0, 1, 2, None]
    assert heard[-1]["state"] == "SUCCEEDED"


def test_progress_is_told_only_when_it_moved(site: lockside.Session) -> None:
    operation_id = three_chunks(site)

    heard = list(site.operation(operation_id).follow(0.2))

    assert [each["done"] for each in heard] == [0]


def test_an_operation_that_has_ended_is_told_at_once(site: lockside.Session) -> None:
    operation_id = three_chunks(site)
    told = drain(site, operation_id)

    assert list(site.operation(operation_id).follow(0)) == [told]


def test_waiting_returns_the_result(site: lockside.Session) -> None:
    operation_id = three_chunks(site)
    worker = Thread(target=drain, args=(site, operation_id))
    worker.start()

    told = site.operation(operation_id).wait(PATIENCE_S)

    worker.join()
    assert told["successful_items"] == 3


def test_waiting_too_long_says_that_the_work_goes_on(
    site: lockside.Session, says: Sentences
) -> None:
    operation = site.operation(three_chunks(site))

    with pytest.raises(StillRunning, check=says):
        operation.wait(0.05)


def test_a_result_that_redis_lost_is_found_in_postgresql(site: lockside.Session) -> None:
    operation_id = three_chunks(site)
    followed = site.operation(operation_id).follow(20)
    assert next(followed)["done"] == 0
    told = drain(site, operation_id)
    with Redis.from_url(site.settings.redis_database(1)) as redis:
        redis.flushall()

    assert list(followed)[-1] == told


def test_without_redis_an_operation_is_followed_through_postgresql(site: lockside.Session) -> None:
    operation_id = three_chunks(site)
    hear = Results(nobody).hear
    heard = follow(site.platform.database, hear, site.actor.tenant_id, operation_id, 20)
    next(heard)

    told = drain(site, operation_id)

    assert list(heard)[-1] == told


def test_an_operation_that_could_not_run_is_told_with_its_result(site: lockside.Session) -> None:
    operation_id = ask(site, work_orders(site, 2))
    for _ in range(site.platform.pace.attempts):
        with pytest.raises(Crash):
            run_chunk(crash_at(site.platform, "claimed"), operation_id, 0)
        leases_over(site)
    drain(site, operation_id)

    told = site.operation(operation_id).wait(PATIENCE_S)

    assert (told["state"], told["failure_codes"]) == ("FAILED", {"unavailable": 2})


def test_what_is_paused_has_no_pace_and_no_end_in_sight(site: lockside.Session) -> None:
    operation_id = three_chunks(site)
    run_chunk(site.platform, operation_id, 0)
    site.operation(operation_id).pause()

    told = next(site.operation(operation_id).follow(0))

    assert (told["done"], told["paused_by"]) == (1, "admin")
    assert (told["rate_per_s"], told["eta_s"]) == (0, None)
