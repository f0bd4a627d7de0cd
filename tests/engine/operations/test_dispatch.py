"""Dispatch: an in-flight limit, lost messages sent again, and what the sweeper mends."""

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest

import lockside
from engine.operations.cancel import cancel
from engine.operations.claim import take_claim
from engine.operations.dispatch import dispatch_chunk, dispatch_next
from engine.operations.request import Submission
from engine.operations.run_chunk import run_chunk
from engine.operations.submit import submit
from engine.operations.sweeper import sweep
from engine.ports.platform import Pace, Platform
from tests.checker import check_invariants
from tests.engine.steps import (
    Crash,
    Recorder,
    ask,
    at_once,
    chunks,
    crash_at,
    due_now,
    leases_over,
    operation,
    query,
)
from tests.factories import work_orders

IN_FLIGHT_LIMIT = 3

COPY_200_TIMES = """
WITH copied AS (
  INSERT INTO operation
  SELECT (jsonb_populate_record(o, jsonb_build_object('id', gen_random_uuid()))).*
    FROM operation o, generate_series(1, 200) WHERE o.id = :id
  RETURNING id
)
INSERT INTO operation_chunk
SELECT (jsonb_populate_record(c, jsonb_build_object(
         'operation_id', copied.id,
         'claim', CASE WHEN c.claim IS NOT NULL THEN gen_random_uuid() END))).*
  FROM copied, operation_chunk c WHERE c.operation_id = :id
"""


@pytest.fixture
def broker() -> Recorder:
    return Recorder()


@pytest.fixture
def platform(site: lockside.Session, broker: Recorder) -> Platform:
    """Give a platform that sends its dispatch messages to the recorder, three at a time."""
    pace = Pace(in_flight_limit=IN_FLIGHT_LIMIT, lease_s=60, republish_after_s=60, attempts=5)
    return replace(site.platform, publish=broker, pace=pace)


def ten_chunks(site: lockside.Session, platform: Platform) -> UUID:
    ids = work_orders(site, 10)
    wanted = Submission("work_order", ids, "APPROVED", atomic=False, chunk_items=1)
    return submit(platform, site.actor, wanted)


def outstanding(site: lockside.Session) -> int:
    """Return how many chunks have a dispatch message on its way or are running."""
    (row,) = query(
        site,
        "SELECT count(*) AS n FROM operation_chunk"
        " WHERE status = 'RUNNING' OR status = 'PENDING' AND published_at IS NOT NULL",
    )
    number: int = row["n"]
    return number


def age_hints(site: lockside.Session, seconds: float) -> None:
    """Let time go by since dispatch messages were sent."""
    query(
        site,
        "UPDATE operation_chunk SET published_at = published_at - make_interval(secs => :s)",
        s=seconds,
    )


def test_a_window_of_hints_is_sent_at_first(
    site: lockside.Session, platform: Platform, broker: Recorder
) -> None:
    ten_chunks(site, platform)

    assert broker.chunks() == [0, 1, 2]


def test_whoever_ends_a_chunk_sends_the_next(
    site: lockside.Session, platform: Platform, broker: Recorder
) -> None:
    operation_id = ten_chunks(site, platform)

    run_chunk(platform, operation_id, 1)

    assert broker.chunks() == [0, 1, 2, 3]


def test_a_duplicate_sends_no_next(
    site: lockside.Session, platform: Platform, broker: Recorder
) -> None:
    operation_id = ten_chunks(site, platform)

    for _ in range(3):
        run_chunk(platform, operation_id, 1)

    assert broker.chunks() == [0, 1, 2, 3]


def test_never_more_than_a_window_of_hints_is_outstanding(
    site: lockside.Session, platform: Platform, broker: Recorder
) -> None:
    operation_id = ten_chunks(site, platform)
    seen = [outstanding(site)]

    for chunk_no in iter(partial(next, unrun(broker), None), None):
        run_chunk(platform, operation_id, chunk_no)
        sweep(platform)
        seen.append(outstanding(site))

    assert max(seen) == IN_FLIGHT_LIMIT
    assert operation(site, operation_id)["state"] == "SUCCEEDED"
    check_invariants(site)


