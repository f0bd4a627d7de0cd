"""Pausing, resuming, canary and rate: in force for everybody, and kept through any crash."""

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from itertools import pairwise
from threading import Thread
from typing import Any
from uuid import UUID, uuid4

import pytest

import lockside
from domain.errors import IllegalTransition, InvalidInput, NotFound, PermissionDenied
from engine.operations.follow_up import retry as again
from engine.operations.pause import pause, resume
from engine.operations.run_chunk import run_chunk
from engine.operations.sweeper import sweep
from tests.checker import check_invariants
from tests.engine.steps import (
    Crash,
    Recorder,
    ask,
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
)
from tests.factories import work_orders
from tests.patience import PATIENCE_S
from tests.sentences import Sentences

pytestmark = pytest.mark.slow

HALVES: dict[str, Any] = {"atomic": False, "chunk_items": 2}


def halt(site: lockside.Session, operation_id: UUID) -> None:
    """Pause an operation as its owner."""
    pause(site.platform, site.actor, operation_id)


def go_on(site: lockside.Session, operation_id: UUID, rate: float | None = None) -> None:
    """Resume an operation as its owner."""
    resume(site.platform, site.actor, operation_id, rate=rate)


def test_a_paused_operation_begins_no_chunk(site: lockside.Session) -> None:
    ids = work_orders(site, 4)
    asked = ask(site, ids, **HALVES)
    run_chunk(site.platform, asked, 0)

    halt(site, asked)
    run_chunk(site.platform, asked, 1)
    sweep(site.platform)

    assert operation(site, asked)["state"] == "PAUSED"
    assert list(outcomes(site, asked).values()) == ["SUCCEEDED"] * 2 + ["PENDING"] * 2


@pytest.mark.parametrize("step", ["claimed", "locked", "writing", "changed", "released"])
def test_a_chunk_that_runs_ends_as_it_is(site: lockside.Session, step: str) -> None:
    asked = ask(site, work_orders(site, 4), **HALVES)

    run_chunk(then(site.platform, step, lambda: halt(site, asked)), asked, 0)

    assert operation(site, asked)["state"] == "PAUSED"
    assert list(outcomes(site, asked).values()) == ["SUCCEEDED"] * 2 + ["PENDING"] * 2


def test_what_is_paused_during_its_last_chunk_has_ended(site: lockside.Session) -> None:
    asked = ask(site, work_orders(site, 2), **HALVES)

    run_chunk(then(site.platform, "writing", lambda: halt(site, asked)), asked, 0)

    assert operation(site, asked)["state"] == "SUCCEEDED"
    check_invariants(site)


@pytest.mark.parametrize("steer", [halt, go_on])
def test_who_steers_ends_what_nobody_else_could_end_meanwhile(
    site: lockside.Session, steer: Callable[..., None]
) -> None:
    asked = ask(site, work_orders(site, 2), **HALVES)
    with pytest.raises(Crash):
        run_chunk(crash_at(site.platform, "released"), asked, 0)
    if steer is go_on:
        with pytest.raises(Crash):
            pause(crash_at(site.platform, "paused"), site.actor, asked)

    steer(site, asked)

    assert operation(site, asked)["state"] == "SUCCEEDED"


def test_resumed_it_is_done_to_its_end(site: lockside.Session) -> None:
    sent = Recorder()
    platform = replace(site.platform, publish=sent)
    asked = ask(site, work_orders(site, 6), **HALVES)
    halt(site, asked)

    resume(platform, site.actor, asked)

    assert sent.chunks() == [0, 1, 2]
    assert drain(site, asked)["successful_items"] == 6
    check_invariants(site)


def test_it_keeps_when_it_began_and_who_paused_it(site: lockside.Session) -> None:
    asked = ask(site, work_orders(site, 4), **HALVES)
    run_chunk(site.platform, asked, 0)
    begun = operation(site, asked)["started_at"]

    halt(site, asked)
    paused = site.operation(asked).show()
    go_on(site, asked)
    run_chunk(site.platform, asked, 1)

    assert (paused["state"], paused["paused_by"]) == ("PAUSED", "admin")
    assert operation(site, asked)["started_at"] == begun
    assert site.operation(asked).show()["paused_by"] is None


@pytest.mark.parametrize("again", [halt, go_on])
def test_twice_is_once(site: lockside.Session, again: Callable[..., None]) -> None:
    asked = ask(site, work_orders(site, 2))
    halt(site, asked)

    again(site, asked)
    again(site, asked)

    assert operation(site, asked)["state"] == ("PAUSED" if again is halt else "QUEUED")


