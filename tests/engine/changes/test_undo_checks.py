"""What comes back by an undo is checked as any other edit: named records, tours, warnings."""

from typing import Any

import lockside
from engine.audit.writer import write_records
from engine.operations.run_chunk import run_chunk
from engine.ports.locks import row_key
from tests.checker import check_invariants
from tests.engine.steps import drain, query
from tests.engine.works import ELSEWHERE, OFFICE, attended, do, why
from tests.factories import tasks, tickets, work_orders


def changed(
    site: lockside.Session, kind: str, ids: list[int], values: dict[str, Any], **more: Any
) -> lockside.Operation:
    """Update rows; return the operation, which has ended."""
    asked = site.update(kind, ids, values, atomic=False, **more)
    drain(site, asked._id)
    return asked


def take_back(site: lockside.Session, asked: lockside.Operation) -> dict[str, Any]:
    """Undo an operation; return the result."""
    return drain(site, asked.undo()._id)


def parents(site: lockside.Session, ids: list[int]) -> list[Any]:
    """Return the tours of tasks."""
    return [site.row("task", each)["parent_id"] for each in ids]


def test_a_record_that_was_deleted_does_not_come_back(site: lockside.Session) -> None:
    gone, kept = work_orders(site, 2), work_orders(site, 1, vendor=False)
    vendors = site.add_named("vendor", ["Acme Lifts", "Bright Clean"])
    asked = changed(site, "work_order", gone + kept, {"vendor": "Bright Clean"})
    site.records("vendor").delete(vendors["Acme Lifts"])

    result = take_back(site, asked)

    assert result["failure_codes"] == {"not_found": 2}
    assert result["successful_ids"] == [str(each) for each in kept]
    found = [site.row("work_order", each) for each in gone + kept]
    assert [each["vendor_id"] for each in found] == [vendors["Bright Clean"]] * 2 + [None]
    assert [each["version"] for each in found] == [2, 2, 3]
    check_invariants(site)


def test_people_and_teams_that_were_deleted_do_not_come_back(site: lockside.Session) -> None:
    team = site.add_named("team", ["Plumbing"])["Plumbing"]
    person = site.records("person").create(name="nina")["id"]
    ids = [
        *tickets(site, 1, assigned_to_user="nina"),
        *tickets(site, 1, assigned_to_user="dora", assigned_to_team="Plumbing"),
        *tickets(site, 1, assigned_to_user="dora"),
    ]
    other = site.add_named("team", ["Lifts"])["Lifts"]
    asked = site.assign("ticket", ids, user="tomas", team=other)
    drain(site, asked._id)
    site.records("person").delete(person)
    site.records("team").delete(team)

    result = take_back(site, asked)

    assert (why(result), result["failed_items"]) == (["not_found"], 2)
    assert result["failure_details"][str(ids[0])] == f"No person {person}"
    assert result["failure_details"][str(ids[1])] == f"No team {team}"
    assert site.row("ticket", ids[2])["assigned_to_team"] is None


def test_a_tour_that_was_deleted_does_not_come_back(site: lockside.Session) -> None:
    (tour,) = tasks(site, 1)
    ids = tasks(site, 2, parent_id=tour)
    asked = changed(site, "task", ids, {"parent_id": None})
    site.records("task").delete(tour)

    result = take_back(site, asked)

    assert result["failure_codes"] == {"not_found": 2}
    assert parents(site, ids) == [None, None]


def test_a_tour_that_became_a_checkpoint_takes_none_back(site: lockside.Session) -> None:
    tour, other, stays = tasks(site, 3)
    ids = [*tasks(site, 2, parent_id=tour), *tasks(site, 1, parent_id=stays)]
    asked = changed(site, "task", ids, {"parent_id": None})
    site.records("task").update(tour, parent_id=other)

    result = take_back(site, asked)

    write_records(site.platform)
    assert result["failure_codes"] == {"tour_nested": 2}
    assert parents(site, ids) == [None, None, stays]
    recorded = query(site, "SELECT entity_id FROM audit_log WHERE error_code = 'tour_nested'")
    assert sorted(each["entity_id"] for each in recorded) == ids[:2]
    check_invariants(site)


def test_what_has_checkpoints_now_does_not_become_one_again(site: lockside.Session) -> None:
    (tour,) = tasks(site, 1)
    ids = tasks(site, 2, parent_id=tour)
    asked = changed(site, "task", ids, {"parent_id": None})
    tasks(site, 1, parent_id=ids[0])

    result = take_back(site, asked)

    assert result["failure_codes"] == {"tour_nested": 1}
    assert parents(site, ids) == [None, tour]


def test_two_that_come_back_together_make_no_tour_within_a_tour(site: lockside.Session) -> None:
    checkpoint, inner, outer = tasks(site, 3)
    site.records("task").update(checkpoint, parent_id=inner)
    both = [checkpoint, inner]
    asked = do(site, "task", both, verb="update", values={"parent_id": None}, atomic=False)
    with site.platform.locks.hold(
        [row_key(site.actor.tenant_id, "task", inner)],
        claim="theirs",
        operation="theirs",
        lease_s=60,
        all_or_none=False,
    ):
        run_chunk(site.platform, asked, 0)
    site.records("task").update(inner, parent_id=outer)
    drain(site, asked)

    result = take_back(site, site.operation(str(asked)))

    assert result["failure_codes"] == {"tour_nested": 1}
    assert parents(site, both) == [None, outer]


def test_a_warning_that_no_longer_holds_goes_with_an_undo_too(site: lockside.Session) -> None:
    office = site.records("site").create(name="Office", **OFFICE)["id"]
    yard = site.records("site").create(name="Yard", **OFFICE)["id"]
    row_id = attended(site, site_id=office, **ELSEWHERE)
    asked = changed(site, "attendance", [row_id], {"site_id": yard})
    assert len(query(site, "SELECT id FROM work_warning")) == 1
    site.records("site").update(office, latitude=28.6139, longitude=77.2090)

    take_back(site, asked)

    assert site.row("attendance", row_id)["site_id"] == office
    assert query(site, "SELECT id FROM work_warning") == []