def unrun(broker: Recorder) -> Any:
    """Yield the chunk of each dispatch message, also of those that are sent meanwhile."""
    place = 0
    while place < len(broker.chunks()):
        yield broker.chunks()[place]
        place += 1


def test_two_who_end_chunks_together_send_two_different_hints(
    site: lockside.Session, platform: Platform, broker: Recorder
) -> None:
    operation_id = ten_chunks(site, platform)
    wider = replace(platform, pace=replace(platform.pace, in_flight_limit=IN_FLIGHT_LIMIT + 4))

    at_once(*[partial(dispatch_next, wider, operation_id, 1)] * 4)

    assert sorted(broker.chunks()) == [0, 1, 2, 3, 4, 5, 6]


def test_a_chunk_that_waits_for_busy_rows_keeps_its_place_in_the_window(
    site: lockside.Session, platform: Platform, broker: Recorder
) -> None:
    operation_id = ten_chunks(site, platform)
    with site.platform.database.connect() as other:
        other.exec_driver_sql("SELECT FROM work_order ORDER BY id LIMIT 1 FOR UPDATE")
        run_chunk(platform, operation_id, 0)

    assert broker.chunks() == [0, 1, 2, 0]
    assert outstanding(site) == IN_FLIGHT_LIMIT


def test_what_is_due_much_later_is_left_to_the_sweeper(
    site: lockside.Session, platform: Platform, broker: Recorder
) -> None:
    sent = dispatch_chunk(platform, UUID(int=1), 0, "bulk", timedelta(seconds=61))

    assert (sent, broker.sent) == (False, [])


# The sweeper


def test_a_fresh_hint_is_not_sent_again(
    site: lockside.Session, platform: Platform, broker: Recorder
) -> None:
    ten_chunks(site, platform)

    swept = sweep(platform)

    assert (swept.published, broker.chunks()) == (0, [0, 1, 2])


def test_a_lost_hint_is_sent_again(
    site: lockside.Session, platform: Platform, broker: Recorder
) -> None:
    ten_chunks(site, platform)
    age_hints(site, 61)

    sweep(platform)

    assert sorted(broker.chunks()) == [0, 0, 1, 1, 2, 2]


def test_a_hint_that_is_lost_again_is_sent_later_and_later(
    site: lockside.Session, platform: Platform, broker: Recorder
) -> None:
    ten_chunks(site, platform)
    age_hints(site, 61)
    sweep(platform)
    age_hints(site, 61)
    before = len(broker.sent)

    sweep(platform)
    assert len(broker.sent) == before
    age_hints(site, 60)
    sweep(platform)

    assert len(broker.sent) == before + IN_FLIGHT_LIMIT


def test_a_hint_is_never_given_up(
    site: lockside.Session, platform: Platform, broker: Recorder
) -> None:
    ten_chunks(site, platform)
    query(site, "UPDATE operation_chunk SET published = 1000 WHERE published = 1")
    age_hints(site, 301)

    assert sweep(platform).published == IN_FLIGHT_LIMIT


def test_the_sweeper_fills_a_window_that_a_crash_left_short(
    site: lockside.Session, platform: Platform, broker: Recorder
) -> None:
    operation_id = ten_chunks(site, platform)
    with pytest.raises(Crash):
        run_chunk(crash_at(platform, "changed"), operation_id, 0)

    sweep(platform)

    assert broker.chunks() == [0, 1, 2, 3]


def test_a_hint_for_a_chunk_that_is_worked_on_is_not_sent(
    site: lockside.Session, platform: Platform, broker: Recorder
) -> None:
    operation_id = ten_chunks(site, platform)
    query(site, "UPDATE operation SET lease_seconds = 600")
    with pytest.raises(Crash):
        run_chunk(crash_at(platform, "claimed"), operation_id, 0)
    age_hints(site, 61)

    sweep(platform)

    assert sorted(broker.chunks()) == [0, 1, 1, 2, 2]


def test_a_chunk_whose_lease_is_over_is_handed_on(
    site: lockside.Session, platform: Platform, broker: Recorder
) -> None:
    operation_id = ten_chunks(site, platform)
    with pytest.raises(Crash):
        run_chunk(crash_at(platform, "claimed"), operation_id, 0)
    leases_over(site)
    age_hints(site, 61)

    sweep(platform)

    assert broker.chunks().count(0) == 2


