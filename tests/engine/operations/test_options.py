"""Options: later, until the first failure, so many chunks at a time, how isolated, how long."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any
from uuid import UUID

import pytest

import lockside
from domain.errors import InvalidInput
from engine.operations.request import Submission
from engine.operations.run_chunk import run_chunk
from engine.operations.submit import submit
from engine.operations.sweeper import sweep
from engine.ports.locks import row_key
from engine.ports.platform import Pace, Platform
from tests.checker import check_invariants
from tests.engine.steps import (
    Crash,
    Recorder,
    ask,
    crash_at,
    drain,
    due_now,
    leases_over,
    operation,
    outcomes,
    query,
    rows,
    then,
    until,
)
from tests.engine.works import do, why
from tests.factories import MAKERS, tickets, work_orders

pytestmark = pytest.mark.slow

IN_FLIGHT_LIMIT = 3


@pytest.fixture
def broker() -> Recorder:
    return Recorder()


@pytest.fixture
def platform(site: lockside.Session, broker: Recorder) -> Platform:
    """Give a platform that sends its dispatch messages to the recorder, three at a time."""
    pace = Pace(in_flight_limit=IN_FLIGHT_LIMIT, lease_s=60, republish_after_s=60, attempts=5)
    return replace(site.platform, publish=broker, pace=pace)


def approve(site: lockside.Session, platform: Platform, ids: list[int], **options: Any) -> UUID:
    """Submit the approval of work orders, one a chunk, each for itself."""
    given = {"atomic": False, "chunk_items": 1} | options
    return submit(platform, site.actor, Submission("work_order", ids, "APPROVED", **given))


def outstanding(site: lockside.Session) -> int:
    """Return how many chunks have a dispatch message on its way or are running."""
    (row,) = query(
        site,
        "SELECT count(*) AS n FROM operation_chunk"
        " WHERE status = 'RUNNING' OR status = 'PENDING' AND published_at IS NOT NULL",
    )
    number: int = row["n"]
    return number


def now(site: lockside.Session) -> datetime:
    (row,) = query(site, "SELECT clock_timestamp() AS now")
    found: datetime = row["now"]
    return found


# Later


def test_what_is_for_later_has_no_message_and_is_not_begun(
    site: lockside.Session, platform: Platform, broker: Recorder
) -> None:
    ids = work_orders(site, 2)
    asked = approve(site, platform, ids, run_at=now(site) + timedelta(hours=1))

    swept = sweep(platform)
    told = run_chunk(platform, asked, 0)

    assert (broker.chunks(), swept.published, swept.oldest_waiting_s) == ([], 0, 0)
    assert told.startswith("not due")
    assert rows(site) == dict.fromkeys(ids, ("SUBMITTED", 1))


def test_the_sweeper_dispatches_what_is_due_up_to_the_in_flight_limit(
    site: lockside.Session, platform: Platform, broker: Recorder
) -> None:
    asked = approve(site, platform, work_orders(site, 5), run_at=now(site) + timedelta(seconds=0.3))
    assert broker.chunks() == []

    until(lambda: sweep(platform).published)

    assert broker.chunks() == list(range(IN_FLIGHT_LIMIT))
    told = drain(site, asked, platform)
    assert (told["state"], told["successful_items"]) == ("SUCCEEDED", 5)
    check_invariants(site)


def test_nothing_of_an_operation_happens_before_its_time(
    site: lockside.Session, platform: Platform, broker: Recorder
) -> None:
    due = now(site) + timedelta(seconds=0.3)
    asked = approve(site, platform, work_orders(site, 1), run_at=due)

    until(lambda: sweep(platform).published)
    run_chunk(platform, asked, 0)

    assert operation(site, asked)["started_at"] >= due
    (row,) = query(site, "SELECT updated_at FROM work_order")
    assert row["updated_at"] >= due


def test_a_time_that_is_over_is_now(
    site: lockside.Session, platform: Platform, broker: Recorder
) -> None:
    approve(site, platform, work_orders(site, 1), run_at=datetime(2020, 1, 1, tzinfo=UTC))

    sweep(platform)

    assert broker.chunks() == [0]


def test_what_is_for_later_may_be_cancelled(site: lockside.Session, platform: Platform) -> None:
    asked = approve(site, platform, work_orders(site, 2), run_at=now(site) + timedelta(days=1))

    site.operation(asked).cancel()
    sweep(platform)

    assert operation(site, asked)["state"] == "CANCELLED"
    assert set(outcomes(site, asked).values()) == {"CANCELLED"}
    check_invariants(site)


def test_what_is_for_later_is_judged_when_it_is_done(
    site: lockside.Session, platform: Platform
) -> None:
    (row_id,) = work_orders(site, 1)
    asked = approve(site, platform, [row_id], run_at=now(site) + timedelta(hours=1))
    site.records("work_order").update(row_id, vendor_id=None)

    assert why(drain(site, asked, platform)) == ["vendor_missing"]


# Until the first failure


def stopping(site: lockside.Session, wanted: str, **options: Any) -> tuple[UUID, list[int]]:
    """Ask to stop at the first failure; *wanted* names good and bad rows as `++-+`."""
    ids = [work_orders(site, 1, vendor=each == "+")[0] for each in wanted]
    given = {"atomic": False, "stop_at_first_failure": True} | options
    return ask(site, ids, **given), ids


SHORT = {"SUCCEEDED": "s", "FAILED": "f", "CANCELLED": "c", "SKIPPED": "k", "PENDING": "p"}


def spelled(site: lockside.Session, asked: UUID) -> str:
    """Return the outcomes in the order of ids, a letter each."""
    return "".join(SHORT[each] for each in outcomes(site, asked).values())


STOPS: list[Any] = [
    ("++++", 10, "ssss", "SUCCEEDED"),
    ("-+++", 10, "fccc", "COMPLETED_WITH_ERRORS"),
    ("++-+", 10, "ssfc", "COMPLETED_WITH_ERRORS"),
    ("+--+", 10, "sfcc", "COMPLETED_WITH_ERRORS"),
    ("+++-", 10, "sssf", "COMPLETED_WITH_ERRORS"),
    ("++-+++", 2, "ssfccc", "COMPLETED_WITH_ERRORS"),
    ("++--++", 2, "ssfccc", "COMPLETED_WITH_ERRORS"),
    ("+++++-", 2, "sssssf", "COMPLETED_WITH_ERRORS"),
    ("-", 10, "f", "COMPLETED_WITH_ERRORS"),
]


@pytest.mark.parametrize(("wanted", "size", "told", "state"), STOPS)
def test_what_comes_after_the_first_failure_is_left_undone(
    site: lockside.Session, wanted: str, size: int, told: str, state: str
) -> None:
    asked, ids = stopping(site, wanted, chunk_items=size)

    result = drain(site, asked)

    assert (spelled(site, asked), result["state"]) == (told, state)
    assert [rows(site)[each][0] for each in ids] == [
        "APPROVED" if letter == "s" else "SUBMITTED" for letter in told
    ]
    left = told.count("c")
    assert result["warnings"] == (
        [f"Stopped at the first failure: {left} not done"] if left else []
    )
    check_invariants(site)


def test_only_what_was_done_and_the_first_failure_are_recorded(site: lockside.Session) -> None:
    asked, _ = stopping(site, "+--+")
    drain(site, asked)
    check_invariants(site)

    told = query(site, "SELECT success FROM state_transition_audit ORDER BY entity_id")
    assert told == [{"success": True}, {"success": False}]


def test_without_stopping_every_failure_is_told(site: lockside.Session) -> None:
    asked, _ = stopping(site, "+--+", stop_at_first_failure=False)
    drain(site, asked)

    assert spelled(site, asked) == "sffs"


def test_a_row_that_is_there_already_is_no_failure(site: lockside.Session) -> None:
    there = work_orders(site, 1, state="APPROVED")
    good = work_orders(site, 1)
    asked = ask(site, there + good, atomic=False, stop_at_first_failure=True)

    assert drain(site, asked)["state"] == "SUCCEEDED"
    assert spelled(site, asked) == "ks"


def test_a_chunk_that_runs_beside_the_failure_ends_as_it_is(site: lockside.Session) -> None:
    asked, _ = stopping(site, "-+++++", chunk_items=2)
    platform = then(site.platform, "claimed", lambda: run_chunk(site.platform, asked, 0))

    run_chunk(platform, asked, 1)
    told = drain(site, asked)

    assert (spelled(site, asked), told["state"]) == ("fcsscc", "COMPLETED_WITH_ERRORS")
    check_invariants(site)


def test_a_busy_row_is_not_waited_for_after_the_failure(site: lockside.Session) -> None:
    asked, ids = stopping(site, "+-+")

    with site.platform.locks.hold(
        [row_key(site.actor.tenant_id, "work_order", ids[2])],
        claim="theirs",
        operation="theirs",
        lease_s=60,
        all_or_none=False,
    ):
        run_chunk(site.platform, asked, 0)

    assert (spelled(site, asked), operation(site, asked)["state"]) == (
        "sfc",
        "COMPLETED_WITH_ERRORS",
    )
    check_invariants(site)


def test_a_worker_that_dies_after_the_failure_leaves_the_rest_to_the_sweeper(
    site: lockside.Session,
) -> None:
    asked, _ = stopping(site, "+-++", chunk_items=2)

    with pytest.raises(Crash):
        run_chunk(crash_at(site.platform, "changed"), asked, 0)
    sweep(site.platform)

    assert (spelled(site, asked), operation(site, asked)["state"]) == (
        "sfcc",
        "COMPLETED_WITH_ERRORS",
    )
    check_invariants(site)


def test_somebody_who_cancels_before_any_failure_has_cancelled_it(site: lockside.Session) -> None:
    asked, _ = stopping(site, "+++-", chunk_items=2)
    run_chunk(site.platform, asked, 0)

    site.operation(asked).cancel()

    assert (spelled(site, asked), operation(site, asked)["state"]) == ("sscc", "CANCELLED")
    check_invariants(site)


def test_who_cancels_after_a_bad_line_has_cancelled_it(site: lockside.Session) -> None:
    lines = "\n".join(["id", "x", *map(str, tickets(site, 2))])
    asked = site.transition(
        "ticket",
        to="OPEN",
        file=BytesIO(lines.encode()),
        form="csv",
        atomic=False,
        stop_at_first_failure=True,
    )

    asked.cancel()

    result = asked.show()["result"]
    assert result["state"] == "CANCELLED"
    assert result["warnings"] == ["Cancelled by admin: 2 not done"]


def test_a_dry_run_stops_at_the_first_failure_too(site: lockside.Session) -> None:
    asked, ids = stopping(site, "+-+", dry_run=True)

    drain(site, asked)

    assert spelled(site, asked) == "sfc"
    assert rows(site) == dict.fromkeys(ids, ("SUBMITTED", 1))
    check_invariants(site)


@pytest.mark.parametrize("verb", ["update", "assign"])
def test_edits_stop_at_the_first_failure_too(site: lockside.Session, verb: str) -> None:
    ids = [tickets(site, 1, state=each)[0] for each in ("NEW", "CLOSED", "NEW")]
    values = {"update": {"priority": "HIGH"}, "assign": {"assigned_to_user": "asha"}}[verb]
    asked = do(
        *(site, "ticket", ids),
        verb=verb, values=values, atomic=False, stop_at_first_failure=True,
    )  # fmt: skip

    drain(site, asked)

    assert spelled(site, asked) == "sfc"
    check_invariants(site)


def test_all_or_nothing_has_no_first_failure(site: lockside.Session) -> None:
    with pytest.raises(InvalidInput) as told:
        stopping(site, "+", atomic=True)

    assert told.value.facts["field"] == "stop_at_first_failure"


# So many chunks at a time


@pytest.mark.parametrize(
    ("parallel", "wide"), [(1, 1), (2, 2), (9, IN_FLIGHT_LIMIT), (None, IN_FLIGHT_LIMIT)]
)
def test_no_more_chunks_are_sent_than_may_run_at_a_time(
    site: lockside.Session, platform: Platform, broker: Recorder, parallel: int | None, wide: int
) -> None:
    asked = approve(site, platform, work_orders(site, 8), parallel=parallel)
    seen = [outstanding(site)]
    ran: set[int] = set()

    while waiting := [each for each in broker.chunks() if each not in ran]:
        ran.add(waiting[0])
        sweep(platform)
        run_chunk(platform, asked, waiting[0])
        sweep(platform)
        seen.append(outstanding(site))

    assert max(seen) == wide
    assert operation(site, asked)["state"] == "SUCCEEDED"
    check_invariants(site)


def test_one_at_a_time_waits_for_the_chunk_that_waits(
    site: lockside.Session, platform: Platform, broker: Recorder
) -> None:
    ids = work_orders(site, 3)
    asked = approve(site, platform, ids, parallel=1)

    with site.platform.locks.hold(
        [row_key(site.actor.tenant_id, "work_order", ids[0])],
        claim="theirs",
        operation="theirs",
        lease_s=60,
        all_or_none=False,
    ):
        run_chunk(platform, asked, 0)
        sweep(platform)
        due_now(site)
        sweep(platform)

    assert set(broker.chunks()) == {0}
    assert outstanding(site) == 1


@pytest.mark.parametrize(
    "step", ["claimed", "writing", "changed", "released", "progress_stored", "dispatching"]
)
def test_one_at_a_time_is_one_after_a_crash_too(
    site: lockside.Session, platform: Platform, broker: Recorder, step: str
) -> None:
    asked = approve(site, platform, work_orders(site, 3), parallel=1)

    for dies in (True, False, True, False):
        with suppress(Crash):
            run_chunk(crash_at(platform, step) if dies else platform, asked, broker.chunks()[-1])
        leases_over(site)
        for _ in range(3):
            sweep(platform)
        assert outstanding(site) <= 1

    drain(site, asked, platform)
    check_invariants(site)


def test_one_at_a_time_is_one_beside_a_worker_that_comes_back_late(
    site: lockside.Session, platform: Platform, broker: Recorder
) -> None:
    asked = approve(site, platform, work_orders(site, 4), parallel=1)

    def taken_over() -> None:
        """Have another worker do the chunk, for the lease of this one is over."""
        leases_over(site)
        run_chunk(platform, asked, 0)

    run_chunk(then(platform, "claimed", taken_over), asked, 0)

    assert broker.chunks() == [0, 1]
    assert outstanding(site) == 1


# How isolated


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
@pytest.mark.parametrize("kind", MAKERS)
def test_every_kind_is_changed_at_every_isolation_level(
    site: lockside.Session, kind: str, level: str
) -> None:
    ids = MAKERS[kind](site, 3)

    told = drain(
        site,
        do(
            *(site, kind, ids),
            verb="update", values={"reference": None, **CHANGE[kind]}, isolation_level=level,
        ),
    )  # fmt: skip

    assert told["successful_items"] == 3
    check_invariants(site)


CHANGE: dict[str, dict[str, Any]] = {
    "attendance": {"remarks": "Late"},
    "task": {"remarks": "Late"},
    "work_order": {"remarks": "Late"},
    "ticket": {"priority": "HIGH"},
}


@pytest.mark.parametrize("verb", ["update", "assign"])
def test_an_edit_waits_for_a_busy_row_and_tells_who_holds_it(
    site: lockside.Session, verb: str
) -> None:
    ids = tickets(site, 2)
    values = {"update": {"priority": "HIGH"}, "assign": {"assigned_to_user": "asha"}}[verb]
    asked = do(site, "ticket", ids, verb=verb, values=values, atomic=False, wait_s=0)

    with site.platform.locks.hold(
        [row_key(site.actor.tenant_id, "ticket", ids[0])],
        claim="theirs",
        operation="7f1c6a52-0000-4000-8000-000000000001",
        lease_s=60,
        all_or_none=False,
    ):
        run_chunk(site.platform, asked, 0)

    assert spelled(site, asked) == "fs"
    (failure,) = site.operation(asked).failures()
    assert (failure.code, failure.retryable) == ("locked", True)
    assert (failure.facts or {})["holder"] == "7f1c6a52-0000-4000-8000-000000000001"
    check_invariants(site)