@pytest.mark.parametrize("steer", [halt, go_on])
def test_what_has_ended_is_not_steered(
    site: lockside.Session, steer: Callable[..., None], says: Sentences
) -> None:
    asked = ask(site, work_orders(site, 1))
    drain(site, asked)

    with pytest.raises(IllegalTransition, check=says):
        steer(site, asked)


@pytest.mark.parametrize("steer", [halt, go_on])
def test_what_is_not_there_is_not_steered(
    site: lockside.Session, steer: Callable[..., None]
) -> None:
    asked = ask(site, work_orders(site, 1))

    with pytest.raises(NotFound):
        steer(site, uuid4())
    site.act_as("other", "admin")
    with pytest.raises(NotFound):
        steer(site, asked)


@pytest.mark.parametrize("steer", [halt, go_on])
def test_somebody_elses_is_steered_with_a_permission(
    site: lockside.Session, steer: Callable[..., None]
) -> None:
    asked = ask(site, work_orders(site, 1))
    halt(site, asked)

    site.act_as("demo", "dora")
    with pytest.raises(PermissionDenied):
        steer(site, asked)
    site.act_as("demo", "samuel")
    steer(site, asked)


def test_all_or_nothing_pauses_before_it_begins(site: lockside.Session) -> None:
    asked = ask(site, work_orders(site, 2))
    halt(site, asked)

    run_chunk(site.platform, asked, 0)

    assert operation(site, asked)["state"] == "PAUSED"
    go_on(site, asked)
    assert drain(site, asked)["successful_items"] == 2


@pytest.mark.parametrize("canary", [1, 2, 3, 4, 5])
def test_a_canary_does_so_many_and_waits(site: lockside.Session, canary: int) -> None:
    ids = work_orders(site, 7)
    asked = ask(site, ids, **HALVES, canary=canary)

    for _ in range(3):
        for each in reversed(chunks(site, asked)):
            run_chunk(site.platform, asked, each["chunk_no"])
        sweep(site.platform)

    assert operation(site, asked)["state"] == "PAUSED"
    assert [state for state, _ in rows(site).values()].count("APPROVED") == canary
    assert site.operation(asked).show()["paused_by"] == "its canary"


def test_after_its_canary_it_is_resumed_to_its_end(site: lockside.Session) -> None:
    asked = ask(site, work_orders(site, 7), **HALVES, canary=3)
    for chunk_no in range(2):
        run_chunk(site.platform, asked, chunk_no)

    go_on(site, asked)

    assert drain(site, asked)["successful_items"] == 7
    check_invariants(site)


def test_a_canary_that_holds_everything_just_ends(site: lockside.Session) -> None:
    asked = ask(site, work_orders(site, 3), **HALVES, canary=3)

    for chunk_no in range(2):
        run_chunk(site.platform, asked, chunk_no)

    assert operation(site, asked)["state"] == "SUCCEEDED"


@pytest.mark.parametrize("step", ["claimed", "writing", "changed", "released", "progress_stored"])
def test_a_crash_in_the_canary_lets_no_other_item_through(
    site: lockside.Session, step: str
) -> None:
    asked = ask(site, work_orders(site, 6), **HALVES, canary=2)
    with pytest.raises(Crash):
        run_chunk(crash_at(site.platform, step), asked, 0)

    for _ in range(3):
        leases_over(site)
        due_now(site)
        for each in chunks(site, asked):
            run_chunk(site.platform, asked, each["chunk_no"])
        sweep(site.platform)

    assert operation(site, asked)["state"] == "PAUSED"
    assert [state for state, _ in rows(site).values()].count("APPROVED") == 2


def test_a_canary_that_is_given_up_pauses_all_the_same(site: lockside.Session) -> None:
    asked = ask(site, work_orders(site, 4), **HALVES, canary=2)
    with pytest.raises(Crash):
        run_chunk(crash_at(site.platform, "claimed"), asked, 0)
    leases_over(site)
    query(site, "UPDATE operation_chunk SET attempt = 5 WHERE chunk_no = 0")

    sweep(site.platform)

    assert operation(site, asked)["state"] == "PAUSED"
    assert list(outcomes(site, asked).values()) == ["FAILED"] * 2 + ["PENDING"] * 2


def test_who_waits_for_a_canary_is_told(site: lockside.Session) -> None:
    asked = ask(site, work_orders(site, 4), **HALVES, canary=2)
    run_chunk(site.platform, asked, 0)

    with pytest.raises(lockside.Paused) as told:
        site.operation(asked).wait(PATIENCE_S)

    assert told.value.facts["done"] == 2
    assert told.value.retryable


