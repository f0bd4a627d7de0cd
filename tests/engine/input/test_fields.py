"""The values of records: names for ids, and what is refused by the name of its field."""

from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Any

import pytest

import lockside
from domain.errors import InvalidInput, NotFound
from tests.engine.resource_types import Values, days, name
from tests.engine.steps import drain, query
from tests.engine.works import DAY, do
from tests.factories import work_orders
from tests.sentences import Sentences


def test_references_may_be_names(site: lockside.Session) -> None:
    category = site.add_named("ticket_category", ["Elevator"])["Elevator"]
    tower = site.records("site").create(name="Riverside Tower")["id"]
    team = site.add_named("team", ["Lifts"])["Lifts"]

    made = site.records("ticket").create(
        title="Stuck", category="Elevator", site="Riverside Tower", assigned_to_team="Lifts"
    )
    changed = site.records("ticket").update(made["id"], category_id=None, assigned_to_user="asha")

    assert (made["category_id"], made["site_id"], made["assigned_to_team"]) == (
        *(category, tower),
        team,
    )
    assert changed["category_id"] is None


def test_work_is_named_by_its_reference(site: lockside.Session) -> None:
    tour = site.records("task").create(title="Tour", reference="T-1")

    checkpoint = site.records("task").create(title="Gate", parent="T-1")

    assert checkpoint["parent_id"] == tour["id"]


def test_a_name_that_nobody_has_is_not_found(site: lockside.Session) -> None:
    with pytest.raises(NotFound) as told:
        site.records("ticket").create(title="Stuck", site="Nowhere")

    assert told.value.facts == {"what": "site", "got": "Nowhere"}
    assert site.states("ticket") == {}


def written(site: lockside.Session, vendor: Any) -> dict[str, Any]:
    (row_id,) = work_orders(site, 1)
    drain(site, do(site, "work_order", row_id, verb="update", values={"vendor": vendor}))
    return site.row("work_order", row_id)


Ask = Callable[[lockside.Session, Any], Any]
ASKED: list[Any] = [
    pytest.param(lambda site, named: site.records("work_order").create(title="A", vendor=named),
                 id="create"),
    pytest.param(lambda site, named: site.records("work_order").update(
                     work_orders(site, 1)[0], vendor=named), id="update"),
    pytest.param(written, id="operation"),
    pytest.param(lambda site, named: site.row("work_order", site.import_work(
                     "work_order", [{"title": "A", "vendor": named}])[0]), id="import"),
]  # fmt: skip
each_way = pytest.mark.parametrize("ask", ASKED)


@each_way
def test_a_name_of_digits_is_found_where_no_record_has_that_id(
    site: lockside.Session, ask: Ask
) -> None:
    vendor = site.records("vendor").create(name="40417")["id"]

    assert ask(site, "40417")["vendor_id"] == vendor


@each_way
def test_what_could_be_two_records_is_refused_by_every_write(
    site: lockside.Session, ask: Ask, says: Sentences
) -> None:
    first = site.add_named("vendor", [])["Acme Lifts"]
    second = site.records("vendor").create(name=str(first))["id"]

    with pytest.raises(InvalidInput, check=says) as told:
        ask(site, str(first))

    assert told.value.facts["field"] == "vendor_id"
    assert ask(site, "Acme Lifts")["vendor_id"] == first
    assert ask(site, str(second))["vendor_id"] == second


@each_way
def test_a_number_is_an_id_whatever_others_are_called(site: lockside.Session, ask: Ask) -> None:
    first = site.add_named("vendor", [])["Acme Lifts"]
    site.records("vendor").create(name=str(first))

    assert ask(site, first)["vendor_id"] == first


@pytest.mark.parametrize("kind", ["work-order", "work_order", "WORK-ORDER"])
def test_a_dash_in_a_word_is_taken_for_an_underscore(site: lockside.Session, kind: str) -> None:
    made = site.records("subscription").create(person="asha", kind=kind)

    assert made["kind"] == "work_order"


BLANK = " \t\n"


