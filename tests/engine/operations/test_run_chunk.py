"""Running a chunk: what can be done is done once, the rest says why; nothing else happens."""

from dataclasses import replace
from datetime import UTC
from functools import partial
from threading import Thread
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.exc import DBAPIError

import lockside
from engine.operations.run_chunk import run_chunk
from engine.operations.sweeper import sweep
from engine.ports.platform import Platform
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
    outbox,
    outcomes,
    query,
    raw,
    rows,
    somebody_waits_for_a_row,
    then,
    until,
)
from tests.factories import tickets, work_orders
from tests.patience import PATIENCE_S
from tests.workers import Worker

STEPS = ("claimed", "locked", "writing", "changed", "released", "finished", "storing", "stored")
STEPS_BETWEEN = ("progress_stored", "dispatching", "dispatched")


@pytest.mark.slow
def test_continue_on_error_does_what_can_be_done(site: lockside.Session, worker: Worker) -> None:
    good = work_orders(site, 30)
    bad = work_orders(site, 2, vendor=False)

    outcome = site.transition("work_order", to="approved", ids=good + bad, atomic=False).wait(
        PATIENCE_S
    )

    assert outcome["state"] == "COMPLETED_WITH_ERRORS"
    assert outcome["failure_codes"] == {"vendor_missing": 2}
    assert site.states("work_order") == {"APPROVED": 30, "SUBMITTED": 2}


def test_every_item_is_moved_once_however_often_its_message_comes(site: lockside.Session) -> None:
    ids = work_orders(site, 7)
    operation_id = ask(site, ids, atomic=False, chunk_items=3)

    for chunk_no in (0, 2, 1) * 3:
        run_chunk(site.platform, operation_id, chunk_no)

    assert rows(site) == dict.fromkeys(ids, ("APPROVED", 2))
    check_invariants(site)


def test_a_duplicate_says_that_there_is_nothing_to_do(site: lockside.Session) -> None:
    operation_id = ask(site, work_orders(site, 2))
    run_chunk(site.platform, operation_id, 0)

    told = run_chunk(site.platform, operation_id, 0)

    assert told.startswith("not due")


def test_a_single_transition_takes_the_same_way(site: lockside.Session) -> None:
    ids = work_orders(site, 1)

    told = drain(site, ask(site, ids))

    assert (told["state"], told["successful_ids"]) == ("SUCCEEDED", [str(ids[0])])


def test_a_result_holds_what_became_of_each_item(site: lockside.Session) -> None:
    good = work_orders(site, 2)
    there = work_orders(site, 1, state="APPROVED")
    bad = work_orders(site, 1, vendor=False)

    told = drain(site, ask(site, good + there + bad, atomic=False))

    assert {name: told[name] for name in told if name.endswith(("items", "ids", "details"))} == {
        "total_items": 4,
        "successful_items": 2,
        "skipped_items": 1,
        "failed_items": 1,
        "cancelled_items": 0,
        "successful_ids": [str(each) for each in good],
        "failed_ids": [str(bad[0])],
        "failure_details": {str(bad[0]): "Cannot approve without vendor assignment"},
    }


def test_what_is_there_already_is_skipped_with_a_note(site: lockside.Session) -> None:
    ids = work_orders(site, 2, state="APPROVED")

    told = drain(site, ask(site, ids))

    assert (told["state"], told["warnings"]) == (
        "SUCCEEDED",
        ["2 already in APPROVED: left as they were"],
    )
    assert rows(site) == dict.fromkeys(ids, ("APPROVED", 1))


# All or nothing


def refused_together(site: lockside.Session) -> tuple[list[int], list[int], dict[str, Any]]:
    """Ask for all or nothing where two of five can't; return the good, the bad, the result."""
    good = work_orders(site, 3)
    bad = [*work_orders(site, 1, vendor=False), *work_orders(site, 1, state="CLOSED")]
    return good, bad, drain(site, ask(site, good + bad))


def test_all_or_nothing_lists_every_failure(site: lockside.Session) -> None:
    _, bad, told = refused_together(site)

    assert told["failed_ids"] == [str(each) for each in bad]
    assert told["failure_codes"] == {"vendor_missing": 1, "illegal_transition": 1}