def test_a_person_of_that_name_is_no_canary(site: lockside.Session) -> None:
    query(site, "UPDATE person SET name = 'its canary' WHERE name = 'admin'")
    asked = ask(site, work_orders(site, 2))
    halt(site, asked)

    with pytest.raises(lockside.StillRunning) as told:
        site.operation(asked).wait(0)

    assert told.type is lockside.StillRunning
    assert site.operation(asked).show()["paused_by"] == "its canary"


def test_what_the_caller_says_is_not_who_paused_or_cancelled(site: lockside.Session) -> None:
    said = {"paused_by": "its canary", "cancelled_by": "asha"}
    asked = ask(site, work_orders(site, 2, vendor=False), **HALVES, metadata=said)
    halt(site, asked)
    go_on(site, asked)

    shown = site.operation(asked).show()
    drain(site, asked)
    tried = again(site.platform, site.actor, asked)

    assert (shown["paused_by"], shown["cancelled_by"]) == (None, None)
    assert operation(site, asked)["details"] == operation(site, tried)["details"] == said


def test_a_rate_gives_every_chunk_its_time(site: lockside.Session) -> None:
    sent = Recorder()
    site.platform = replace(site.platform, publish=sent)
    asked = ask(site, work_orders(site, 12), atomic=False, chunk_items=2, rate=4)

    due = [each["run_after"] for each in chunks(site, asked) if each["published_at"]]

    apart = [(b - a).total_seconds() for a, b in pairwise(due)]
    assert len(due) >= 3
    assert apart == pytest.approx([0.5] * len(apart), abs=0.05)


def test_what_is_hinted_at_later_comes_behind_what_was_hinted_at_before(
    site: lockside.Session,
) -> None:
    asked = ask(site, work_orders(site, 12), atomic=False, chunk_items=2, rate=4, parallel=1)
    for chunk_no in range(5):
        query(
            site,
            "UPDATE operation_chunk SET run_after = clock_timestamp() WHERE chunk_no = :n",
            n=chunk_no,
        )
        run_chunk(site.platform, asked, chunk_no)

    dispatched = chunks(site, asked)[5]
    begun = operation(site, asked)["created_at"]
    assert dispatched["published_at"] is not None
    assert (dispatched["run_after"] - begun).total_seconds() == pytest.approx(2.5, abs=0.2)


def test_a_chunk_is_at_most_a_second_of_the_rate(site: lockside.Session) -> None:
    asked = ask(site, work_orders(site, 5), atomic=False, rate=2)

    assert [len(each["ids"]) for each in chunks(site, asked)] == [2, 2, 1]


def test_before_its_time_no_chunk_runs_whoever_asks(site: lockside.Session) -> None:
    asked = ask(site, work_orders(site, 6), atomic=False, rate=2)

    for _ in range(3):
        for each in chunks(site, asked):
            run_chunk(site.platform, asked, each["chunk_no"])

    assert [state for state, _ in rows(site).values()].count("APPROVED") == 2


def test_a_resumed_operation_may_have_another_rate(site: lockside.Session) -> None:
    asked = ask(site, work_orders(site, 8), atomic=False, chunk_items=2, rate=0.5)
    halt(site, asked)

    go_on(site, asked, 4)

    due = [each["run_after"] for each in chunks(site, asked) if each["published_at"]]
    assert operation(site, asked)["rate"] == 4
    assert (due[-1] - due[0]).total_seconds() < 4
    assert drain(site, asked)["successful_items"] == 8


def test_at_a_slower_rate_what_nobody_has_begun_is_cut_anew(site: lockside.Session) -> None:
    ids = work_orders(site, 13)
    asked = ask(site, ids, atomic=False, chunk_items=5, rate=500)
    run_chunk(site.platform, asked, 0)
    halt(site, asked)

    go_on(site, asked, 1.5)

    pieces = [each["ids"] for each in chunks(site, asked)]
    assert [len(each) for each in pieces] == [5, 2, 2, 1, 2, 1]
    assert [row_id for each in pieces for row_id in each] == ids
    assert drain(site, asked)["successful_items"] == 13
    check_invariants(site)


def test_pieces_keep_what_their_rows_bring(site: lockside.Session) -> None:
    ids = work_orders(site, 3)
    lines = [f"{each},{place + 1},No. {each}" for place, each in enumerate(ids)]
    file = BytesIO("\n".join(["id,version,remarks", *lines]).encode())
    asked = site.update("work_order", atomic=False, file=file, form="csv")
    asked.pause()

    asked.resume(rate=1)

    result = drain(site, asked._id)
    assert result["failure_codes"] == {"concurrency_conflict": 2}
    assert site.row("work_order", ids[0])["remarks"] == f"No. {ids[0]}"
    assert [each["line"] for each in asked.results()] == [2, 3, 4]


