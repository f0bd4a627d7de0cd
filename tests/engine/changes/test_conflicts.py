"""A stale version is a conflict that tells both versions, who wrote last, and what was wanted."""

import json
import re
from typing import Any

import pytest

import lockside
from domain.errors import StaleVersion
from models.base import Assignable, kinds
from tests.checker import check_invariants
from tests.engine.steps import drain
from tests.engine.works import do, task, why
from tests.factories import MAKERS, tickets, work_orders

each_kind = pytest.mark.parametrize("kind", MAKERS)
SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def changed_by_asha(site: lockside.Session, kind: str, row_id: int) -> None:
    """Make the row's second version."""
    site.act_as("demo", "asha")
    site.records(kind).update(row_id, reference=f"R-{row_id}")
    site.act_as("demo", "admin")


def conflict_of(site: lockside.Session, told: dict[str, Any]) -> dict[str, Any]:
    """Return a failed item's conflict as an interface shows it."""
    (failure,) = site.operation(told["operation_id"]).failures()
    assert (failure.code, failure.retryable) == ("concurrency_conflict", True)
    return dict(failure.facts or {})


def assert_is_the_contracts(
    facts: dict[str, Any], state: str, changes: dict[str, dict[str, Any]]
) -> None:
    current = facts["current"]
    assert facts["resolution"] == {
        "action": "refresh_and_retry",
        "your_version": 1,
        "current_version": 2,
    }
    assert (current["state"], current["updated_by"]) == (state, "asha")
    assert SECONDS.fullmatch(current["updated_at"])
    assert facts["changes"] == changes


@each_kind
def test_a_stale_transition_is_a_conflict(site: lockside.Session, kind: str) -> None:
    arrow = kinds()[kind].machine.transitions[0]
    (row_id,) = MAKERS[kind](site, 1, state=arrow.source)
    changed_by_asha(site, kind, row_id)

    told = drain(site, do(site, kind, row_id, target=arrow.target, expected_versions={row_id: 1}))

    wanted = {"state": {"before": arrow.source, "after": arrow.target}}
    assert_is_the_contracts(conflict_of(site, told), arrow.source, wanted)
    assert site.row(kind, row_id)["version"] == 2
    check_invariants(site)


@pytest.mark.slow
@each_kind
def test_a_stale_update_is_a_conflict(site: lockside.Session, kind: str) -> None:
    (row_id,) = MAKERS[kind](site, 1)
    changed_by_asha(site, kind, row_id)

    told = drain(
        site,
        do(
            *(site, kind, row_id),
            verb="update",
            values={"reference": "R-mine"},
            expected_versions={row_id: 1},
        ),
    )

    wanted = {"reference": {"before": f"R-{row_id}", "after": "R-mine"}}
    state = kinds()[kind].machine.initial if kind != "work_order" else "SUBMITTED"
    assert_is_the_contracts(conflict_of(site, told), state, wanted)
    check_invariants(site)


@pytest.mark.parametrize(
    "kind", [each for each, model in kinds().items() if issubclass(model, Assignable)]
)
def test_a_stale_assignment_is_a_conflict(site: lockside.Session, kind: str) -> None:
    team = site.add_named("team", ["Plumbing"])["Plumbing"]
    (row_id,) = MAKERS[kind](site, 1)
    changed_by_asha(site, kind, row_id)

    told = drain(
        site,
        do(
            *(site, kind, row_id),
            verb="assign",
            values={"assigned_to_team": "Plumbing"},
            expected_versions={row_id: 1},
        ),
    )

    wanted = {"assigned_to_team": {"before": None, "after": team}}
    assert conflict_of(site, told)["changes"] == wanted
    check_invariants(site)


@each_kind
def test_a_stale_write_of_one_record_is_a_conflict(site: lockside.Session, kind: str) -> None:
    (row_id,) = MAKERS[kind](site, 1)
    changed_by_asha(site, kind, row_id)

    with pytest.raises(StaleVersion) as told:
        site.records(kind).update(row_id, expected_version=1, reference="R-mine")

    shown = told.value.to_dict()
    state = site.row(kind, row_id)["state"]
    assert (shown["error"], shown["message"]) == (
        "concurrency_conflict",
        "This record was modified by another user.",
    )
    wanted = {"reference": {"before": f"R-{row_id}", "after": "R-mine"}}
    assert_is_the_contracts(shown, state, wanted)
    assert json.loads(json.dumps(shown)) == shown


def test_a_stale_deletion_is_a_conflict_and_deletes_nothing(site: lockside.Session) -> None:
    (row_id,) = tickets(site, 1)
    changed_by_asha(site, "ticket", row_id)

    with pytest.raises(StaleVersion) as told:
        site.records("ticket").delete(row_id, expected_version=1)

    assert told.value.facts["changes"]["title"] == {"before": "Ticket 0", "after": None}
    assert site.row("ticket", row_id)["version"] == 2


def test_a_version_of_the_future_is_a_conflict_too(site: lockside.Session) -> None:
    (row_id,) = tickets(site, 1)

    told = drain(site, do(site, "ticket", row_id, target="OPEN", expected_versions={row_id: 7}))

    assert conflict_of(site, told)["resolution"]["your_version"] == 7


def test_a_conflict_of_what_the_system_wrote_names_nobody(site: lockside.Session) -> None:
    row_id = task(site)
    site.act_as("demo", None)
    site.records("task").update(row_id, remarks="By the clock")
    site.act_as("demo", "admin")

    told = drain(site, do(site, "task", row_id, target="WORKING", expected_versions={row_id: 1}))

    assert conflict_of(site, told)["current"]["updated_by"] is None


def test_the_version_that_was_seen_is_no_conflict(site: lockside.Session) -> None:
    ids = work_orders(site, 3)

    told = drain(
        site,
        do(
            *(site, "work_order", ids),
            target="APPROVED",
            atomic=False,
            expected_versions={ids[0]: 1, ids[1]: 2},
        ),
    )

    assert (told["successful_ids"], why(told)) == (
        [str(ids[0]), str(ids[2])],
        ["concurrency_conflict"],
    )


def test_a_stale_row_keeps_all_or_nothing_from_anything(site: lockside.Session) -> None:
    ids = work_orders(site, 3)
    changed_by_asha(site, "work_order", ids[1])

    told = drain(
        site,
        do(site, "work_order", ids, target="APPROVED", expected_versions=dict.fromkeys(ids, 1)),
    )

    assert (told["state"], told["failed_ids"]) == ("ROLLED_BACK", [str(ids[1])])
    assert site.states("work_order") == {"SUBMITTED": 3}


def test_a_conflict_comes_before_what_else_speaks_against_it(site: lockside.Session) -> None:
    (row_id,) = work_orders(site, 1, vendor=False)
    changed_by_asha(site, "work_order", row_id)

    told = drain(
        site,
        do(site, "work_order", row_id, target="APPROVED", expected_versions={row_id: 1}),
    )

    assert why(told) == ["concurrency_conflict"]


def test_a_conflict_is_recorded_as_a_refusal(site: lockside.Session) -> None:
    (row_id,) = work_orders(site, 1)
    changed_by_asha(site, "work_order", row_id)
    drain(
        site,
        do(site, "work_order", row_id, target="APPROVED", expected_versions={row_id: 1}),
    )
    check_invariants(site)

    told = site.timeline("work_order", row_id)[-1]
    assert (told["success"], told["error_code"], told["version"]) == (
        *(False, "concurrency_conflict"),
        2,
    )