def test_all_or_nothing_says_that_nothing_was_done(site: lockside.Session) -> None:
    *_, told = refused_together(site)

    assert (told["state"], told["was_rolled_back"], told["successful_ids"]) == (
        "ROLLED_BACK",
        True,
        [],
    )
    assert told["rollback_reason"] == "2 of 5 items failed and all or nothing was asked for"


def test_all_or_nothing_changes_nothing(site: lockside.Session) -> None:
    refused_together(site)

    assert {version for _, version in rows(site).values()} == {1}


def test_the_outcomes_of_nothing_add_up_too(site: lockside.Session) -> None:
    *_, told = refused_together(site)

    counted = [told[f"{name}_items"] for name in ("successful", "skipped", "failed", "cancelled")]
    assert counted == [0, 0, 2, 3]
    check_invariants(site)


def test_all_or_nothing_goes_over_several_slices(site: lockside.Session) -> None:
    ids = work_orders(site, 2500)

    told = drain(site, ask(site, ids))

    assert (told["state"], told["successful_items"]) == ("SUCCEEDED", 2500)
    check_invariants(site)


def test_one_bad_item_in_the_last_slice_stops_all(site: lockside.Session) -> None:
    ids = work_orders(site, 2001) + work_orders(site, 1, vendor=False)

    told = drain(site, ask(site, ids))

    assert (told["failed_items"], told["cancelled_items"]) == (1, 2001)
    assert site.states("work_order") == {"SUBMITTED": 2002}


# Dry runs


@pytest.mark.parametrize("atomic", [True, False])
def test_a_dry_run_changes_and_records_nothing(site: lockside.Session, atomic: bool) -> None:
    work_orders(site, 3)
    work_orders(site, 1, vendor=False)
    before, books = rows(site), outbox(site)

    drain(site, ask(site, before, dry_run=True, atomic=atomic))

    assert rows(site) == before
    assert outbox(site) == books


def test_a_dry_run_tells_what_would_become_of_each(site: lockside.Session) -> None:
    good, bad = work_orders(site, 2), work_orders(site, 1, vendor=False)

    told = drain(site, ask(site, good + bad, dry_run=True, atomic=False))

    assert (told["successful_items"], told["failed_ids"], told["warnings"]) == (
        2,
        [str(bad[0])],
        ["Dry run: nothing was changed"],
    )


# Judged at the moment of the change


def test_a_stale_version_is_a_conflict_that_says_what_to_do(site: lockside.Session) -> None:
    ids = work_orders(site, 2)
    site.act_as("demo", "asha")
    drain(site, ask(site, ids[:1]))
    site.act_as("demo", "admin")

    operation_id = ask(site, ids, target="IN_PROGRESS", atomic=False, expected_versions={ids[0]: 1})
    drain(site, operation_id)

    (failure, _) = site.operation(operation_id).failures()
    changed_at = site.row("work_order", ids[0])["updated_at"]
    assert (failure.code, failure.retryable) == ("concurrency_conflict", True)
    assert failure.facts == {
        "resolution": {
            "action": "refresh_and_retry",
            "your_version": 1,
            "current_version": 2,
        },
        "current": {
            "state": "APPROVED",
            "updated_by": "asha",
            "updated_at": f"{changed_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
        },
        "changes": {"state": {"before": "APPROVED", "after": "IN_PROGRESS"}},
    }


def test_the_expected_version_is_let_through(site: lockside.Session) -> None:
    ids = work_orders(site, 2)

    told = drain(site, ask(site, ids, expected_versions=dict.fromkeys(ids, 1)))

    assert told["successful_items"] == 2


def test_an_id_that_nothing_has_is_not_found(site: lockside.Session) -> None:
    operation_id = ask(site, [404])

    drain(site, operation_id)

    (failure,) = site.operation(operation_id).failures()
    assert (failure.code, failure.message) == ("not_found", "No work_order 404")


def test_a_permission_that_is_not_held_fails_each_item(site: lockside.Session) -> None:
    ids = work_orders(site, 2)
    site.act_as("demo", "victor")

    told = drain(site, ask(site, ids))

    assert told["failure_codes"] == {"permission_denied": 2}