def test_a_canary_is_not_cut_anew(site: lockside.Session) -> None:
    asked = ask(site, work_orders(site, 6), atomic=False, canary=2)
    halt(site, asked)

    go_on(site, asked, 1)

    assert [len(each["ids"]) for each in chunks(site, asked)] == [2, 1, 1, 1, 1]
    assert operation(site, asked)["canary_ends_before_chunk"] == 1


def test_all_or_nothing_is_resumed_at_no_rate(site: lockside.Session, says: Sentences) -> None:
    asked = ask(site, work_orders(site, 2))
    halt(site, asked)

    with pytest.raises(InvalidInput, check=says):
        go_on(site, asked, 1)

    assert operation(site, asked)["state"] == "PAUSED"
    assert len(chunks(site, asked)) == 1


def test_who_resumes_locks_the_chunks_before_the_operation(site: lockside.Session) -> None:
    asked = ask(site, work_orders(site, 2))
    halt(site, asked)
    resumer = Thread(target=go_on, args=(site, asked))
    with raw(site) as other:
        other.execute("SELECT FROM operation_chunk WHERE operation_id = %s FOR UPDATE", [asked])
        resumer.start()
        until(lambda: somebody_waits_for_a_row(site))

        other.execute("SELECT FROM operation WHERE id = %s FOR UPDATE NOWAIT", [asked])
    resumer.join()

    assert operation(site, asked)["state"] == "QUEUED"


@pytest.mark.parametrize("name", ["canary", "rate"])
@pytest.mark.parametrize("value", [0, -1, "fast", True])
def test_senseless_numbers_are_refused(
    site: lockside.Session, name: str, value: Any, says: Sentences
) -> None:
    with pytest.raises(InvalidInput, check=says):
        ask(site, work_orders(site, 1), atomic=False, **{name: value})


@pytest.mark.parametrize("name", ["canary", "rate"])
def test_all_or_nothing_has_neither(site: lockside.Session, name: str, says: Sentences) -> None:
    with pytest.raises(InvalidInput, check=says):
        ask(site, work_orders(site, 1), **{name: 1})


def test_the_sweeper_keeps_to_the_rate(site: lockside.Session) -> None:
    sent = Recorder()
    sent.away = True
    asked = ask(site, work_orders(site, 8), atomic=False, chunk_items=2, rate=4, parallel=2)
    query(site, "UPDATE operation_chunk SET published_at = NULL, run_after = clock_timestamp()")

    sweep(site.platform)

    due = [each["run_after"] for each in chunks(site, asked) if each["published_at"]]
    assert len(due) == 2
    assert (due[1] - due[0]).total_seconds() == pytest.approx(0.5, abs=0.1)


def test_what_was_resumed_ends_when_its_last_chunk_is_given_up(site: lockside.Session) -> None:
    asked = ask(site, work_orders(site, 2), **HALVES)
    with pytest.raises(Crash):
        run_chunk(crash_at(site.platform, "claimed"), asked, 0)
    query(site, "UPDATE operation_chunk SET attempt = 5")
    leases_over(site)
    halt(site, asked)
    go_on(site, asked)

    sweep(site.platform)

    assert operation(site, asked)["state"] == "FAILED"


def test_a_canary_that_is_paused_midway_stays_one(site: lockside.Session) -> None:
    asked = ask(site, work_orders(site, 6), **HALVES, canary=4)
    run_chunk(site.platform, asked, 0)
    halt(site, asked)
    go_on(site, asked)

    for each in chunks(site, asked):
        run_chunk(site.platform, asked, each["chunk_no"])
    sweep(site.platform)

    assert operation(site, asked)["state"] == "PAUSED"
    assert [state for state, _ in rows(site).values()].count("APPROVED") == 4


def test_a_first_failure_stops_what_was_paused_meanwhile(site: lockside.Session) -> None:
    bad, good = work_orders(site, 2, vendor=False), work_orders(site, 2)
    asked = ask(site, bad + good, **HALVES, stop_at_first_failure=True)

    run_chunk(then(site.platform, "locked", lambda: halt(site, asked)), asked, 0)
    sweep(site.platform)

    assert operation(site, asked)["state"] == "COMPLETED_WITH_ERRORS"
    assert {rows(site)[each][0] for each in good} == {"SUBMITTED"}


def test_a_slow_operation_takes_nobodys_room(site: lockside.Session) -> None:
    slow = ask(site, work_orders(site, 40), atomic=False, chunk_items=10, rate=10_000)
    halt(site, slow)
    go_on(site, slow, 0.01)

    other = ask(site, work_orders(site, 2), **HALVES)

    assert chunks(site, other)[0]["published_at"] is not None
    assert sum(each["published_at"] is not None for each in chunks(site, slow)) >= 1
