"""Turns: a tenant has one in-flight limit for all its operations, and they share it."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

import lockside
from engine.operations.run_chunk import run_chunk
from engine.operations.sweeper import sweep
from engine.ports.platform import Pace
from tests.checker import check_invariants
from tests.engine.steps import Recorder, ask, chunks, drain, query
from tests.factories import work_orders

IN_FLIGHT_LIMIT = 3


@pytest.fixture
def sent(site: lockside.Session) -> Recorder:
    """Give the site a small in-flight limit, and record its messages."""
    broker = Recorder()
    site.platform = replace(
        site.platform, publish=broker, pace=Pace(in_flight_limit=IN_FLIGHT_LIMIT)
    )
    return broker


def bulk(site: lockside.Session, count: int) -> UUID:
    """Hand in so many chunks of one item."""
    return ask(site, work_orders(site, count), atomic=False, chunk_items=1)


def dispatched(sent: Recorder) -> list[tuple[str, int]]:
    """Return the operation and the chunk of each dispatch message, in order."""
    return [
        (given["operation_id"], given["chunk_no"])
        for name, given in sent.sent
        if name == "bulk.run_chunk"
    ]


def test_a_second_operation_waits_for_room_in_the_tenants_window(
    site: lockside.Session, sent: Recorder
) -> None:
    first = bulk(site, 5)

    second = bulk(site, 5)

    assert dispatched(sent) == [(str(first), n) for n in range(IN_FLIGHT_LIMIT)]
    assert not any(each["published_at"] for each in chunks(site, second))


def test_who_has_the_fewest_on_their_way_is_next(site: lockside.Session, sent: Recorder) -> None:
    first, second = bulk(site, 6), bulk(site, 6)
    sent.sent.clear()

    for chunk_no in range(3):
        run_chunk(site.platform, first, chunk_no)

    # Where both have as many, the older one goes.
    assert [operation_id for operation_id, _ in dispatched(sent)] == [
        str(second),
        str(first),
        str(first),
    ]


def test_another_tenant_has_a_window_of_its_own(site: lockside.Session, sent: Recorder) -> None:
    for _ in range(3):
        bulk(site, 5)
    sent.sent.clear()
    site.act_as("other", "admin")

    theirs = bulk(site, 5)

    assert dispatched(sent) == [(str(theirs), n) for n in range(IN_FLIGHT_LIMIT)]


def test_the_sweeper_fills_the_window_of_each_tenant_and_no_more(
    site: lockside.Session, sent: Recorder
) -> None:
    sent.away = True
    mine = [bulk(site, 2) for _ in range(4)]
    site.act_as("other", "admin")
    theirs = bulk(site, 2)
    query(site, "UPDATE operation_chunk SET published_at = NULL")
    sent.away = False

    sweep(site.platform)
    sweep(site.platform)

    by_operation = [operation_id for operation_id, _ in dispatched(sent)]
    assert sum(by_operation.count(str(each)) for each in mine) == IN_FLIGHT_LIMIT
    assert by_operation.count(str(theirs)) == 2


def test_every_operation_ends_whoever_goes_first(site: lockside.Session, sent: Recorder) -> None:
    asked = [bulk(site, 4) for _ in range(4)]

    for _ in range(40):
        todo, sent.sent = list(dispatched(sent)), []
        for operation_id, chunk_no in todo:
            run_chunk(site.platform, UUID(operation_id), chunk_no)

    told: list[dict[str, Any]] = [site.operation(each).show() for each in asked]
    assert [each["state"] for each in told] == ["SUCCEEDED"] * 4
    sweep(site.platform)
    check_invariants(site)


def test_what_is_for_later_takes_no_room(site: lockside.Session, sent: Recorder) -> None:
    later = ask(
        site,
        work_orders(site, 3),
        atomic=False,
        chunk_items=1,
        run_at=query(site, "SELECT clock_timestamp() + interval '1 hour' AS at")[0]["at"],
    )
    now = bulk(site, 6)

    run_chunk(site.platform, now, 0)

    assert not any(each["published_at"] for each in chunks(site, later))
    assert drain(site, now)["successful_items"] == 6
