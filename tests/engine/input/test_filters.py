"""Rows that a filter chooses: which they are, and that they are frozen when they are handed in."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

import lockside
from domain.errors import IdempotencyMismatch, InvalidInput, NotFound, PermissionDenied
from engine.operations.request import Submission
from engine.operations.submit import submit
from tests.engine.steps import ask, chunks, drain, operation, query
from tests.engine.works import clock_at
from tests.factories import tasks, tickets, work_orders
from tests.sentences import Sentences

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def choose(site: lockside.Session, **given: Any) -> UUID:
    """Submit rows as they are given; return the operation's id."""
    return submit(site.platform, site.actor, Submission(**given))


@pytest.fixture
def three(site: lockside.Session) -> dict[str, int]:
    """Bring in three tickets that differ in everything that a filter asks of."""
    sites = site.add_named("vendor", ["Acme Lifts"])
    assert sites
    place = site.records("site").create(name="North Yard")["id"]
    found = site.import_work(
        "ticket",
        [
            {
                "reference": "A",
                "title": "Leaking pump",
                "priority": "HIGH",
                "state": "OPEN",
                "site_id": place,
                "state_since": NOW - timedelta(days=10),
            },
            {
                "reference": "B",
                "title": "100% dark",
                "priority": "LOW",
                "state": "OPEN",
                "site_id": None,
                "state_since": NOW - timedelta(days=3),
            },
            {
                "reference": "C",
                "title": "Broken_door",
                "priority": "CRITICAL",
                "state": "NEW",
                "site_id": place,
                "state_since": NOW - timedelta(hours=1),
            },
        ],
    )
    return dict(zip("ABC", found, strict=True))


@pytest.mark.parametrize(
    ("where", "meant"),
    [
        ("state=OPEN", "AB"),
        ("state=open", "AB"),
        ("state != OPEN", "C"),
        ("state in (NEW, OPEN) and priority in (HIGH, critical)", "AC"),
        ("priority not in (LOW)", "AC"),
        ("not priority = LOW", "AC"),
        ('site="North Yard"', "AC"),
        ("site_id is empty", "B"),
        ('site != "North Yard"', "B"),
        ('not site = "North Yard"', "B"),
        ("site is not empty", "AC"),
        ("title contains PUMP", "A"),
        ('title contains "0%"', "B"),
        ("title contains _", "C"),
        ("state_since < -7d", "A"),
        ("state_since >= -7d and state_since <= now", "BC"),
        ("state_since > -2h", "C"),
        ("state_since < 2026-11-19T12:00:00+00:00", "A"),
        ("reference in (A, C)", "AC"),
        ("version = 1 and created_by = admin", "ABC"),
        ("(state=NEW or priority=LOW) and title is not empty", "BC"),
        ("id > 0", "ABC"),
    ],
)
def test_a_filter_chooses_its_rows(
    site: lockside.Session, three: dict[str, int], where: str, meant: str
) -> None:
    site.platform = clock_at(site, NOW)

    assert site.ids("ticket", where=where) == sorted(three[each] for each in meant)
    assert site.count("ticket", where) == len(meant)


def test_rows_of_others_and_deleted_ones_are_never_chosen(
    site: lockside.Session, three: dict[str, int]
) -> None:
    site.records("ticket").delete(three["A"])
    site.act_as("other", "admin")
    tickets(site, 2)
    site.act_as("demo", "admin")

    assert site.ids("ticket", where="id > 0 or id < 1 or not id = 0") == [three["B"], three["C"]]


@pytest.mark.parametrize(
    ("where", "got", "expected"),
    [
        ("colour = red", "colour", "a field among"),
        ("tenant_id = 1", "tenant_id", "a field among"),
        ("state=DONE", "state = DONE", "one of NEW, OPEN"),
        ("priority in (LOW, URGENT)", "priority in URGENT", "one of LOW"),
        ("state < OPEN", "state < OPEN", "=, !=, in or is empty"),
        ("title > a", "title > a", "=, !=, in or is empty"),
        ("site < 3", "site < 3", "=, !=, in or is empty"),
        ("state_since < yesterday", "state_since < yesterday", "or a span from now"),
        ("state_since < 2026-11-22", "state_since < 2026-11-22", "this is 2026-11-22T00:00:00Z"),
        ("state_since < 20261122T0930", "state_since < 20261122T0930", "2026-11-22T09:30:00Z"),
        ("state_since < -999999999w", "state_since < -999999999w", "in the years 1 to 9999"),
        ("state_since < +99999999d", "state_since < +99999999d", "in the years 1 to 9999"),
        ("id = 9999999999999999999999", "id = 9999999999999999999999", "number below 9,223,372,0"),
        ("version contains 1", "version contains 1", "a field of text"),
        ('title contains ""', 'title contains ""', "some text to look for"),
        ("uuid = 17", "uuid = 17", "a UUID"),
    ],
)
def test_a_comparison_that_means_nothing_is_refused(
    site: lockside.Session, where: str, got: str, expected: str
) -> None:
    with pytest.raises(InvalidInput) as told:
        site.transition("ticket", to="OPEN", where=where)

    assert (told.value.facts["field"], told.value.facts["got"]) == ("where", got)
    assert expected in told.value.facts["expected"]


