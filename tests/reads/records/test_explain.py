"""Explaining: every transition with all its reasons, for a row; how many each blocks, for many."""

from typing import Any

import pytest

import lockside
from domain.errors import InvalidInput, NotFound
from tests.factories import tickets, work_orders
from tests.sentences import Sentences


def by_target(told: dict[str, Any]) -> dict[str, list[str]]:
    """Return the codes that speak against each target."""
    return {
        each["to"]: [reason["code"] for reason in each["reasons"]] for each in told["transitions"]
    }


def test_a_row_is_explained_with_every_reason(site: lockside.Session) -> None:
    (row_id,) = work_orders(site, 1, vendor=False)
    site.act_as("demo", "victor")

    told = site.explain("work_order", row_id)

    assert by_target(told) == {
        "APPROVED": ["permission_denied", "vendor_missing"],
        "CANCELLED": ["permission_denied", "comments_required"],
        "REJECTED": ["permission_denied", "comments_required"],
    }


def test_a_row_is_explained_with_its_state_and_version(site: lockside.Session) -> None:
    (row_id,) = work_orders(site, 1)

    told = site.explain("work-order", row_id)

    shown = {name: told[name] for name in ("id", "kind", "state", "version")}
    assert shown == {
        "id": str(row_id),
        "kind": "work_order",
        "state": "SUBMITTED",
        "version": 1,
    }


def test_what_is_allowed_says_so_with_its_verb(site: lockside.Session) -> None:
    (row_id,) = work_orders(site, 1)

    (told,) = site.explain("work_order", row_id, to="approved")["transitions"]

    assert told == {"to": "APPROVED", "verb": "approve", "allowed": True, "reasons": []}


def test_a_target_without_an_arrow_is_explained_as_illegal(site: lockside.Session) -> None:
    (row_id,) = tickets(site, 1)

    (told,) = site.explain("ticket", row_id, to="CLOSED")["transitions"]

    assert told == {
        "to": "CLOSED",
        "verb": None,
        "allowed": False,
        "reasons": [
            {
                "code": "illegal_transition",
                "message": "No transition from NEW to CLOSED (allowed from NEW: OPEN, CANCELLED)",
            }
        ],
    }


def test_a_final_state_has_nothing_to_explain(site: lockside.Session) -> None:
    (row_id,) = tickets(site, 1, state="CLOSED")

    assert site.explain("ticket", row_id)["transitions"] == []


def test_facts_of_other_tables_are_looked_at(site: lockside.Session) -> None:
    (row_id,) = work_orders(site, 1, state="IN_PROGRESS")

    assert by_target(site.explain("work_order", row_id))["COMPLETED"] == ["lines_missing"]


def test_the_system_is_explained_to_without_permissions(site: lockside.Session) -> None:
    (row_id,) = tickets(site, 1)
    site.act_as("demo", None)

    assert by_target(site.explain("ticket", row_id))["OPEN"] == []


def test_a_selection_counts_what_each_reason_blocks(site: lockside.Session) -> None:
    ready = work_orders(site, 4)
    unready = work_orders(site, 3, vendor=False)
    there = work_orders(site, 2, state="APPROVED")
    closed = work_orders(site, 1, state="CLOSED")

    told = site.explain("work_order", ready + unready + there + closed + [404], to="approved")

    assert told == {
        "kind": "work_order",
        "to": "APPROVED",
        "total": 11,
        "allowed": 4,
        "already_there": 2,
        "blocked_by": [
            {
                "code": "vendor_missing",
                "message": "Cannot approve without vendor assignment",
                "items": 3,
            },
            {
                "code": "illegal_transition",
                "message": "No transition from CLOSED to APPROVED (CLOSED is final)",
                "items": 1,
            },
            {"code": "not_found", "message": "No such work_order", "items": 1},
        ],
    }


def test_a_row_that_two_reasons_block_counts_for_both(site: lockside.Session) -> None:
    ids = work_orders(site, 2, vendor=False)
    site.act_as("demo", "victor")

    told = site.explain("work_order", ids, to="APPROVED")

    assert {each["code"]: each["items"] for each in told["blocked_by"]} == {
        "permission_denied": 2,
        "vendor_missing": 2,
    }


def test_an_id_given_twice_counts_once(site: lockside.Session) -> None:
    ids = work_orders(site, 1)

    assert site.explain("work_order", ids * 3, to="APPROVED")["total"] == 1


def test_explaining_says_what_running_does(site: lockside.Session) -> None:
    ids = work_orders(site, 2) + work_orders(site, 1, vendor=False)

    told = site.explain("work_order", ids, to="APPROVED")

    assert (told["allowed"], [each["code"] for each in told["blocked_by"]]) == (
        2,
        ["vendor_missing"],
    )


def test_explaining_changes_nothing(site: lockside.Session) -> None:
    (row_id,) = work_orders(site, 1)
    before = site.row("work_order", row_id)

    site.explain("work_order", row_id)

    assert site.row("work_order", row_id) == before


def test_a_row_that_is_not_there_is_not_found(site: lockside.Session) -> None:
    with pytest.raises(NotFound):
        site.explain("ticket", 404)


@pytest.mark.parametrize(("kind", "to"), [("elevator", "OPEN"), ("ticket", "APPROVED")])
def test_what_is_not_known_is_named(
    site: lockside.Session, kind: str, to: str, says: Sentences
) -> None:
    with pytest.raises(InvalidInput, check=says):
        site.explain(kind, 1, to=to)


def test_many_rows_need_a_target(site: lockside.Session, says: Sentences) -> None:
    with pytest.raises(InvalidInput, check=says):
        site.explain("ticket", [1, 2])
