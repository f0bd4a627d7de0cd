"""What comes out of an operation that has ended: its plan executed, its failures tried again."""

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

import lockside
from domain.errors import IllegalTransition, InvalidInput, NotFound, PermissionDenied
from engine.operations.follow_up import execute_plan, retry
from engine.operations.pause import resume
from engine.operations.request import Submission
from engine.operations.run_chunk import run_chunk
from engine.operations.submit import submit
from tests.checker import check_invariants
from tests.engine.steps import Recorder, ask, chunks, drain, operation, outcomes, query, rows
from tests.factories import tickets, work_orders
from tests.sentences import Sentences

pytestmark = pytest.mark.slow


def plan(site: lockside.Session, ids: list[int], **more: Any) -> UUID:
    """Plan the approval of work orders; return the plan's id."""
    asked = ask(site, ids, dry_run=True, **more)
    drain(site, asked)
    return asked


def execute(site: lockside.Session, plan_id: UUID) -> UUID:
    """Execute a plan; return the operation that does."""
    return execute_plan(site.platform, site.actor, plan_id)


def again(site: lockside.Session, operation_id: UUID, only: str | None = None) -> UUID:
    """Try again what failed; return the operation that does."""
    return retry(site.platform, site.actor, operation_id, only=only)


def touch(site: lockside.Session, ids: list[int]) -> None:
    """Change rows by other means than the operation under test."""
    drain(site, site.update("work_order", ids, {"remarks": "By hand"})._id)


def test_a_plan_changes_nothing_and_is_executed_later(site: lockside.Session) -> None:
    ids = work_orders(site, 3)
    planned = plan(site, ids, comments="Batch", metadata={"a": 1})
    before = rows(site)

    done = execute(site, planned)
    result = drain(site, done)

    assert before == dict.fromkeys(ids, ("SUBMITTED", 1))
    assert result["successful_ids"] == [str(each) for each in ids]
    child = operation(site, done)
    assert (child["parent_id"], child["purpose"]) == (planned, "plan")
    assert (child["comments"], child["details"], child["dry_run"]) == ("Batch", {"a": 1}, False)
    check_invariants(site)


@pytest.mark.parametrize("chosen", ["ids", "where"])
def test_a_plan_is_judged_whole_and_executed_with_its_canary(
    site: lockside.Session, chosen: str
) -> None:
    ids = [*work_orders(site, 2, vendor=False), *work_orders(site, 7)]
    named: dict[str, Any] = {"ids": ids, "where": None}
    named |= {"ids": None, "where": "state=SUBMITTED"} if chosen == "where" else {}
    given = Submission(
        "work_order", target="APPROVED", atomic=False, dry_run=True, canary=3, **named
    )
    planned = submit(site.platform, site.actor, given)

    outcomes = drain(site, planned)
    done = execute(site, planned)
    for each in chunks(site, done):
        run_chunk(site.platform, done, each["chunk_no"])

    assert (outcomes["successful_items"], outcomes["failed_items"]) == (7, 2)
    assert operation(site, done)["state"] == "PAUSED"
    assert {row for row, (state, _) in rows(site).items() if state == "APPROVED"} == {*ids[2:5]}
    resume(site.platform, site.actor, done)
    assert drain(site, done)["successful_items"] == 7
    check_invariants(site)


def test_a_plan_is_executed_at_its_rate(site: lockside.Session) -> None:
    planned = plan(site, work_orders(site, 5), atomic=False, rate=2)

    done = execute(site, planned)

    assert operation(site, done)["rate"] == 2
    assert [len(each["ids"]) for each in chunks(site, done)] == [2, 2, 1]


@pytest.mark.parametrize("derive", ["execute", "undo", "retry"])
def test_what_comes_out_is_cut_as_it_was(site: lockside.Session, derive: str) -> None:
    ids = work_orders(site, 4, vendor=derive != "retry")
    asked = ask(site, ids, atomic=False, chunk_items=1, dry_run=derive == "execute")
    drain(site, asked)

    derived = getattr(site.operation(asked), derive)()

    assert [len(each["ids"]) for each in chunks(site, derived._id)] == [1, 1, 1, 1]


def test_an_undo_of_all_or_nothing_has_chunks_of_the_usual_size(site: lockside.Session) -> None:
    asked = ask(site, work_orders(site, 3))
    drain(site, asked)
    site.platform = replace(site.platform, pace=replace(site.platform.pace, chunk_items=2))

    undone = site.operation(asked).undo()

    assert [len(each["ids"]) for each in chunks(site, undone._id)] == [2, 1]


