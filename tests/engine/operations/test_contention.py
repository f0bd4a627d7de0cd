"""Rows that somebody else holds: they are waited for, without anybody standing still."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

import lockside
from engine.operations.run_chunk import run_chunk
from engine.ports.locks import Held, row_key
from tests.checker import check_invariants
from tests.engine.steps import (
    ask,
    chunks,
    drain,
    due_now,
    operation,
    outcomes,
    query,
    raw,
    rows,
    without_redis,
)
from tests.factories import work_orders

HOLDER = "7f1c6a52-0000-4000-8000-000000000001"


@contextmanager
def held_by_another(site: lockside.Session, ids: Sequence[int]) -> Iterator[Held]:
    """Hold the locks of work orders as another operation would."""
    keys = [row_key(site.actor.tenant_id, "work_order", each) for each in ids]
    with site.platform.locks.hold(
        keys, claim="theirs", operation=HOLDER, lease_s=60, all_or_none=False
    ) as held:
        yield held


def test_continue_on_error_takes_what_is_free(site: lockside.Session) -> None:
    ids = work_orders(site, 4)
    operation_id = ask(site, ids, atomic=False)

    with held_by_another(site, ids[1:2]):
        run_chunk(site.platform, operation_id, 0)

    assert list(outcomes(site, operation_id).values()) == [
        *("SUCCEEDED", "PENDING", "SUCCEEDED", "SUCCEEDED")
    ]


def test_waiting_for_a_row_is_no_attempt(site: lockside.Session) -> None:
    ids = work_orders(site, 2)
    operation_id = ask(site, ids, atomic=False)

    with held_by_another(site, ids[:1]):
        for _ in range(site.platform.pace.attempts + 2):
            due_now(site)
            run_chunk(site.platform, operation_id, 0)

    (chunk,) = chunks(site, operation_id)
    assert (chunk["status"], chunk["attempt"]) == ("PENDING", 0)


def test_the_wait_grows_and_stays_below_three_seconds(site: lockside.Session) -> None:
    ids = work_orders(site, 2)
    operation_id = ask(site, ids, atomic=False)
    waits = []

    with held_by_another(site, ids[:1]):
        for _ in range(8):
            due_now(site)
            run_chunk(site.platform, operation_id, 0)
            (row,) = query(
                site,
                "SELECT CAST(extract(epoch FROM run_after - clock_timestamp()) AS float) AS s"
                " FROM operation_chunk",
            )
            waits.append(row["s"])

    assert waits[0] < 0.2
    assert 1.0 < waits[-1] < 3.0


def test_what_was_busy_is_done_when_it_is_free(site: lockside.Session) -> None:
    ids = work_orders(site, 4)
    operation_id = ask(site, ids, atomic=False)
    with held_by_another(site, ids[1:3]):
        run_chunk(site.platform, operation_id, 0)

    drain(site, operation_id)

    assert rows(site) == dict.fromkeys(ids, ("APPROVED", 2))
    check_invariants(site)


def test_all_or_nothing_takes_nothing_while_anything_is_busy(site: lockside.Session) -> None:
    ids = work_orders(site, 3)
    operation_id = ask(site, ids)

    with held_by_another(site, ids[2:]):
        run_chunk(site.platform, operation_id, 0)

    assert rows(site) == dict.fromkeys(ids, ("SUBMITTED", 1))
    assert set(outcomes(site, operation_id).values()) == {"PENDING"}


def test_all_or_nothing_is_done_when_all_is_free(site: lockside.Session) -> None:
    ids = work_orders(site, 3)
    operation_id = ask(site, ids)
    with held_by_another(site, ids[2:]):
        run_chunk(site.platform, operation_id, 0)

    told = drain(site, operation_id)

    assert told["state"] == "SUCCEEDED"
    check_invariants(site)


def wait_in_vain(
    site: lockside.Session, ids: Sequence[int], contended: Sequence[int], **options: Any
) -> Any:
    """Run an operation whose wait is over at once while somebody holds some of its rows."""
    operation_id = ask(site, ids, wait_s=0, **options)
    with held_by_another(site, contended):
        run_chunk(site.platform, operation_id, 0)
        due_now(site)
        run_chunk(site.platform, operation_id, 0)
    return operation_id


def test_beyond_the_wait_a_busy_row_fails_with_the_holder(site: lockside.Session) -> None:
    ids = work_orders(site, 2)

    operation_id = wait_in_vain(site, ids, ids[:1], atomic=False)

    (failure,) = site.operation(operation_id).failures()
    assert (failure.id, failure.code, failure.retryable) == (ids[0], "locked", True)
    assert failure.facts is not None
    assert failure.facts["holder"] == HOLDER
    assert failure.facts["since"][:4].isdigit()


def test_beyond_the_wait_the_free_rows_are_done_all_the_same(site: lockside.Session) -> None:
    ids = work_orders(site, 3)

    operation_id = wait_in_vain(site, ids, ids[:1], atomic=False)

    assert operation(site, operation_id)["state"] == "COMPLETED_WITH_ERRORS"
    assert list(outcomes(site, operation_id).values()) == ["FAILED", "SUCCEEDED", "SUCCEEDED"]
    check_invariants(site)


def test_beyond_the_wait_all_or_nothing_does_nothing(site: lockside.Session) -> None:
    ids = work_orders(site, 3)

    operation_id = wait_in_vain(site, ids, ids[:1])

    assert operation(site, operation_id)["result"]["failure_codes"] == {"locked": 1}
    assert rows(site) == dict.fromkeys(ids, ("SUBMITTED", 1))
    check_invariants(site)


def test_a_person_waits_for_one_row_like_everybody(site: lockside.Session) -> None:
    ids = work_orders(site, 1)

    operation_id = wait_in_vain(site, ids, ids)

    assert operation(site, operation_id)["result"]["failure_codes"] == {"locked": 1}


# Without Redis


def test_without_redis_the_work_goes_on(site: lockside.Session) -> None:
    ids = work_orders(site, 5)
    operation_id = ask(site, ids, atomic=False, chunk_items=3)

    drain(site, operation_id, without_redis(site.platform))

    assert rows(site) == dict.fromkeys(ids, ("APPROVED", 2))
    check_invariants(site)


@pytest.mark.parametrize("atomic", [True, False])
def test_a_row_of_a_database_session_is_waited_for_without_redis(
    site: lockside.Session, atomic: bool
) -> None:
    ids = work_orders(site, 3)
    operation_id = ask(site, ids, atomic=atomic)

    with raw(site) as other:
        other.execute("SELECT FROM work_order WHERE id = %s FOR UPDATE", [ids[0]])
        run_chunk(without_redis(site.platform), operation_id, 0)

    assert rows(site)[ids[0]] == ("SUBMITTED", 1)
    assert drain(site, operation_id)["successful_items"] == 3
    check_invariants(site)


@pytest.mark.parametrize("atomic", [True, False])
def test_a_database_session_that_holds_a_row_too_long_is_told(
    site: lockside.Session, atomic: bool
) -> None:
    ids = work_orders(site, 3)
    operation_id = ask(site, ids, wait_s=0, atomic=atomic)

    with raw(site) as other:
        other.execute("SELECT FROM work_order WHERE id = %s FOR UPDATE", [ids[0]])
        run_chunk(site.platform, operation_id, 0)
        due_now(site)
        run_chunk(site.platform, operation_id, 0)

    (failure,) = site.operation(operation_id).failures()
    assert (failure.id, failure.code) == (ids[0], "locked")
    assert failure.facts is not None
    assert failure.facts["holder"] == "a database session"
    check_invariants(site)


def test_a_row_that_is_held_is_not_taken_for_missing(site: lockside.Session) -> None:
    (row_id,) = work_orders(site, 1)
    operation_id = ask(site, [row_id, 404], atomic=False)

    with raw(site) as other:
        other.execute("SELECT FROM work_order FOR UPDATE")
        run_chunk(site.platform, operation_id, 0)

    assert outcomes(site, operation_id) == {str(row_id): "PENDING", "404": "FAILED"}
