"""Undo: what is still as it was left goes back, what was changed since is reported."""

import io
import json
from typing import Any
from uuid import UUID

import pytest

import lockside
from domain.errors import IllegalTransition, InvalidInput, NotFound, PermissionDenied
from engine.audit.writer import write_records
from engine.operations.follow_up import retry, undo
from tests.checker import check_invariants
from tests.engine.steps import ask, drain, operation, query, rows
from tests.factories import MAKERS, tasks, tickets, work_orders
from tests.sentences import Sentences


def take_back(site: lockside.Session, operation_id: UUID) -> dict[str, Any]:
    """Undo an operation; return the result."""
    return drain(site, undo(site.platform, site.actor, operation_id))


def done(site: lockside.Session, kind: str, target: str, ids: list[int], **more: Any) -> UUID:
    """Bring rows to a state; return the operation's id."""
    asked = ask(site, ids, kind=kind, target=target, atomic=False, comments="For a test", **more)
    drain(site, asked)
    return asked


@pytest.mark.slow
@pytest.mark.parametrize("is_recorded", [True, False])
def test_rows_go_back_to_the_states_that_they_came_from(
    site: lockside.Session, is_recorded: bool
) -> None:
    drafts, submitted = work_orders(site, 2, state="DRAFT"), work_orders(site, 2)
    asked = done(site, "work_order", "CANCELLED", drafts + submitted, chunk_items=3)
    if is_recorded:
        write_records(site.platform)

    result = take_back(site, asked)

    assert (result["state"], result["successful_items"]) == ("SUCCEEDED", 4)
    assert rows(site) == dict.fromkeys(drafts, ("DRAFT", 3)) | dict.fromkeys(
        submitted, ("SUBMITTED", 3)
    )
    check_invariants(site)


def test_what_was_changed_since_is_left_alone_and_the_records_tell_both(
    site: lockside.Session,
) -> None:
    ids = work_orders(site, 1000)
    asked = done(site, "work_order", "APPROVED", ids)
    changed = ids[100:130]
    done(site, "work_order", "IN_PROGRESS", changed[:20])
    drain(site, site.update("work_order", changed[20:], {"remarks": "By hand"})._id)

    result = take_back(site, asked)

    write_records(site.platform)
    assert (result["successful_items"], result["failed_items"]) == (970, 30)
    assert result["failure_codes"] == {"concurrency_conflict": 30}
    assert sorted(map(int, result["failed_ids"])) == changed
    recorded = query(
        site,
        "SELECT success, count(*) AS n FROM state_transition_audit"
        " WHERE reason = 'undo' GROUP BY success",
    )
    assert {each["success"]: each["n"] for each in recorded} == {True: 970, False: 30}
    states = [state for state, _ in rows(site).values()]
    assert (states.count("SUBMITTED"), states.count("IN_PROGRESS")) == (970, 20)
    check_invariants(site)


@pytest.mark.parametrize(
    ("kind", "start", "target"),
    [
        ("work_order", "COMPLETED", "CLOSED"),
        ("task", "WORKING", "MAINTENANCE"),
        ("attendance", "PENDING", "APPROVED"),
        ("ticket", "RESOLVED", "CLOSED"),
    ],
)
def test_every_kind_goes_back_from_a_final_state_too(
    site: lockside.Session, kind: str, start: str, target: str
) -> None:
    ids = MAKERS[kind](site, 2, state=start)
    asked = done(site, kind, target, ids)
    assert {state for state, _ in rows(site, kind).values()} == {target}

    take_back(site, asked)

    assert rows(site, kind) == dict.fromkeys(ids, (start, 3))


def test_what_the_machine_does_not_take_back_is_reported(site: lockside.Session) -> None:
    ids = [*tickets(site, 1, state="OPEN"), *tickets(site, 1, state="ONHOLD")]
    asked = done(site, "ticket", "INPROGRESS", ids)

    result = take_back(site, asked)

    assert result["failure_codes"] == {"not_undoable": 1}
    there = rows(site, "ticket")
    assert [there[each][0] for each in ids] == ["OPEN", "INPROGRESS"]