@pytest.mark.parametrize(
    "where", [5, b"state=NEW", ["state=NEW"], "title = '\x00'", "title='\ud800'"]
)
def test_what_is_no_text_that_can_be_stored_is_no_filter(
    site: lockside.Session, where: Any, says: Sentences
) -> None:
    for ask_for in (site.ids, site.count, site.export):
        with pytest.raises(InvalidInput, check=says):
            ask_for("ticket", where=where)


def test_a_name_that_is_nobodys_is_told(site: lockside.Session, says: Sentences) -> None:
    with pytest.raises(NotFound, check=says):
        site.count("ticket", "site = Nowhere")


def test_the_rows_are_frozen_when_they_are_handed_in(site: lockside.Session) -> None:
    early = tickets(site, 3)
    asked = choose(site, kind="ticket", target="OPEN", where="state=NEW")
    late = tickets(site, 2)

    result = drain(site, asked)

    assert result["successful_ids"] == [str(each) for each in early]
    assert site.ids("ticket", state="NEW") == late
    assert operation(site, asked)["selection"] == "state=NEW"


def test_all_or_nothing_is_one_chunk_and_else_they_are_cut(site: lockside.Session) -> None:
    ids = tickets(site, 7)
    given: dict[str, Any] = {"kind": "ticket", "target": "OPEN", "where": "state=NEW"}

    whole = choose(site, **given)
    plan = choose(site, **given, atomic=False, chunk_items=3)

    assert [each["ids"] for each in chunks(site, whole)] == [ids]
    assert [each["ids"] for each in chunks(site, plan)] == [ids[:3], ids[3:6], ids[6:]]
    assert [operation(site, each)["total"] for each in (whole, plan)] == [7, 7]


def test_a_filter_that_matches_nothing_is_refused(site: lockside.Session, says: Sentences) -> None:
    with pytest.raises(InvalidInput, check=says):
        site.transition("ticket", to="OPEN", where="state=NEW")

    assert query(site, "SELECT id FROM operation WHERE verb = 'transition'") == []


@pytest.mark.parametrize("count", [1, 4])
def test_another_number_than_expected_is_refused(
    site: lockside.Session, count: int, says: Sentences
) -> None:
    tickets(site, 3)

    with pytest.raises(InvalidInput, check=says) as told:
        site.transition("ticket", to="OPEN", where="state=NEW", expect_count=count)

    assert told.value.facts["field"] == "expect_count"
    assert query(site, "SELECT id FROM operation WHERE verb = 'transition'") == []


def test_the_expected_number_is_done(site: lockside.Session) -> None:
    tickets(site, 3)

    asked = choose(site, kind="ticket", target="OPEN", where="id>0", expect_count=3)

    assert drain(site, asked)["successful_items"] == 3


def test_ids_are_counted_as_well(site: lockside.Session, says: Sentences) -> None:
    with pytest.raises(InvalidInput, check=says):
        ask(site, work_orders(site, 2), expect_count=3)


@pytest.mark.parametrize("given", [{"ids": [1], "where": "id>0"}, {"ids": None}, {"where": ""}])
def test_rows_are_chosen_in_one_way(site: lockside.Session, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        choose(site, kind="ticket", target="OPEN", **given)


def test_the_same_key_is_the_same_operation_whatever_matches_now(site: lockside.Session) -> None:
    tickets(site, 2)
    given: dict[str, Any] = {
        "kind": "ticket",
        "target": "OPEN",
        "where": "state=NEW",
        "idempotency_key": "nightly",
    }
    first = choose(site, **given)
    drain(site, first)

    assert choose(site, **given) == first
    with pytest.raises(IdempotencyMismatch):
        choose(site, **given | {"where": "state=NEW and id > 0"})


def test_values_are_bound_and_never_part_of_the_statement(site: lockside.Session) -> None:
    tickets(site, 1)
    evil = "'; DROP TABLE ticket; --"

    assert site.count("ticket", f'title = "{evil}" or reference = "{evil}"') == 0
    assert site.count("ticket", "id > 0") == 1


def test_assignments_and_updates_take_filters_too(site: lockside.Session) -> None:
    ids = tasks(site, 3, assigned=False)

    assigned = site.assign("task", user="tomas", where="assigned_to_user is empty")
    drain(site, assigned._id)
    updated = site.update("task", None, {"remarks": "Hot"}, where="assigned_to_user=tomas")
    drain(site, updated._id)

    assert [site.row("task", each)["remarks"] for each in ids] == ["Hot"] * 3


def test_records_are_listed_by_a_filter(site: lockside.Session, three: dict[str, int]) -> None:
    found = site.records("ticket").list(where="priority in (LOW, HIGH)")

    assert [each["id"] for each in found] == [three["A"], three["B"]]
    assert [each["name"] for each in site.records("site").list(where="name contains yard")] == [
        "North Yard"
    ]


def test_who_may_not_view_rows_chooses_none_by_what_they_hold(
    site: lockside.Session, says: Sentences
) -> None:
    tickets(site, 1)
    query(site, "UPDATE role SET permissions = '{}' WHERE name = 'viewer'")
    site.act_as("demo", "victor")

    with pytest.raises(PermissionDenied, check=says):
        site.transition("ticket", to="OPEN", where="title contains Ticket", dry_run=True)