@pytest.mark.parametrize(
    "taken_away",
    [
        "DELETE FROM person_role",
        "UPDATE person_role SET deleted_at = now()",
        "UPDATE role SET deleted_at = now()",
        "UPDATE role SET permissions = array_remove(permissions, 'work_order.approve')",
    ],
)
def test_a_permission_counts_when_the_work_is_done(site: lockside.Session, taken_away: str) -> None:
    ids = work_orders(site, 1)
    operation_id = ask(site, ids)
    query(site, taken_away)

    told = drain(site, operation_id)

    assert told["failure_codes"] == {"permission_denied": 1}


def test_a_manager_named_beside_the_actor_is_enough(site: lockside.Session) -> None:
    ids = work_orders(site, 1, state="DRAFT")
    site.act_as("demo", "dora")

    told = drain(site, ask(site, ids, target="SUBMITTED", approved_by="asha"))

    assert told["state"] == "SUCCEEDED"


def test_a_colleague_named_beside_the_actor_is_not(site: lockside.Session) -> None:
    ids = work_orders(site, 1, state="DRAFT")
    site.act_as("demo", "dora")

    told = drain(site, ask(site, ids, target="SUBMITTED", approved_by="victor"))

    assert told["failure_codes"] == {"manager_required": 1}


def test_the_system_acts_without_a_person(site: lockside.Session) -> None:
    ids = work_orders(site, 2)
    site.act_as("demo", None)

    told = drain(site, ask(site, ids))

    assert told["state"] == "SUCCEEDED"


def test_lines_are_counted_when_the_work_is_done(site: lockside.Session) -> None:
    ids = work_orders(site, 2, state="IN_PROGRESS")
    operation_id = ask(site, ids, target="COMPLETED", atomic=False)
    site.records("work_order_line").create(work_order_id=ids[0], description="Oil")

    drain(site, operation_id)

    assert outcomes(site, operation_id) == {str(ids[0]): "SUCCEEDED", str(ids[1]): "FAILED"}


# Isolation, and starting again


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_the_change_runs_at_the_level_that_was_asked(site: lockside.Session, level: str) -> None:
    ids = work_orders(site, 2)
    seen: list[Any] = []

    def clock(db: Any) -> Any:
        seen.append(db.exec_driver_sql("SHOW transaction_isolation").scalar())
        return site.platform.clock(db)

    operation_id = ask(site, ids, isolation_level=level)
    run_chunk(replace(site.platform, clock=clock), operation_id, 0)

    assert seen[0] == level.lower()
    check_invariants(site)


def fail_changes(site: lockside.Session, times: int, sqlstate: str) -> None:
    """Have PostgreSQL itself refuse the next changes; sequences outlive their rollbacks."""
    query(site, "CREATE SEQUENCE tries")
    query(
        site,
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF nextval('tries') <= {times} THEN"
        f" RAISE EXCEPTION USING ERRCODE = '{sqlstate}', MESSAGE = 'try again'; END IF;"
        " RETURN NULL; END $$",
    )
    query(
        site,
        "CREATE TRIGGER fail AFTER UPDATE ON work_order FOR EACH STATEMENT EXECUTE FUNCTION fail()",
    )


@pytest.mark.parametrize("sqlstate", ["40001", "40P01"], ids=["serialization", "deadlock"])
def test_a_lost_race_of_transactions_is_run_again(site: lockside.Session, sqlstate: str) -> None:
    ids = work_orders(site, 3)
    operation_id = ask(site, ids)
    fail_changes(site, 1, sqlstate)

    run_chunk(site.platform, operation_id, 0)

    assert rows(site) == dict.fromkeys(ids, ("APPROVED", 2))
    assert chunks(site, operation_id)[0]["attempt"] == 1
    check_invariants(site)


def test_no_more_retries_than_asked(site: lockside.Session) -> None:
    operation_id = ask(site, work_orders(site, 1), max_retries=0)
    fail_changes(site, 1, "40001")

    with pytest.raises(DBAPIError):
        run_chunk(site.platform, operation_id, 0)

    (chunk,) = chunks(site, operation_id)
    assert (chunk["status"], chunk["attempt"]) == ("PENDING", 1)