@pytest.mark.parametrize("derive", ["execute", "undo", "retry"])
@pytest.mark.parametrize(("items", "queue"), [(1, "interactive"), (2, "bulk")])
def test_what_one_person_waits_for_waits_behind_no_bulk(
    site: lockside.Session, derive: str, items: int, queue: str
) -> None:
    sent = Recorder()
    ids = work_orders(site, items, vendor=derive != "retry")
    asked = ask(site, ids, atomic=False, dry_run=derive == "execute")
    drain(site, asked)
    site.platform = replace(site.platform, publish=sent)

    derived = getattr(site.operation(asked), derive)()

    first, second = operation(site, asked), operation(site, derived._id)
    assert (second["queue"], second["lease_seconds"]) == (queue, first["lease_seconds"])
    assert sent.chunks() == [0]


@pytest.mark.parametrize("derive", ["undo", "retry"])
def test_only_a_plan_hands_its_canary_on(site: lockside.Session, derive: str) -> None:
    ids = [*work_orders(site, 2, vendor=False), *work_orders(site, 2)]
    asked = ask(site, ids, atomic=False, canary=4)
    drain(site, asked)

    derived = getattr(site.operation(asked), derive)()

    found = operation(site, derived._id)
    assert (found["canary"], found["canary_ends_before_chunk"]) == (None, None)


def test_what_changed_since_the_plan_is_a_conflict_and_the_rest_is_done(
    site: lockside.Session,
) -> None:
    ids = work_orders(site, 100)
    planned = plan(site, ids, atomic=False, chunk_items=30)
    touch(site, ids[:50])

    result = drain(site, execute(site, planned))

    assert result["failure_codes"] == {"concurrency_conflict": 50}
    assert result["successful_items"] == 50
    assert set(result["failed_ids"]) == {str(each) for each in ids[:50]}
    check_invariants(site)


def test_what_the_plan_saw_fail_is_left_out(site: lockside.Session) -> None:
    good, bad = work_orders(site, 2), work_orders(site, 2, vendor=False)
    planned = plan(site, good + bad, atomic=False)

    result = drain(site, execute(site, planned))

    assert (result["total_items"], result["successful_items"]) == (2, 2)


def test_a_plan_of_all_or_nothing_leaves_nothing_out(
    site: lockside.Session, says: Sentences
) -> None:
    planned = plan(site, [*work_orders(site, 2), *work_orders(site, 1, vendor=False)])

    with pytest.raises(InvalidInput, check=says):
        execute(site, planned)


def test_every_item_is_judged_again_by_its_rules(site: lockside.Session) -> None:
    ids = work_orders(site, 2)
    planned = plan(site, ids, atomic=False)
    query(site, "UPDATE role SET permissions = '{}' WHERE name IN ('admin', 'manager')")

    result = drain(site, execute(site, planned))

    assert result["failure_codes"] == {"permission_denied": 2}


def test_a_plan_is_executed_once(site: lockside.Session) -> None:
    planned = plan(site, work_orders(site, 2))

    first, second = execute(site, planned), execute(site, planned)
    drain(site, first)

    assert first == second == execute(site, planned)


def test_what_is_no_plan_or_not_judged_yet_is_not_executed(
    site: lockside.Session, says: Sentences
) -> None:
    asked = ask(site, work_orders(site, 1))
    drain(site, asked)
    early = ask(site, work_orders(site, 1), dry_run=True)

    with pytest.raises(InvalidInput, check=says):
        execute(site, asked)
    with pytest.raises(IllegalTransition, check=says):
        execute(site, early)
    with pytest.raises(NotFound):
        execute(site, uuid4())


def test_a_plan_of_nothing_is_not_executed(site: lockside.Session, says: Sentences) -> None:
    planned = plan(site, work_orders(site, 2, vendor=False), atomic=False)

    with pytest.raises(InvalidInput, check=says):
        execute(site, planned)


def test_only_what_failed_is_tried_again(site: lockside.Session) -> None:
    good, bad = work_orders(site, 2), work_orders(site, 3, vendor=False)
    asked = ask(site, good + bad, atomic=False)
    drain(site, asked)
    vendor = site.add_named("vendor", ["Acme Lifts"])["Acme Lifts"]
    drain(site, site.update("work_order", bad, {"vendor_id": vendor})._id)

    result = drain(site, again(site, asked))

    assert result["successful_ids"] == [str(each) for each in bad]
    check_invariants(site)


def test_only_one_code_is_tried_again_once_for_each(site: lockside.Session) -> None:
    bad, wrong = work_orders(site, 2, vendor=False), work_orders(site, 1, state="CLOSED")
    asked = ask(site, bad + wrong, atomic=False)
    drain(site, asked)

    first = again(site, asked, "vendor_missing")
    drain(site, first)
    other = again(site, asked, "illegal_transition")

    assert set(outcomes(site, first)) == {str(each) for each in bad}
    assert set(outcomes(site, other)) == {str(each) for each in wrong}
    assert again(site, asked, "vendor_missing") == first != other


