"""Assigning and updating: what may be written, to whom, and what is told when it may not."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

import lockside
from domain.errors import InvalidInput, NotFound
from models.base import Assignable, kinds
from tests.checker import check_invariants
from tests.engine.steps import drain, outcomes, query
from tests.engine.works import attended, do, task, why
from tests.factories import MAKERS, tickets, work_orders

ASSIGNABLE = [kind for kind, model in kinds().items() if issubclass(model, Assignable)]
each_assignable = pytest.mark.parametrize("kind", ASSIGNABLE)
each_kind = pytest.mark.parametrize("kind", MAKERS)


def assign(site: lockside.Session, kind: str, ids: Any, **values: Any) -> dict[str, Any]:
    return drain(site, do(site, kind, ids, verb="assign", values=values))


def update(site: lockside.Session, kind: str, ids: Any, **values: Any) -> dict[str, Any]:
    return drain(site, do(site, kind, ids, verb="update", values=values))


def person(site: lockside.Session, name: str) -> int:
    (found,) = query(
        site,
        "SELECT id FROM person WHERE tenant_id = :tenant AND name = :name",
        tenant=site.actor.tenant_id,
        name=name,
    )
    number: int = found["id"]
    return number


def assigned(site: lockside.Session, kind: str, row_id: int) -> tuple[int | None, int | None]:
    row = site.row(kind, row_id)
    return row["assigned_to_user"], row["assigned_to_team"]


@each_assignable
def test_work_is_assigned_to_a_person_a_team_or_both_by_id_or_by_name(
    site: lockside.Session, kind: str
) -> None:
    team = site.add_named("team", ["Plumbing"])["Plumbing"]
    asha = person(site, "asha")
    to_user, to_team, to_both = MAKERS[kind](site, 3, assigned_to_user=None)

    assign(site, kind, to_user, assigned_to_user="asha")
    assign(site, kind, to_team, assigned_to_team=team)
    assign(site, kind, to_both, assigned_to_user=asha, assigned_to_team="Plumbing")

    assert [assigned(site, kind, each) for each in (to_user, to_team, to_both)] == [
        (asha, None),
        (None, team),
        (asha, team),
    ]
    check_invariants(site)


def test_an_assignment_keeps_the_state_and_is_the_next_version(site: lockside.Session) -> None:
    (row_id,) = tickets(site, 1, state="OPEN")

    told = assign(site, "ticket", row_id, assigned_to_user="asha")

    row = site.row("ticket", row_id)
    assert (row["state"], row["version"], row["updated_by"]) == ("OPEN", 2, site.actor.person_id)
    assert (told["operation_type"], told["state"]) == ("assign", "SUCCEEDED")


def test_what_an_assignment_does_not_name_stays(site: lockside.Session) -> None:
    team = site.add_named("team", ["Plumbing"])["Plumbing"]
    (row_id,) = tickets(site, 1, assigned_to_team=team)

    assign(site, "ticket", row_id, assigned_to_user="asha")

    assert assigned(site, "ticket", row_id) == (person(site, "asha"), team)


def test_an_assignment_to_whom_it_is_assigned_is_skipped(site: lockside.Session) -> None:
    mine, theirs = (tickets(site, 1, assigned_to_user=each)[0] for each in ("asha", "dora"))

    told = assign(site, "ticket", [mine, theirs], assigned_to_user="asha")

    assert (told["skipped_items"], told["successful_ids"]) == (1, [str(theirs)])
    assert site.row("ticket", mine)["version"] == 1
    assert told["warnings"] == ["1 already as asked: left as they were"]
    check_invariants(site)


NOBODY: list[Any] = [
    {},
    {"assigned_to_user": None},
    {"assigned_to_user": None, "assigned_to_team": None},
    {"assigned_to_user": ""},
    {"assigned_to_user": 0},
    {"assigned_to_user": True},
    {"assigned_to_user": 1.5},
    {"assigned_to_user": ["asha"]},
    {"assigned_to_user": "asha", "remarks": "by the way"},
    {"title": "Leak"},
]


@pytest.mark.parametrize("values", NOBODY, ids=str)
def test_an_assignment_wants_a_person_or_a_team_and_nothing_else(
    site: lockside.Session, values: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInput):
        do(site, "work_order", work_orders(site, 1), verb="assign", values=values)

    assert query(site, "SELECT id FROM operation WHERE verb = 'assign'") == []


@pytest.mark.parametrize("field", ["assigned_to_user", "assigned_to_team"])
@pytest.mark.parametrize("given", ["nobody of this name", 10**9])
def test_an_unknown_assignee_is_not_found(
    site: lockside.Session, field: str, given: object
) -> None:
    with pytest.raises(NotFound) as told:
        do(site, "ticket", tickets(site, 1), verb="assign", values={field: given})

    assert told.value.facts["got"] == given


def test_a_person_of_another_tenant_is_not_found_as_if_there_were_none(
    site: lockside.Session,
) -> None:
    site.open_tenant("third", {"admin": ["admin"], "olga": ["technician"]})
    site.act_as("third", "admin")
    olga = person(site, "olga")
    site.act_as("demo", "admin")
    ids = tickets(site, 1)

    answers = []
    for named in ("olga", olga, "nobody", 10**9):
        with pytest.raises(NotFound) as told:
            do(site, "ticket", ids, verb="assign", values={"assigned_to_user": named})
        answers.append(str(told.value).replace(str(named), "…"))

    assert len(set(answers)) == 1


def test_somebody_who_was_deleted_is_not_found(site: lockside.Session) -> None:
    site.records("person").delete(person(site, "dora"))

    with pytest.raises(NotFound):
        do(site, "ticket", tickets(site, 1), verb="assign", values={"assigned_to_user": "dora"})


def test_attendance_is_assigned_to_nobody(site: lockside.Session) -> None:
    with pytest.raises(InvalidInput) as told:
        do(site, "attendance", attended(site), verb="assign", values={"assigned_to_user": "asha"})

    assert told.value.facts["field"] == "kind"
    assert "ticket" in told.value.facts["expected"]


# Updates


FIXED = (
    *("id", "uuid", "tenant_id", "state", "version", "created_at", "created_by"),
    *("created_on", "tenant"),
    *("updated_at", "updated_by", "deleted_at", "state_since"),
)


@each_kind
@pytest.mark.parametrize("field", FIXED)
def test_an_update_refuses_what_is_the_platforms(
    site: lockside.Session, kind: str, field: str
) -> None:
    with pytest.raises(InvalidInput) as told:
        do(site, kind, [1], verb="update", values={"reference": "R-1", field: 1})

    assert told.value.facts["field"] == field
    assert query(site, "SELECT id FROM operation") == []


WRONG: list[Any] = [
    ("work_order", "colour", "red"),
    ("work_order", "title", None),
    ("work_order", "title", ""),
    ("work_order", "title", 7),
    ("work_order", "title", "x" * 10_001),
    ("work_order", "title", "NUL \x00"),
    ("work_order", "title", "half a pair \ud800"),
    ("work_order", "due_at", "2026-11-22"),
    ("work_order", "due_at", "2026-11-22T09:30:00"),
    ("work_order", "due_at", "tomorrow"),
    ("work_order", "due_at", 7),
    ("work_order", "vendor", 1.5),
    ("work_order", "vendor", -1),
    ("work_order", "vendor", 2**63),
    ("ticket", "priority", "URGENT"),
    ("ticket", "priority", None),
    ("ticket", "priority", 5),
    ("ticket", "priority", ["HIGH"]),
    ("attendance", "datefor", "22.11.2026"),
    ("attendance", "datefor", datetime(2026, 11, 22, tzinfo=UTC)),
    ("attendance", "datefor", None),
    ("attendance", "ctzoffset", 841),
    ("attendance", "ctzoffset", -721),
    ("attendance", "ctzoffset", "east"),
    ("attendance", "ctzoffset", True),
    ("attendance", "punchin_latitude", 90.1),
    ("attendance", "punchin_longitude", float("nan")),
    ("attendance", "punchin_longitude", "1e400"),
]


@pytest.mark.parametrize(("kind", "field", "value"), WRONG)
def test_a_wrong_value_is_refused_by_the_name_of_its_field(
    site: lockside.Session, kind: str, field: str, value: Any
) -> None:
    with pytest.raises(InvalidInput) as told:
        do(site, kind, [1], verb="update", values={field: value})

    assert told.value.facts["field"] in (field, f"{field}_id")
    assert query(site, "SELECT id FROM operation") == []


@pytest.mark.parametrize("values", [None, {}, [], "remarks", 7])
def test_an_update_of_nothing_is_refused(site: lockside.Session, values: Any) -> None:
    with pytest.raises(InvalidInput):
        do(site, "ticket", [1], verb="update", values=values)


def test_a_transition_takes_no_values_and_an_update_no_state(site: lockside.Session) -> None:
    with pytest.raises(InvalidInput):
        do(site, "ticket", [1], target="OPEN", values={"priority": "HIGH"})
    with pytest.raises(InvalidInput):
        do(site, "ticket", [1], verb="update", target="OPEN", values={"priority": "HIGH"})


def test_an_unknown_verb_is_refused(site: lockside.Session) -> None:
    with pytest.raises(InvalidInput) as told:
        do(site, "ticket", [1], verb="burn", values={"priority": "HIGH"})

    assert told.value.facts["field"] == "verb"


def test_an_update_writes_values_as_their_columns_hold_them(site: lockside.Session) -> None:
    (order,), (ticket,) = work_orders(site, 1, vendor=False), tickets(site, 1)

    update(site, "work_order", order, vendor="Acme Lifts", due_at="2026-11-22T15:00:00+05:30")
    update(site, "ticket", ticket, priority="critical")

    written = site.row("work_order", order)
    assert written["vendor_id"] == site.add_named("vendor", ["Acme Lifts"])["Acme Lifts"]
    assert written["due_at"] == datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
    assert site.row("ticket", ticket)["priority"] == "CRITICAL"
    check_invariants(site)


@pytest.mark.parametrize("nothing", [None, ""])
def test_an_update_with_nothing_empties_a_field(
    site: lockside.Session, nothing: str | None
) -> None:
    row_id = task(site, remarks="Soon")

    update(site, "task", row_id, remarks=nothing)

    assert site.row("task", row_id)["remarks"] is None


@pytest.mark.slow
@each_kind
def test_an_update_that_changes_nothing_is_skipped(site: lockside.Session, kind: str) -> None:
    same, other = (MAKERS[kind](site, 1, reference=each)[0] for each in ("R-1", None))

    told = update(site, kind, [same], reference="R-1")

    assert (told["skipped_items"], told["successful_items"]) == (1, 0)
    assert [site.row(kind, each)["version"] for each in (same, other)] == [1, 1]
    check_invariants(site)


def test_the_record_of_an_update_holds_what_was_before_and_after(site: lockside.Session) -> None:
    (row_id,) = tickets(site, 1, priority="LOW", description="Drips")

    update(site, "ticket", row_id, priority="HIGH", description="Drips", title="Leak")
    check_invariants(site)

    created, updated = site.timeline("ticket", row_id)
    assert created["event_type"] == "CREATED"
    assert (updated["event_type"], updated["version"], updated["reason"]) == (
        *("UPDATED", 2),
        "user_action",
    )
    assert updated["changes"] == {
        "priority": {"before": "LOW", "after": "HIGH"},
        "title": {"before": "Ticket 0", "after": "Leak"},
    }


def test_each_row_of_an_update_is_recorded_with_what_it_was(site: lockside.Session) -> None:
    low, high = (tickets(site, 1, priority=each)[0] for each in ("LOW", "HIGH"))

    update(site, "ticket", [low, high], priority="CRITICAL")
    check_invariants(site)

    befores = [site.timeline("ticket", each)[-1]["changes"] for each in (low, high)]
    assert [each["priority"]["before"] for each in befores] == ["LOW", "HIGH"]


def test_a_refused_update_is_recorded_with_its_reason_and_its_wish(site: lockside.Session) -> None:
    (row_id,) = tickets(site, 1, state="CLOSED", priority="LOW")

    update(site, "ticket", row_id, priority="HIGH")
    check_invariants(site)

    told = site.timeline("ticket", row_id)[-1]
    assert (told["success"], told["error_code"], told["version"]) == (False, "record_locked", 1)
    assert told["changes"] == {"priority": {"before": "LOW", "after": "HIGH"}}


def test_all_or_nothing_updates_nothing_beside_a_final_row(site: lockside.Session) -> None:
    ids = [*tickets(site, 3), *tickets(site, 1, state="CLOSED")]

    told = update(site, "ticket", ids, priority="HIGH")

    assert (told["state"], told["failed_ids"]) == ("ROLLED_BACK", [str(ids[-1])])
    assert {site.row("ticket", each)["version"] for each in ids} == {1}
    check_invariants(site)


def test_a_dry_run_of_an_update_says_what_would_be_and_changes_nothing(
    site: lockside.Session,
) -> None:
    ids = [*tickets(site, 2), *tickets(site, 1, state="CLOSED")]

    asked = do(
        *(site, "ticket", ids), verb="update", values={"priority": "HIGH"},
        dry_run=True, atomic=False,
    )  # fmt: skip
    drain(site, asked)

    assert list(outcomes(site, asked).values()) == ["SUCCEEDED", "SUCCEEDED", "FAILED"]
    assert {site.row("ticket", each)["version"] for each in ids} == {1}
    check_invariants(site)


def test_an_update_of_what_is_not_there_fails_as_not_found(site: lockside.Session) -> None:
    (row_id,) = tickets(site, 1)
    site.act_as("other", "admin")

    told = update(site, "ticket", [row_id, 10**9], priority="HIGH")

    assert told["failure_codes"] == {"not_found": 2}


# What depends on a row's other values, only the database can tell.


def test_a_reference_that_another_row_has_fails_as_invalid_input(site: lockside.Session) -> None:
    tickets(site, 1, reference="INC1")
    (row_id,) = tickets(site, 1)

    told = update(site, "ticket", row_id, reference="INC1")

    assert why(told) == ["invalid_input"]
    check_invariants(site)


def test_a_shift_that_would_end_before_it_began_fails_as_invalid_input(
    site: lockside.Session,
) -> None:
    row_id = attended(site)

    told = update(site, "attendance", row_id, punchouttime="2026-11-20T03:29:00Z")

    assert why(told) == ["invalid_input"]
    check_invariants(site)


# Verbs of machines


@each_kind
def test_every_verb_of_a_machine_is_performed(site: lockside.Session, kind: str) -> None:
    verbs = kinds()[kind].machine.verbs

    asked = {verb: site.perform(kind, verb, [1]).show()["operation_type"] for verb in verbs}

    assert asked == {verb: f"transition_to_{target}" for verb, target in verbs.items()}


def test_performing_a_verb_is_the_transition_that_it_stands_for(site: lockside.Session) -> None:
    ids = work_orders(site, 2)

    operation = site.perform("work-order", "approve", ids)
    drain(site, UUID(operation.id))

    assert site.states("work_order") == {"APPROVED": 2}


@pytest.mark.parametrize("verb", ["burn", "APPROVED", "", None])
def test_an_unknown_verb_of_a_machine_is_refused(site: lockside.Session, verb: Any) -> None:
    with pytest.raises(InvalidInput) as told:
        site.perform("work_order", verb, [1])

    assert "approve" in told.value.facts["expected"]