def test_where_no_way_can_be_taken_back_nothing_is_handed_in(
    site: lockside.Session, says: Sentences
) -> None:
    asked = done(site, "ticket", "OPEN", tickets(site, 2))

    with pytest.raises(InvalidInput, check=says):
        undo(site.platform, site.actor, asked)


def test_values_become_what_they_were_each_its_own(site: lockside.Session) -> None:
    ids = [*tasks(site, 1, remarks="One"), *tasks(site, 1, remarks=None), *tasks(site, 1)]
    drain(site, site.update("task", ids[2:], {"due_at": "2026-12-01T00:00Z"})._id)
    before = [site.row("task", each) for each in ids]
    asked = site.update("task", ids, {"remarks": "All", "due_at": "2026-12-24T12:00Z"})
    drain(site, asked._id)

    take_back(site, asked._id)

    after = [site.row("task", each) for each in ids]
    names = ("remarks", "due_at")
    assert [[each[name] for name in names] for each in after] == [
        [each[name] for name in names] for each in before
    ]
    assert [each["version"] for each in after] == [each["version"] + 2 for each in before]
    check_invariants(site)


def test_assignments_are_taken_back(site: lockside.Session) -> None:
    ids = [*tickets(site, 1, assigned_to_user="dora"), *tickets(site, 1)]
    before = [site.row("ticket", each)["assigned_to_user"] for each in ids]
    asked = site.assign("ticket", ids, user="tomas")
    drain(site, asked._id)

    drain(site, asked.undo()._id)

    assert [site.row("ticket", each)["assigned_to_user"] for each in ids] == before


def test_what_was_skipped_or_failed_is_not_taken_back(site: lockside.Session) -> None:
    moved, there = work_orders(site, 1), work_orders(site, 1, state="APPROVED")
    asked = done(site, "work_order", "APPROVED", moved + there + work_orders(site, 1, vendor=False))

    result = take_back(site, asked)

    assert result["successful_ids"] == [str(moved[0])]
    assert rows(site)[there[0]] == ("APPROVED", 1)


def test_an_undo_goes_on_past_its_first_failure(site: lockside.Session) -> None:
    ids = work_orders(site, 5)
    asked = done(site, "work_order", "APPROVED", ids, stop_at_first_failure=True)
    done(site, "work_order", "IN_PROGRESS", ids[:1])

    result = take_back(site, asked)

    assert result["successful_ids"] == [str(each) for each in ids[1:]]
    assert result["failure_codes"] == {"concurrency_conflict": 1}


def test_an_operation_is_undone_once(site: lockside.Session) -> None:
    asked = done(site, "work_order", "APPROVED", work_orders(site, 1))

    first = undo(site.platform, site.actor, asked)
    drain(site, first)

    assert undo(site.platform, site.actor, asked) == first
    assert operation(site, first)["parent_id"] == asked


def test_who_may_not_approve_may_not_take_an_approval_back(site: lockside.Session) -> None:
    asked = done(site, "work_order", "APPROVED", work_orders(site, 1))
    query(
        site,
        "UPDATE role SET permissions = array_append(permissions, 'operation.undo')"
        " WHERE name = 'dispatcher'",
    )
    site.act_as("demo", "dora")

    result = take_back(site, asked)

    assert result["failure_codes"] == {"permission_denied": 1}
    write_records(site.platform)
    assert query(site, "SELECT required_permissions FROM permission_denial_audit") == [
        {"required_permissions": ["work_order.approve"]}
    ]


def test_an_undo_that_somebody_else_could_not_make_is_made_by_the_owner(
    site: lockside.Session,
) -> None:
    query(
        site,
        "UPDATE role SET permissions = CASE name"
        " WHEN 'viewer' THEN array_append(permissions, 'operation.undo')"
        " ELSE array_append(permissions, 'work_order.approve') END"
        " WHERE name IN ('viewer', 'dispatcher')",
    )
    site.act_as("demo", "dora")
    ids = work_orders(site, 1)
    asked = done(site, "work_order", "APPROVED", ids)
    site.act_as("demo", "victor")
    assert take_back(site, asked)["failure_codes"] == {"permission_denied": 1}

    site.act_as("demo", "dora")
    theirs = undo(site.platform, site.actor, asked)
    result = drain(site, retry(site.platform, site.actor, theirs))

    assert result["successful_ids"] == [str(ids[0])]


