"""Denials: each is an error or a failed item, and a record with what was wanted, held, risked."""

from collections.abc import Callable
from typing import Any

import pytest

import lockside
from domain.errors import PermissionDenied
from models.base import Assignable, kinds
from tests.checker import check_invariants
from tests.engine.steps import drain, query
from tests.engine.works import NOON, clock_from, denials, do, move, task, why
from tests.factories import MAKERS, tickets, work_orders

each_kind = pytest.mark.parametrize("kind", MAKERS)


@pytest.fixture(autouse=True)
def noon(site: lockside.Session) -> None:
    """Let every denial come at an hour that adds nothing to its risk."""
    site.platform = clock_from(site, NOON)


@pytest.mark.slow
@each_kind
def test_each_verb_of_a_machine_is_denied_and_recorded(site: lockside.Session, kind: str) -> None:
    machine = kinds()[kind].machine
    rows = {arrow: MAKERS[kind](site, 1, state=arrow.source)[0] for arrow in machine.transitions}
    site.act_as("demo", "victor")

    for arrow, row_id in rows.items():
        assert "permission_denied" in why_all(site, move(site, kind, row_id, arrow.target))

    told = [(each["attempted_action"], each["required_permissions"]) for each in denials(site)]
    assert told == [(arrow.verb, [f"{kind}.{arrow.verb}"]) for arrow in rows]
    assert {each["kind"] for each in denials(site)} == {kind}
    check_invariants(site)


def why_all(site: lockside.Session, told: dict[str, Any]) -> set[str]:
    """Return every code with which the items of an operation failed, not only the first."""
    failures = site.operation(told["operation_id"]).failures()
    return {code for each in failures for code in each.codes}


@each_kind
@pytest.mark.parametrize("verb", ["assign", "update"])
def test_assigning_and_updating_are_denied_and_recorded(
    site: lockside.Session, kind: str, verb: str
) -> None:
    if verb == "assign" and not issubclass(kinds()[kind], Assignable):
        return
    ids = MAKERS[kind](site, 2)
    values = {"assigned_to_user": "asha"} if verb == "assign" else {"reference": "R-1"}
    site.act_as("demo", "victor")

    told = drain(site, do(site, kind, ids, verb=verb, values=values))

    (denial,) = denials(site)
    assert why(told) == ["permission_denied"]
    assert (denial["attempted_action"], denial["entity_ids"]) == (verb, ids)
    assert denial["required_permissions"] == [f"{kind}.{verb}"]
    check_invariants(site)


def test_a_denial_tells_who_wanted_what_on_which_rows_and_what_they_hold(
    site: lockside.Session,
) -> None:
    ids = work_orders(site, 3)
    site.act_as("demo", "victor")

    told = drain(site, do(site, "work_order", ids, target="APPROVED", atomic=False))

    (denial,) = denials(site)
    assert (denial["actor_id"], denial["tenant_id"]) == (
        site.actor.person_id,
        site.actor.tenant_id,
    )
    assert str(denial["correlation_id"]) == told["operation_id"]
    assert (denial["items"], denial["entity_ids"]) == (3, ids)
    assert all(each.endswith(".view") for each in denial["user_permissions"])
    assert "work_order.view" in denial["user_permissions"]
    assert (denial["risk_score"], denial["is_suspicious"]) == (30, False)


def test_all_or_nothing_that_was_denied_is_recorded_though_nothing_was_changed(
    site: lockside.Session,
) -> None:
    ids = work_orders(site, 2)
    site.act_as("demo", "victor")

    told = drain(site, do(site, "work_order", ids, target="APPROVED"))

    assert (told["state"], len(denials(site))) == ("ROLLED_BACK", 1)


def test_rows_that_may_be_moved_are_not_among_the_denied(site: lockside.Session) -> None:
    (submitted,), (closed,) = work_orders(site, 1), work_orders(site, 1, state="CLOSED")
    site.act_as("demo", "victor")

    told = drain(site, do(site, "work_order", [submitted, closed], target="APPROVED", atomic=False))

    (denial,) = denials(site)
    assert why(told) == ["illegal_transition", "permission_denied"]
    assert denial["entity_ids"] == [submitted]


def test_two_arrows_to_one_state_name_their_permissions_once_each(site: lockside.Session) -> None:
    ids = [tickets(site, 1, state=each)[0] for each in ("OPEN", "ONHOLD", "RESOLVED")]
    site.act_as("demo", "victor")

    drain(site, do(site, "ticket", ids, target="INPROGRESS", comments="Go", atomic=False))

    (denial,) = denials(site)
    assert denial["attempted_action"] == "reopen or resume or start"
    assert denial["required_permissions"] == ["ticket.reopen", "ticket.resume", "ticket.start"]


ASKED: list[Any] = [
    ("create", lambda site, _: site.records("ticket").create(title="Leak")),
    ("update", lambda site, row: site.records("ticket").update(row, title="Leak")),
    ("delete", lambda site, row: site.records("ticket").delete(row)),
    ("import", lambda site, _: site.import_work("ticket", [{"title": "Leak"}])),
]


