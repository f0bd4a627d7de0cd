"""What the database refuses is told by field and value, never by the name of its rule."""

from datetime import date

import pytest
from sqlalchemy import text

import lockside
from domain.errors import InvalidInput
from engine.records.inline_operation import inline_operation
from tests.engine.resource_types import make
from tests.factories import tasks
from tests.sentences import Sentences


def test_a_reference_that_another_row_has_is_told(site: lockside.Session) -> None:
    site.records("ticket").create(title="Leak", reference="TK-000004, b")

    with pytest.raises(InvalidInput) as told:
        site.records("ticket").create(title="Leak", reference="TK-000004, b")

    assert told.value.facts == {
        "field": "reference",
        "got": "TK-000004, b",
        "expected": "one that no other ticket has",
    }


def test_a_name_that_another_record_has_is_told(site: lockside.Session, says: Sentences) -> None:
    vendor = site.records("vendor").create(name="New")["id"]

    with pytest.raises(InvalidInput, check=says):
        site.records("vendor").update(vendor, name="Acme Lifts")


def test_a_link_that_is_there_is_told_by_both_of_its_ends(site: lockside.Session) -> None:
    made = make(site, "team_member")

    with pytest.raises(InvalidInput) as told:
        site.records("team_member").create(team_id=made["team_id"], person_id=made["person_id"])

    assert told.value.facts == {
        "field": "team_id, person_id",
        "got": f"{made['team_id']}, {made['person_id']}",
        "expected": "one that no other team member has",
    }


def test_days_that_are_paid_already_are_told(site: lockside.Session) -> None:
    periods = site.records("payroll_period")
    periods.create(name="November", starts_on=date(2026, 11, 1), ends_on=date(2026, 11, 30))

    with pytest.raises(InvalidInput) as told:
        periods.create(name="Week 48", starts_on=date(2026, 11, 23), ends_on=date(2026, 11, 29))

    assert told.value.facts == {
        "field": "starts_on, ends_on",
        "got": "2026-11-23 to 2026-11-29",
        "expected": "what overlaps with no other payroll period: 2026-11-01 to 2026-11-30 overlaps",
    }


def test_a_check_is_told_as_a_sentence(site: lockside.Session) -> None:
    (row_id,) = tasks(site, 1)
    itself = text("UPDATE field_task SET parent_id = id, version = version + 1 WHERE id = :id")

    with (
        pytest.raises(InvalidInput) as told,
        inline_operation(site.platform, site.actor, kind="task", verb="update_record") as running,
    ):
        running.db.execute(itself, {"id": row_id})

    assert told.value.facts["field"] == "parent_id"
    assert told.value.facts["expected"] == "what holds of every task: no own parent"