def test_what_came_out_of_nothing_of_theirs_is_nobodys(
    site: lockside.Session, says: Sentences
) -> None:
    asked = done(site, "work_order", "APPROVED", work_orders(site, 1))
    undone = undo(site.platform, site.actor, asked)
    drain(site, undone)

    site.act_as("demo", "dora")

    with pytest.raises(PermissionDenied, check=says):
        retry(site.platform, site.actor, undone)


def test_somebody_elses_operation_needs_a_permission(
    site: lockside.Session, says: Sentences
) -> None:
    asked = done(site, "work_order", "APPROVED", work_orders(site, 1))

    site.act_as("demo", "dora")
    with pytest.raises(PermissionDenied, check=says):
        undo(site.platform, site.actor, asked)
    site.act_as("other", "admin")
    with pytest.raises(NotFound):
        undo(site.platform, site.actor, asked)


def test_what_did_nothing_or_goes_on_is_not_undone(site: lockside.Session, says: Sentences) -> None:
    nothing = done(site, "work_order", "APPROVED", work_orders(site, 1, vendor=False))
    planned = ask(site, work_orders(site, 1), dry_run=True)
    drain(site, planned)
    early = ask(site, work_orders(site, 1))
    approved = done(site, "work_order", "APPROVED", work_orders(site, 1))
    undone = undo(site.platform, site.actor, approved)
    drain(site, undone)

    for each in (nothing, planned, undone):
        with pytest.raises(InvalidInput, check=says):
            undo(site.platform, site.actor, each)
    with pytest.raises(IllegalTransition):
        undo(site.platform, site.actor, early)


def test_rows_that_were_deleted_since_are_not_found(site: lockside.Session) -> None:
    ids = work_orders(site, 2)
    asked = done(site, "work_order", "APPROVED", ids)
    site.records("work_order").delete(ids[0])

    result = take_back(site, asked)

    assert result["failure_codes"] == {"not_found": 1}


def test_without_records_nothing_goes_back(site: lockside.Session) -> None:
    asked = done(site, "work_order", "APPROVED", work_orders(site, 1))
    write_records(site.platform)
    query(site, "ALTER TABLE state_transition_audit DISABLE TRIGGER USER")
    query(site, "DELETE FROM state_transition_audit")

    result = take_back(site, asked)

    assert result["failure_codes"] == {"not_recorded": 1}


def test_an_undo_that_met_busy_rows_is_tried_again(site: lockside.Session) -> None:
    ids = work_orders(site, 2)
    asked = done(site, "work_order", "APPROVED", ids)
    query(site, "UPDATE role SET permissions = array_remove(permissions, 'work_order.approve')")
    first = undo(site.platform, site.actor, asked)
    drain(site, first)
    query(
        site,
        "UPDATE role SET permissions = array_append(permissions, 'work_order.approve')"
        " WHERE name = 'admin'",
    )
    done(site, "work_order", "IN_PROGRESS", ids[1:])

    result = drain(site, retry(site.platform, site.actor, first))

    assert (result["successful_ids"], result["failure_codes"]) == (
        [str(ids[0])],
        {"concurrency_conflict": 1},
    )


@pytest.mark.slow
def test_rows_of_every_slice_get_back_their_own_fields(site: lockside.Session) -> None:
    ids = tickets(site, 1001)
    lines = [{"id": each, "title": "New"} for each in ids[:-1]]
    lines.append({"id": ids[-1], "description": "Wet"})
    text = "\n".join(map(json.dumps, lines)).encode()
    asked = site.update("ticket", file=io.BytesIO(text), form="ndjson", chunk_items=10_000)
    drain(site, asked._id)
    assert site.row("ticket", ids[-1])["description"] == "Wet"

    result = take_back(site, asked._id)

    assert result["successful_items"] == 1001
    assert (site.row("ticket", ids[0])["title"], site.row("ticket", ids[-1])["description"]) == (
        "Ticket 0",
        None,
    )