@pytest.mark.parametrize(("action", "ask"), ASKED, ids=[each[0] for each in ASKED])
def test_a_door_that_is_denied_is_told_and_recorded(
    site: lockside.Session, action: str, ask: Callable[[lockside.Session, int], object]
) -> None:
    (row_id,) = tickets(site, 1)
    site.act_as("demo", "victor")

    with pytest.raises(PermissionDenied) as told:
        ask(site, row_id)

    (denial,) = denials(site)
    assert told.value.facts["required"] == [f"ticket.{action}"]
    assert (denial["kind"], denial["attempted_action"]) == ("ticket", action)
    assert denial["entity_ids"] == ([row_id] if action in ("update", "delete") else [])
    assert site.states("ticket") == {"NEW": 1}


VIEWS: list[Any] = [
    lambda site, row: site.row("ticket", row),
    lambda site, row: site.records("ticket").list(),
    lambda site, row: site.explain("ticket", row),
    lambda site, row: site.ids("ticket"),
    lambda site, row: site.states("ticket"),
    lambda site, row: site.timeline("ticket", row),
    lambda site, row: site.ids_by_reference("ticket", ["R-1"]),
]


@pytest.mark.parametrize("ask", VIEWS)
def test_who_may_not_see_work_is_shown_nothing_of_it(
    site: lockside.Session, ask: Callable[[lockside.Session, int], object]
) -> None:
    (row_id,) = tickets(site, 1)
    site.open_tenant("demo", {"nobody": []})
    site.act_as("demo", "nobody")

    with pytest.raises(PermissionDenied):
        ask(site, row_id)

    (denial,) = denials(site)
    assert denial["required_permissions"] == ["ticket.view"]
    assert denial["user_permissions"] == []


def test_a_reading_is_denied_by_the_permission_over_its_task(site: lockside.Session) -> None:
    row_id = task(site)
    site.act_as("demo", "dora")

    with pytest.raises(PermissionDenied):
        site.records("reading").create(task_id=row_id, name="flow", value="1")

    (denial,) = denials(site)
    assert denial["required_permissions"] == ["task.record"]


@pytest.mark.parametrize("written", [0, 1, 3])
def test_the_risk_grows_with_every_denial_of_the_hour(site: lockside.Session, written: int) -> None:
    site.act_as("demo", "victor")

    for number in range(8):
        with pytest.raises(PermissionDenied):
            site.records("role").create(name="mine", permissions=["work_order.approve"])
        # Whether they are records by then or wait in the outbox.
        if written and number % written == 0:
            denials(site)

    told = [(each["risk_score"], each["is_suspicious"]) for each in denials(site)]
    assert [score for score, _ in told] == [50, 55, 60, 65, 70, 75, 80, 80]
    assert [suspicious for _, suspicious in told] == [False] * 2 + [True] * 6


def test_the_denials_of_another_day_person_or_tenant_add_no_risk(site: lockside.Session) -> None:
    for tenant, person in (("demo", "victor"), ("other", "victor"), ("demo", "dora")):
        site.act_as(tenant, person)
        with pytest.raises(PermissionDenied):
            site.records("vendor").create(name="Mine")
        denials(site)
    query(
        site,
        "UPDATE permission_denial_audit SET occurred_at = occurred_at - interval '61 minutes'",
    )
    site.act_as("demo", "victor")
    with pytest.raises(PermissionDenied):
        site.records("vendor").create(name="Mine")

    assert {each["risk_score"] for each in denials(site)} == {15}


def test_reaching_for_a_hundred_rows_is_riskier_than_for_one(site: lockside.Session) -> None:
    ids = work_orders(site, 101)
    site.act_as("demo", "victor")

    move(site, "work_order", ids[0], "APPROVED")
    denials(site)
    drain(site, do(site, "work_order", ids[1:], target="APPROVED"))

    assert [each["risk_score"] for each in denials(site)] == [30, 55]


def test_the_system_is_never_denied(site: lockside.Session) -> None:
    ids = work_orders(site, 2)
    site.act_as("demo", None)

    drain(site, do(site, "work_order", ids, target="APPROVED"))
    site.records("vendor").create(name="New Lifts")

    assert denials(site) == []


def test_a_permission_that_was_taken_away_counts_from_then_on(site: lockside.Session) -> None:
    (row_id,) = work_orders(site, 1)
    site.act_as("demo", "asha")
    asked = do(site, "work_order", row_id, target="APPROVED")

    query(
        site,
        "UPDATE person_role SET deleted_at = clock_timestamp(), version = version + 1"
        " WHERE person_id = :id",
        id=site.actor.person_id,
    )

    assert why(drain(site, asked)) == ["permission_denied"]


def test_a_deleted_person_may_do_nothing_any_more(site: lockside.Session) -> None:
    (row_id,) = work_orders(site, 1)
    site.act_as("demo", "asha")
    asha = site.actor.person_id
    asked = do(site, "work_order", row_id, target="APPROVED")
    site.act_as("demo", None)
    site.records("person").delete(int(asha or 0))

    assert why(drain(site, asked)) == ["permission_denied"]
