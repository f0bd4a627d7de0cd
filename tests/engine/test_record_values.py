"""The values of records: names for ids, and what is refused by the name of its field."""

from datetime import date
from typing import Any

import pytest

import lockside
from domain.errors import InvalidInput, NotFound
from tests.engine.nouns import Values, days, name
from tests.engine.steps import query
from tests.engine.works import DAY


def test_references_may_be_names(site: lockside.Site) -> None:
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


def test_work_is_named_by_its_reference(site: lockside.Site) -> None:
    tour = site.records("task").create(title="Tour", reference="T-1")

    checkpoint = site.records("task").create(title="Gate", parent="T-1")

    assert checkpoint["parent_id"] == tour["id"]


def test_a_name_that_nobody_has_is_not_found(site: lockside.Site) -> None:
    with pytest.raises(NotFound) as told:
        site.records("ticket").create(title="Stuck", site="Nowhere")

    assert told.value.facts == {"what": "site", "got": "Nowhere"}
    assert site.states("ticket") == {}


WRONG: list[Any] = [
    ("site", {"name": "Half a fence", "latitude": 1.0}, "radius_m"),
    ("site", {"name": "Pole", "latitude": 91, "longitude": 0, "radius_m": 5}, "latitude"),
    ("site", {"name": "Point", "latitude": 9, "longitude": 0, "radius_m": 0}, "radius_m"),
    ("site", {}, "name"),
    ("payroll_period", {"name": "?", "starts_on": DAY, "ends_on": date(2026, 1, 1)}, "ends_on"),
    ("payroll_period", {"name": "?", "starts_on": DAY}, "ends_on"),
    ("job", {"name": "?", "grace_minutes": -1}, "grace_minutes"),
    ("job", {"name": "?", "asks_for": [7]}, "asks_for"),
    ("role", {"name": "?", "permissions": {"a": 1}}, "permissions"),
    ("ticket", {"title": "?", "priority": "URGENT"}, "priority"),
    ("ticket", {"title": "?", "state": "OPEN"}, "state"),
    ("ticket", {"title": "?", "tenant_id": 1}, "tenant_id"),
    ("ticket", {"title": "?", "version": 7}, "version"),
    ("subscription", {"person": "asha", "kind": "nonsense"}, "kind"),
    ("subscription", {"person": "asha", "kind": "ticket", "target_state": "GONE"}, "target_state"),
]


@pytest.mark.parametrize(("noun", "values", "field"), WRONG)
def test_a_wrong_record_is_refused_by_the_name_of_its_field(
    site: lockside.Site, noun: str, values: Values, field: str
) -> None:
    with pytest.raises(InvalidInput) as told:
        site.records(noun).create(**values)

    assert told.value.facts["field"] == field
    assert query(site, "SELECT id FROM operation") == []


def test_checks_hold_of_old_and_new_values_together(site: lockside.Site) -> None:
    made = site.records("site").create(name="A", latitude=1, longitude=2, radius_m=3)

    with pytest.raises(InvalidInput) as told:
        site.records("site").update(made["id"], latitude=None)

    assert told.value.facts["field"] == "radius_m"
    assert site.records("site").update(made["id"], radius_m=7)["radius_m"] == 7


def test_a_day_is_paid_in_one_period(site: lockside.Site) -> None:
    values = days(site)
    site.records("payroll_period").create(**values)

    with pytest.raises(InvalidInput):
        site.records("payroll_period").create(**values | name(site))


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_a_moment_that_could_not_be_read_again_is_refused(site: lockside.Site, moment: str) -> None:
    with pytest.raises(InvalidInput):
        site.records("task").create(title="Old", due_at=moment)