def test_what_was_tried_by_its_code_is_left_out_of_a_plain_retry(site: lockside.Session) -> None:
    bad, wrong = work_orders(site, 2, vendor=False), work_orders(site, 1, state="CLOSED")
    asked = ask(site, bad + wrong, atomic=False)
    drain(site, asked)
    drain(site, again(site, asked, "vendor_missing"))

    rest = again(site, asked)
    drain(site, rest)

    assert set(outcomes(site, rest)) == {str(each) for each in wrong}
    assert again(site, asked) == rest


def test_nothing_to_try_again_is_told(site: lockside.Session, says: Sentences) -> None:
    asked = ask(site, work_orders(site, 2), atomic=False)
    drain(site, asked)

    with pytest.raises(InvalidInput, check=says):
        again(site, asked)
    with pytest.raises(InvalidInput, check=says):
        again(site, asked, "locked")


def test_a_code_that_nothing_failed_by_is_told_with_those_that_there_are(
    site: lockside.Session, says: Sentences
) -> None:
    bad, wrong = work_orders(site, 1, vendor=False), work_orders(site, 1, state="CLOSED")
    asked = ask(site, bad + wrong, atomic=False)
    drain(site, asked)

    with pytest.raises(InvalidInput, check=says):
        again(site, asked, "bogus")


def test_all_or_nothing_is_tried_again_as_a_whole(site: lockside.Session, says: Sentences) -> None:
    ids = [*work_orders(site, 2), *work_orders(site, 1, vendor=False)]
    asked = ask(site, ids)
    drain(site, asked)
    vendor = site.add_named("vendor", ["Acme Lifts"])["Acme Lifts"]
    drain(site, site.update("work_order", ids[2:], {"vendor_id": vendor})._id)

    with pytest.raises(InvalidInput, check=says):
        again(site, asked, "vendor_missing")
    result = drain(site, again(site, asked))

    assert result["successful_items"] == 3


def test_what_the_first_failure_left_undone_is_tried_again_with_it(site: lockside.Session) -> None:
    ids = [*work_orders(site, 1), *work_orders(site, 1, vendor=False), *work_orders(site, 2)]
    asked = ask(site, ids, atomic=False, stop_at_first_failure=True)
    drain(site, asked)
    vendor = site.add_named("vendor", ["Acme Lifts"])["Acme Lifts"]
    drain(site, site.update("work_order", ids[1:2], {"vendor_id": vendor})._id)

    result = drain(site, again(site, asked))

    assert result["successful_ids"] == [str(each) for each in ids[1:]]
    check_invariants(site)


def test_a_conflict_goes_over_somebodys_change_only_by_name(site: lockside.Session) -> None:
    ids = work_orders(site, 2)
    planned = plan(site, ids, atomic=False)
    touch(site, ids[:1])
    asked = execute(site, planned)
    drain(site, asked)

    kept = drain(site, again(site, asked))
    taken = drain(site, again(site, asked, "concurrency_conflict"))

    assert kept["failure_codes"] == {"concurrency_conflict": 1}
    assert taken["successful_ids"] == [str(ids[0])]


def test_a_retry_may_be_tried_again(site: lockside.Session) -> None:
    asked = ask(site, work_orders(site, 1, vendor=False), atomic=False)
    drain(site, asked)
    first = again(site, asked)
    drain(site, first)

    second = again(site, first)

    assert operation(site, second)["parent_id"] == first


def test_a_dry_run_is_not_tried_again(site: lockside.Session, says: Sentences) -> None:
    planned = plan(site, work_orders(site, 1, vendor=False))

    with pytest.raises(InvalidInput, check=says):
        again(site, planned)


def test_assignments_are_planned_and_executed_too(site: lockside.Session) -> None:
    ids = tickets(site, 2)
    planned = site.assign("ticket", ids, user="tomas", dry_run=True)
    drain(site, planned._id)

    drain(site, planned.execute()._id)

    assert {site.row("ticket", each)["assigned_to_user"] is not None for each in ids} == {True}


def test_another_tenants_operation_is_not_there(site: lockside.Session) -> None:
    asked = ask(site, work_orders(site, 1, vendor=False), atomic=False)
    drain(site, asked)
    site.act_as("other", "admin")

    with pytest.raises(NotFound):
        again(site, asked)
    with pytest.raises(NotFound):
        site.operation(asked).retry()


@pytest.mark.parametrize("derive", ["execute", "retry"])
def test_only_who_may_steer_uses_up_somebody_elses_turn(
    site: lockside.Session, derive: str, says: Sentences
) -> None:
    asked = ask(site, work_orders(site, 1, vendor=False), atomic=False, dry_run=derive == "execute")
    drain(site, asked)
    site.act_as("demo", "victor")

    with pytest.raises(PermissionDenied, check=says):
        getattr(site.operation(asked), derive)()

    assert query(site, "SELECT id FROM operation WHERE purpose IS NOT NULL") == []