def test_what_failed_by_surprise_is_done_by_the_next(site: lockside.Session) -> None:
    ids = work_orders(site, 3)
    operation_id = ask(site, ids)
    fail_changes(site, 1, "XX000")
    with pytest.raises(DBAPIError):
        run_chunk(site.platform, operation_id, 0)

    drain(site, operation_id)

    assert rows(site) == dict.fromkeys(ids, ("APPROVED", 2))


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_row_that_changed_behind_the_snapshot_is_judged_anew(
    site: lockside.Session, level: str
) -> None:
    (row_id,) = work_orders(site, 1)
    operation_id = ask(site, [row_id], isolation_level=level)
    with raw(site) as other:
        hold_chunk = partial(other.execute, "SELECT FROM operation_chunk FOR UPDATE")
        platform = then(site.platform, "locked", hold_chunk)
        worker = Thread(target=run_chunk, args=(platform, operation_id, 0))
        worker.start()
        until(lambda: somebody_waits_for_a_row(site))
        other.execute("SET LOCAL lockside.override = 'meanwhile'")
        other.execute("UPDATE work_order SET remarks = 'new', version = version + 1")
        other.commit()
    worker.join()

    assert rows(site) == {row_id: ("APPROVED", 3)}
    check_invariants(site)


# Crashes


def run_all(site: lockside.Session, platform: Platform, operation_id: UUID) -> None:
    for chunk in chunks(site, operation_id):
        run_chunk(platform, operation_id, chunk["chunk_no"])


@pytest.mark.parametrize(
    ("atomic", "step"),
    [(True, each) for each in STEPS] + [(False, each) for each in STEPS + STEPS_BETWEEN],
)
@pytest.mark.slow
def test_after_a_crash_at_any_step_each_item_is_moved_once(
    site: lockside.Session, atomic: bool, step: str
) -> None:
    ids = work_orders(site, 5)
    operation_id = ask(site, ids, atomic=atomic, chunk_items=3)
    with pytest.raises(Crash):
        run_all(site, crash_at(site.platform, step), operation_id)

    leases_over(site)
    sweep(site.platform)
    drain(site, operation_id)
    sweep(site.platform)

    assert rows(site) == dict.fromkeys(ids, ("APPROVED", 2))
    check_invariants(site)


def test_a_crash_before_the_commit_leaves_nothing_but_the_attempt(site: lockside.Session) -> None:
    ids = work_orders(site, 3)
    operation_id, books = ask(site, ids), outbox(site)

    with pytest.raises(Crash):
        run_chunk(crash_at(site.platform, "writing"), operation_id, 0)

    assert rows(site) == dict.fromkeys(ids, ("SUBMITTED", 1))
    assert outbox(site) == books
    assert [(c["status"], c["attempt"]) for c in chunks(site, operation_id)] == [("RUNNING", 1)]


# Garbage


@pytest.mark.parametrize("chunk_no", [-1, 1, 10**6])
def test_a_message_for_a_chunk_that_is_not_there_does_nothing(
    site: lockside.Session, chunk_no: int
) -> None:
    operation_id = ask(site, work_orders(site, 1))

    told = run_chunk(site.platform, operation_id, chunk_no)

    assert told.startswith("not due")
    assert operation(site, operation_id)["state"] == "QUEUED"


@pytest.mark.parametrize("operation_id", [uuid4(), UUID(int=0)])
def test_a_message_for_an_operation_that_is_not_there_does_nothing(
    site: lockside.Session, operation_id: UUID
) -> None:
    assert run_chunk(site.platform, operation_id, 0).startswith("not due")


def test_a_message_for_an_import_does_nothing(site: lockside.Session) -> None:
    tickets(site, 2)
    (imported,) = query(site, "SELECT id FROM operation")

    assert run_chunk(site.platform, imported["id"], 0).startswith("not due")


def test_a_paused_operation_runs_no_chunk(site: lockside.Session) -> None:
    operation_id = ask(site, work_orders(site, 1))
    query(site, "UPDATE operation SET state = 'PAUSED' WHERE id = :id", id=operation_id)

    told = run_chunk(site.platform, operation_id, 0)

    assert told.startswith("not due")


def test_a_chunk_that_is_not_due_waits(site: lockside.Session) -> None:
    operation_id = ask(site, work_orders(site, 1))
    query(site, "UPDATE operation_chunk SET run_after = clock_timestamp() + interval '1 hour'")

    assert run_chunk(site.platform, operation_id, 0).startswith("not due")
    due_now(site)
    assert run_chunk(site.platform, operation_id, 0) == "finished"
