"""Operations as their owners see them: newest first, counted as stored, item by item."""

from uuid import UUID

import pytest

import lockside
from domain.errors import InvalidInput
from engine.operations.run_chunk import run_chunk
from tests.engine.steps import Crash, ask, crash_at, drain
from tests.factories import work_orders
from tests.sentences import Sentences


def test_an_operation_shows_what_was_asked_and_by_whom(site: lockside.Session) -> None:
    operation_id = ask(site, work_orders(site, 2), comments="Urgent", atomic=False)

    shown = site.operation(operation_id).show()

    told = {
        name: shown[name]
        for name in ("id", "kind", "operation_type", "state", "total", "comments", "actor")
    }
    assert told == {
        "id": str(operation_id),
        "kind": "work_order",
        "operation_type": "transition_to_APPROVED",
        "state": "QUEUED",
        "total": 2,
        "comments": "Urgent",
        "actor": "admin",
    }


def test_an_operation_of_the_system_has_no_actor(site: lockside.Session) -> None:
    site.act_as("demo", None)

    assert site.operation(ask(site, [1])).show()["actor"] is None


def test_counts_are_those_of_the_moment(site: lockside.Session) -> None:
    ids = work_orders(site, 3) + work_orders(site, 1, vendor=False) + work_orders(site, 3)
    operation_id = ask(site, ids, atomic=False, chunk_items=2)
    run_chunk(site.platform, operation_id, 1)
    with pytest.raises(Crash):
        run_chunk(crash_at(site.platform, "claimed"), operation_id, 2)

    shown = site.operation(operation_id).show()

    assert shown["counts"] == {
        "pending": 3,
        "running": 2,
        "succeeded": 1,
        "skipped": 0,
        "failed": 1,
        "cancelled": 0,
    }


def test_an_open_operation_shows_its_progress_an_ended_one_its_result(
    site: lockside.Session,
) -> None:
    operation_id = ask(site, work_orders(site, 2))
    before = site.operation(operation_id).show()

    told = drain(site, operation_id)

    after = site.operation(operation_id).show()
    assert (before["progress"]["percent"], before["result"]) == (0, None)
    assert (after["progress"], after["result"]) == (None, told)


def test_operations_are_listed_newest_first(site: lockside.Session) -> None:
    operations = [str(ask(site, [n])) for n in range(1, 5)]

    assert [each["id"] for each in site.operations(limit=3)] == operations[:0:-1]


def test_operations_are_listed_by_state(site: lockside.Session) -> None:
    done, waiting = ask(site, work_orders(site, 1)), ask(site, [1])
    drain(site, done)

    listed = site.operations(state="QUEUED")

    assert [each["id"] for each in listed] == [str(waiting)]


def test_results_tell_each_item_in_the_order_of_ids(site: lockside.Session) -> None:
    good, bad = work_orders(site, 2), work_orders(site, 1, vendor=False)
    there = work_orders(site, 1, state="APPROVED")
    operation_id = ask(site, there + bad + good, atomic=False, chunk_items=2)
    drain(site, operation_id)

    told = list(site.operation(operation_id).results())

    assert told == [
        {"id": str(good[0]), "outcome": "SUCCEEDED", "version": 2},
        {"id": str(good[1]), "outcome": "SUCCEEDED", "version": 2},
        {
            "id": str(bad[0]),
            "outcome": "FAILED",
            "version": 1,
            "code": "vendor_missing",
            "codes": ["vendor_missing"],
            "message": "Cannot approve without vendor assignment",
            "retryable": False,
        },
        {"id": str(there[0]), "outcome": "SKIPPED", "version": 1},
    ]


def test_what_has_no_outcome_yet_is_pending(site: lockside.Session) -> None:
    operation_id = ask(site, [1, 2])

    assert list(site.operation(operation_id).results()) == [
        {"id": "1", "outcome": "PENDING", "version": None},
        {"id": "2", "outcome": "PENDING", "version": None},
    ]


def test_results_can_be_asked_for_one_outcome(site: lockside.Session) -> None:
    ids = work_orders(site, 2) + work_orders(site, 1, vendor=False)
    operation_id = ask(site, ids, atomic=False)
    drain(site, operation_id)

    told = site.operation(operation_id).results(only="FAILED")

    assert [each["id"] for each in told] == [str(ids[2])]


def test_an_outcome_goes_by_its_name_in_any_case(site: lockside.Session, says: Sentences) -> None:
    asked = site.operation(ask(site, [1, 2]))

    assert len(list(asked.results(only="pending"))) == 2
    with pytest.raises(InvalidInput, check=says):
        list(asked.results(only="broken"))


def test_results_of_many_chunks_hold_each_item_once(site: lockside.Session) -> None:
    ids = work_orders(site, 250)
    operation_id = ask(site, ids, atomic=False, chunk_items=7)
    drain(site, operation_id)

    told = [int(each["id"]) for each in site.operation(operation_id).results()]

    assert told == ids


@pytest.mark.parametrize("name", ["7", "", "not-an-id", "1b4e28ba"])
def test_what_is_no_operations_id_is_named(
    site: lockside.Session, name: str, says: Sentences
) -> None:
    with pytest.raises(InvalidInput, check=says):
        site.operation(name)


def test_an_operation_is_found_by_its_id_as_text_too(site: lockside.Session) -> None:
    operation_id = ask(site, [1])

    found = [site.operation(each).id for each in (operation_id, str(operation_id))]

    assert {UUID(each) for each in found} == {operation_id}