def test_blank_text_is_nothing(site: lockside.Session, says: Sentences) -> None:
    tickets = site.records("ticket")
    row_id = tickets.create(title="Leak", description=BLANK)["id"]

    for ask in (
        lambda: tickets.create(title=BLANK),
        lambda: tickets.update(row_id, title=BLANK),
        lambda: do(site, "ticket", row_id, verb="update", values={"title": BLANK}),
        lambda: site.import_work("ticket", [{"title": BLANK}]),
        lambda: site.import_work("ticket", [{"title": each} for each in (BLANK, None)]),
    ):
        with pytest.raises(InvalidInput, check=says):
            ask()
    assert tickets.get(row_id)["description"] is None


def test_a_reference_has_no_blanks_around_it(site: lockside.Session) -> None:
    tour = site.records("task").create(title=" Tour ", reference=" T-1 ")
    site.import_work("task", [{"title": "Door", "reference": " D-1", "parent": "T-1 "}])
    checkpoint = site.records("task").create(title="Gate", parent=" T-1")

    assert (tour["title"], tour["reference"]) == (" Tour ", "T-1")
    assert site.ids_by_reference("task", ["D-1"]) != {}
    assert checkpoint["parent_id"] == tour["id"]


UNKNOWN = ["due", "sit", "colour", "version", "tenant"]


@pytest.mark.parametrize("field", UNKNOWN)
def test_an_unknown_field_is_told_with_those_that_are_close(
    site: lockside.Session, field: str, says: Sentences
) -> None:
    row_id = site.records("task").create(title="Pump")["id"]

    for ask in (site.records("task").create, partial(site.records("task").update, row_id)):
        with pytest.raises(InvalidInput, check=says):
            ask(**{"title": "Pump", field: "x"})


WRONG: list[Any] = [
    ("site", {"name": "Half a fence", "latitude": 1.0}, "radius_m"),
    ("site", {"name": "Pole", "latitude": 91, "longitude": 0, "radius_m": 5}, "latitude"),
    ("site", {"name": "Point", "latitude": 9, "longitude": 0, "radius_m": 0}, "radius_m"),
    ("site", {}, "name"),
    ("payroll_period", {"name": "?", "starts_on": DAY, "ends_on": date(2026, 1, 1)}, "ends_on"),
    ("payroll_period", {"name": "?", "starts_on": DAY}, "ends_on"),
    ("calendar", {"name": "?"}, "zone"),
    ("job", {"name": "?", "grace_minutes": -1}, "grace_minutes"),
    ("job", {"name": "?", "asks_for": [7]}, "asks_for"),
    ("role", {"name": "?", "permissions": {"a": 1}}, "permissions"),
    ("role", {"name": "?", "permissions": "ticket.open,ticket.opeen"}, "permissions"),
    ("ticket", {"title": "?", "priority": "URGENT"}, "priority"),
    ("ticket", {"title": "?", "state": "OPEN"}, "state"),
    ("ticket", {"title": "?", "tenant_id": 1}, "tenant_id"),
    ("ticket", {"title": "?", "version": 7}, "version"),
    ("subscription", {"person": "asha", "kind": "nonsense"}, "kind"),
    ("subscription", {"person": "asha", "kind": "ticket", "target_state": "GONE"}, "target_state"),
]


@pytest.mark.parametrize(("resource_type", "values", "field"), WRONG)
def test_a_wrong_record_is_refused_by_the_name_of_its_field(
    site: lockside.Session, resource_type: str, values: Values, field: str
) -> None:
    with pytest.raises(InvalidInput) as told:
        site.records(resource_type).create(**values)

    assert told.value.facts["field"] == field
    assert query(site, "SELECT id FROM operation") == []


def test_checks_hold_of_old_and_new_values_together(site: lockside.Session) -> None:
    made = site.records("site").create(name="A", latitude=1, longitude=2, radius_m=3)

    with pytest.raises(InvalidInput) as told:
        site.records("site").update(made["id"], latitude=None)

    assert told.value.facts["field"] == "radius_m"
    assert site.records("site").update(made["id"], radius_m=7)["radius_m"] == 7


def test_a_day_is_paid_in_one_period(site: lockside.Session) -> None:
    values = days(site)
    site.records("payroll_period").create(**values)

    with pytest.raises(InvalidInput):
        site.records("payroll_period").create(**values | name(site))


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_a_moment_that_could_not_be_read_again_is_refused(
    site: lockside.Session, moment: str
) -> None:
    with pytest.raises(InvalidInput):
        site.records("task").create(title="Old", due_at=moment)
