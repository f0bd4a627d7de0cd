"""Rows and their past: what is there, by state and reference, and how each came to be so."""

from typing import Any

import pytest

import lockside
from domain.errors import InvalidInput, NotFound
from engine.audit.writer import write_records
from models.base import kinds
from tests.engine.steps import ask, drain
from tests.factories import MAKERS, tickets, work_orders
from tests.sentences import Sentences


def test_a_timeline_is_told_oldest_first_refusals_included(site: lockside.Session) -> None:
    (row_id,) = work_orders(site, 1, state="DRAFT", vendor=False)
    for state in ("SUBMITTED", "APPROVED", "CANCELLED"):
        drain(site, ask(site, [row_id], target=state, comments="Because"))
    write_records(site.platform)

    told = site.timeline("work_order", row_id)

    assert [
        (each["event_type"], each["to_state"], each["version"], each["success"]) for each in told
    ] == [
        ("CREATED", None, 1, True),
        ("STATE_CHANGED", "SUBMITTED", 2, True),
        ("STATE_CHANGED", "APPROVED", 2, False),
        ("STATE_CHANGED", "CANCELLED", 3, True),
    ]


def test_a_timeline_is_that_of_one_row(site: lockside.Session) -> None:
    ids = tickets(site, 3)
    drain(site, ask(site, ids, kind="ticket", target="OPEN"))
    write_records(site.platform)

    told = site.timeline("ticket", ids[1])

    assert [(each["event_type"], each["entity_id"]) for each in told] == [
        ("CREATED", ids[1]),
        ("STATE_CHANGED", ids[1]),
    ]


def test_a_ticket_and_a_work_order_of_one_number_have_their_own_timelines(
    site: lockside.Session,
) -> None:
    (ticket,), (work_order,) = tickets(site, 1), work_orders(site, 1)
    drain(site, ask(site, [ticket], kind="ticket", target="OPEN"))
    write_records(site.platform)

    told = {
        kind: [(each["kind"], each["event_type"]) for each in site.timeline(kind, work_order)]
        for kind in ("work_order", "ticket")
    }
    assert ticket == work_order
    assert told == {
        "work_order": [("work_order", "CREATED")],
        "ticket": [("ticket", "CREATED"), ("ticket", "STATE_CHANGED")],
    }


def test_replaying_a_timeline_gives_the_present_state(site: lockside.Session) -> None:
    (row_id,) = tickets(site, 1)
    for state in ("OPEN", "INPROGRESS", "ONHOLD", "RESOLVED", "INPROGRESS"):
        drain(site, ask(site, [row_id], kind="ticket", target=state, comments="Next"))
    write_records(site.platform)

    created, *moved = site.timeline("ticket", row_id)

    state = created["changes"]["state"]["after"]
    for each in moved:
        assert each["from_state"] == state
        state = each["to_state"]
    assert (created["event_type"], state) == ("CREATED", site.row("ticket", row_id)["state"])


def test_replaying_the_changes_of_a_timeline_gives_the_present_values(
    site: lockside.Session,
) -> None:
    (row_id,) = tickets(site, 1, priority="LOW", description="Drips")
    site.records("ticket").update(row_id, priority="HIGH")
    drain(site, ask(site, [row_id], kind="ticket", target="OPEN"))
    wanted = {"verb": "update", "target": None, "values": {"description": None, "title": "Leak"}}
    drain(site, ask(site, [row_id], kind="ticket", **wanted))
    write_records(site.platform)
    values: dict[str, Any] = {}

    for each in site.timeline("ticket", row_id):
        for name, change in (each["changes"] or {}).items():
            assert change["before"] == values.get(name)
            values[name] = change["after"]

    row = site.row("ticket", row_id)
    assert {name: row[name] for name in ("title", "description", "priority")} == {
        name: values[name] for name in ("title", "description", "priority")
    }
    assert (values["title"], row["version"]) == ("Leak", 4)


def test_rows_are_counted_by_state(site: lockside.Session) -> None:
    tickets(site, 3)
    tickets(site, 2, state="OPEN")

    assert site.states("ticket") == {"NEW": 3, "OPEN": 2}


def test_ids_are_listed_in_order_by_state(site: lockside.Session) -> None:
    tickets(site, 3)
    opened = tickets(site, 2, state="OPEN")

    assert (site.ids("ticket", state="open"), site.ids("ticket", limit=1)) == (opened, [1])


def test_rows_are_found_by_the_reference_of_another_system(site: lockside.Session) -> None:
    rows = [{"title": "Leak", "reference": f"INC{n}"} for n in range(3)]
    ids = site.import_work("ticket", rows)

    found = site.ids_by_reference("ticket", ["INC0", "INC2", "INC9"])

    assert found == {"INC0": ids[0], "INC2": ids[2]}


def test_a_row_is_shown_with_all_its_columns(site: lockside.Session) -> None:
    (row_id,) = tickets(site, 1)

    row = site.row("ticket", row_id)

    common = {"id", "uuid", "reference", "state", "version", "state_since"}
    audit = {"created_at", "created_by", "updated_at", "updated_by"}
    own = {"title", "description", "priority", "category_id", "site_id", "tags", "task_id"}
    assigned = {"assigned_to_user", "assigned_to_team"}
    assert set(row) == common | audit | own | assigned | {"warnings"}


@pytest.mark.parametrize("kind", MAKERS)
def test_a_row_of_every_kind_is_shown_as_it_was_brought_in(
    site: lockside.Session, kind: str
) -> None:
    (row_id,) = MAKERS[kind](site, 1)

    row = site.row(kind, row_id)

    model = kinds()[kind]
    shown = set(model.__table__.columns.keys()) - {"tenant_id", "deleted_at"}
    assert shown <= set(row)
    assert (row["version"], row["warnings"]) == (1, [])


def test_a_change_is_signed_by_whoever_made_it(site: lockside.Session) -> None:
    (row_id,) = tickets(site, 1)
    created_by = site.actor.person_id
    site.act_as("demo", "asha")
    drain(site, ask(site, [row_id], kind="ticket", target="OPEN"))

    row = site.row("ticket", row_id)

    assert (row["created_by"], row["updated_by"]) == (created_by, site.actor.person_id)
    assert row["updated_at"] == row["state_since"] > row["created_at"]


def test_a_row_that_is_not_there_is_not_found(site: lockside.Session, says: Sentences) -> None:
    with pytest.raises(NotFound, check=says):
        site.row("ticket", 404)


QUESTIONS: list[Any] = [
    lambda site: site.row("lift", 1),
    lambda site: site.ids("lift"),
    lambda site: site.states("lift"),
    lambda site: site.timeline("lift", 1),
    lambda site: site.ids_by_reference("lift", ["x"]),
    lambda site: site.ids("ticket", state="APPROVED"),
]


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_kind_or_state_that_is_not_known_is_named(
    site: lockside.Session, question: Any, says: Sentences
) -> None:
    with pytest.raises(InvalidInput, check=says):
        question(site)


@pytest.mark.parametrize(("tenant", "person"), [("nowhere", "admin"), ("demo", "nobody")])
def test_who_is_not_known_may_not_act(site: lockside.Session, tenant: str, person: str) -> None:
    with pytest.raises(NotFound):
        site.act_as(tenant, person)
