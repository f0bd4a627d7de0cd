"""What open work names stays, and nobody takes away what they act by."""

from collections.abc import Callable
from typing import Any

import pytest

import lockside
from domain.errors import RuleRefused
from tests.engine.steps import query
from tests.factories import attendance, tasks, tickets, work_orders


def refused(site: lockside.Session, resource_type: str, row_id: int) -> tuple[str, str]:
    """Return the code and the sentence against a deletion."""
    with pytest.raises(RuleRefused) as told:
        site.records(resource_type).delete(row_id)
    return told.value.facts["reasons"][0]["code"], str(told.value)


def own(site: lockside.Session, resource_type: str) -> int:
    """Return the id of the actor, of a role that they hold, or of their holding it."""
    mine = {"person": "p.id", "person_role": "h.id", "role": "r.id"}[resource_type]
    (row, *_) = query(
        site,
        f"SELECT {mine} AS id FROM person p JOIN person_role h ON h.person_id = p.id"
        " JOIN role r ON r.id = h.role_id WHERE p.id = :id AND r.name = 'admin'",
        id=site.actor.person_id,
    )
    return int(row["id"])


each_access = pytest.mark.parametrize("resource_type", ["person", "person_role", "role"])


@each_access
def test_nobody_deletes_by_what_they_act_themselves(
    site: lockside.Session, resource_type: str
) -> None:
    code, sentence = refused(site, resource_type, own(site, resource_type))

    assert code == "own_access"
    assert "ask another administrator" in sentence
    assert site.records(resource_type).list() != []


@each_access
def test_another_administrator_deletes_it(site: lockside.Session, resource_type: str) -> None:
    row_id = own(site, resource_type)
    role = site.records("role").create(name="second", permissions=f"{resource_type}.delete")
    site.records("person").create(name="zoe")
    site.records("person_role").create(person="zoe", role=role["id"])
    site.act_as("demo", "zoe")

    assert site.records(resource_type).delete(row_id) == 2


def of(resource_type: str, row: Callable[[lockside.Session, int], Any], told: str) -> Any:
    return pytest.param(resource_type, row, told, id=f"{resource_type} of {told}")


NAMED = [
    of("vendor", lambda site, row: work_orders(site, 3, vendor_id=row), "3 open work orders name"),
    of("site", lambda site, row: tickets(site, 1, site_id=row), "1 open ticket names"),
    of("person", lambda site, row: tickets(site, 2, assigned_to_user=row), "2 open tickets name"),
    of("team", lambda site, row: tasks(site, 2, assigned_to_team=row), "2 open tasks name"),
    of("job", lambda site, row: tasks(site, 1, job_id=row), "1 open task names"),
    of("ticket_category", lambda site, row: tickets(site, 1, category_id=row), "1 open ticket "),
    of("person", lambda site, row: attendance(site, 1, person_id=row), "1 open attendance names"),
]


@pytest.mark.parametrize(("resource_type", "name_it", "told"), NAMED)
def test_what_open_work_names_is_not_deleted(
    site: lockside.Session,
    resource_type: str,
    name_it: Callable[[lockside.Session, int], Any],
    told: str,
) -> None:
    row_id = site.records(resource_type).create(name="New")["id"]
    name_it(site, row_id)

    code, sentence = refused(site, resource_type, row_id)

    assert (code, sentence.startswith(told)) == ("record_in_use", True)
    assert site.records(resource_type).get(row_id)["version"] == 1


def test_all_work_that_names_a_record_is_told(site: lockside.Session) -> None:
    row_id = site.records("site").create(name="Tower")["id"]
    tickets(site, 2, site_id=row_id)
    work_orders(site, 1, site_id=row_id)

    assert refused(site, "site", row_id)[1] == "2 open tickets and 1 open work order name it"


def test_a_tour_with_checkpoints_is_not_deleted(site: lockside.Session) -> None:
    (tour,) = tasks(site, 1)
    tasks(site, 2, parent_id=tour)

    assert refused(site, "task", tour) == ("record_in_use", "2 open tasks name it")


def test_work_that_is_over_or_deleted_or_anothers_keeps_nothing(site: lockside.Session) -> None:
    vendor = site.records("vendor").create(name="New")["id"]
    work_orders(site, 2, vendor_id=vendor, state="CLOSED")
    (gone,) = work_orders(site, 1, vendor_id=vendor)
    site.records("work_order").delete(gone)
    work_orders(site, 1)

    assert site.records("vendor").delete(vendor) == 2