@pytest.mark.parametrize("state", ["PAUSED", "CANCELLING"])
def test_nothing_is_sent_for_an_operation_that_may_not_run(
    site: lockside.Session, platform: Platform, broker: Recorder, state: str
) -> None:
    operation_id = ten_chunks(site, platform)
    query(site, "UPDATE operation SET state = :s WHERE id = :id", s=state, id=operation_id)
    age_hints(site, 61)

    sweep(platform)

    assert broker.chunks() == [0, 1, 2]


def test_several_sweepers_send_a_hint_once(
    site: lockside.Session, platform: Platform, broker: Recorder
) -> None:
    ten_chunks(site, platform)
    age_hints(site, 61)

    at_once(*[partial(sweep, platform)] * 3)

    assert sorted(broker.chunks()) == [0, 0, 1, 1, 2, 2]


def test_the_sweeper_finishes_what_has_ended(site: lockside.Session, platform: Platform) -> None:
    operation_id = ask(site, work_orders(site, 2))
    with pytest.raises(Crash):
        run_chunk(crash_at(platform, "released"), operation_id, 0)

    swept = sweep(platform)

    assert (swept.finished, operation(site, operation_id)["state"]) == (1, "SUCCEEDED")


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_what_only_waits_is_in_no_others_way(
    site: lockside.Session, platform: Platform, *, is_cancelled: bool
) -> None:
    early = ask(site, work_orders(site, 2), atomic=False, chunk_items=1, canary=1, lease_s=60)
    if is_cancelled:
        take_claim(platform, early, 0)
        cancel(platform, site.actor, early)
    query(site, COPY_200_TIMES, id=early)
    late = ask(site, work_orders(site, 2))
    with pytest.raises(Crash):
        run_chunk(crash_at(platform, "released"), late, 0)

    swept = sweep(platform)

    assert (swept.finished, operation(site, late)["state"]) == (1, "SUCCEEDED")


def test_the_sweeper_wakes_the_audit_if_the_outbox_holds_something(
    site: lockside.Session, platform: Platform, broker: Recorder
) -> None:
    operation_id = ask(site, work_orders(site, 2))
    with pytest.raises(Crash):
        run_chunk(crash_at(platform, "released"), operation_id, 0)

    sweep(platform)

    assert ("audit.write", {}) in broker.sent


def test_only_one_wake_up_of_the_audit_is_on_its_way(
    site: lockside.Session, platform: Platform, broker: Recorder
) -> None:
    operation_id = ten_chunks(site, platform)

    for chunk_no in range(5):
        run_chunk(platform, operation_id, chunk_no)

    assert [name for name, _ in broker.sent].count("audit.write") == 1


def test_the_age_of_the_oldest_waiting_chunk_is_told(
    site: lockside.Session, platform: Platform
) -> None:
    ten_chunks(site, platform)
    query(
        site,
        "UPDATE operation_chunk SET run_after = clock_timestamp() - interval '90 seconds'"
        " WHERE chunk_no = 4",
    )

    assert 90 <= sweep(platform).oldest_waiting_s < 95


def test_what_is_not_due_has_no_age(site: lockside.Session, platform: Platform) -> None:
    ten_chunks(site, platform)
    query(site, "UPDATE operation_chunk SET run_after = clock_timestamp() + interval '1 hour'")

    assert sweep(platform).oldest_waiting_s == 0


def test_sweeping_an_empty_house_mends_nothing(platform: Platform) -> None:
    swept = sweep(platform)

    assert (swept.published, swept.dead, swept.finished, swept.results_stored) == (0, 0, 0, 0)


def test_every_hint_lost_the_sweeper_alone_brings_an_operation_to_its_end(
    site: lockside.Session, platform: Platform, broker: Recorder
) -> None:
    operation_id = ten_chunks(site, platform)

    for _ in range(20):
        broker.sent.clear()
        age_hints(site, 10_000)
        due_now(site)
        sweep(platform)
        for chunk_no in broker.chunks()[:IN_FLIGHT_LIMIT]:
            run_chunk(platform, operation_id, chunk_no)

    assert {each["status"] for each in chunks(site, operation_id)} == {"DONE"}
    check_invariants(site)
