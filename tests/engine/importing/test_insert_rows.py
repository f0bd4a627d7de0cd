"""New rows: all or none, once, and only what the table knows."""

from typing import Any

import pytest

import lockside
from domain.errors import InvalidInput
from models.base import kinds
from tests.engine.steps import at_once, outbox, query
from tests.factories import MAKERS


def test_a_row_begins_in_the_initial_state(site: lockside.Session) -> None:
    (row_id,) = site.import_work("ticket", [{"title": "Leak"}])

    row = site.row("ticket", row_id)
    assert (row["state"], row["version"], row["created_by"]) == ("NEW", 1, site.actor.person_id)


@pytest.mark.parametrize(
    ("kind", "state"), [(kind, each) for kind in MAKERS for each in kinds()[kind].machine.states]
)
def test_an_import_may_begin_anywhere(site: lockside.Session, kind: str, state: str) -> None:
    (row_id,) = MAKERS[kind](site, 1, state=state)

    assert site.row(kind, row_id)["state"] == state


def test_a_row_is_there_from_the_time_of_its_first_record_on(site: lockside.Session) -> None:
    (row_id,) = site.import_work("ticket", [{"title": "Leak"}])

    (recorded,) = outbox(site)
    row = site.row("ticket", row_id)
    assert {row[name] for name in ("created_at", "updated_at", "state_since")} == {
        recorded["occurred_at"]
    }


def test_ids_come_in_the_order_of_the_rows(site: lockside.Session) -> None:
    titles = [f"Ticket {n}" for n in range(1500)]

    ids = site.import_work("ticket", [{"title": each} for each in titles])

    found = query(site, "SELECT title FROM ticket ORDER BY id")
    assert (ids, [row["title"] for row in found]) == (sorted(ids), titles)


def test_importing_again_adds_nothing(site: lockside.Session) -> None:
    rows = [{"title": "Leak", "reference": f"INC{n}"} for n in range(3)]
    first = site.import_work("ticket", rows)

    again = site.import_work("ticket", rows)

    assert (len(first), again, site.states("ticket")) == (3, [], {"NEW": 3})


def test_importing_again_leaves_no_trace_of_an_import(site: lockside.Session) -> None:
    rows = [{"title": "Leak", "reference": "INC1"}]
    site.import_work("ticket", rows)
    before = query(site, "SELECT id FROM operation"), outbox(site)

    site.import_work("ticket", rows)

    assert (query(site, "SELECT id FROM operation"), outbox(site)) == before
    assert (len(before[0]), len(before[1])) == (1, 1)


def test_importing_more_adds_what_is_new(site: lockside.Session) -> None:
    site.import_work("ticket", [{"title": "Leak", "reference": "INC1"}])

    new = site.import_work(
        "ticket", [{"title": "Leak", "reference": f"INC{n}"} for n in (1, 2, 2, 3)]
    )

    assert len(new) == 2


def test_five_who_import_the_same_bring_it_in_once(site: lockside.Session) -> None:
    rows = [{"title": "Leak", "reference": f"INC{n}"} for n in range(50)]

    answers = at_once(*[lambda: site.import_work("ticket", rows)] * 5)

    assert sum(len(each) for each in answers) == 50  # type: ignore[arg-type, misc]


def test_another_tenant_has_references_of_its_own(site: lockside.Session) -> None:
    rows = [{"title": "Leak", "reference": "INC1"}]
    site.import_work("ticket", rows)
    site.act_as("other", "admin")

    assert len(site.import_work("ticket", rows)) == 1


def test_an_import_is_an_operation_that_says_who_brought_what(site: lockside.Session) -> None:
    site.import_work("ticket", [{"title": "Leak"}, {"title": "Noise"}])

    (row,) = query(site, "SELECT * FROM operation")
    told = {name: row[name] for name in ("verb", "state", "actor_id", "total", "reason", "queue")}
    assert told == {
        "verb": "import",
        "queue": "none",
        "state": "SUCCEEDED",
        "actor_id": site.actor.person_id,
        "total": 2,
        "reason": "import",
    }


def test_nothing_to_import_is_nothing(site: lockside.Session) -> None:
    assert site.import_work("ticket", []) == []
    assert (query(site, "SELECT id FROM operation"), outbox(site)) == ([], [])


WRONG: list[Any] = [
    ({"title": "Leak", "colour": "red"}, "colour"),
    ({"title": "Leak", "state": "NOWHERE"}, "state"),
    ({"title": "Leak", "state": "APPROVED"}, "state"),
    ({"title": "Leak", "state": None}, "state"),
    ({"title": "Leak", "id": 7}, "id"),
    ({"title": "Leak", "tenant_id": 7}, "tenant_id"),
    ({"title": "Leak", "version": 7}, "version"),
    ({"title": "Leak", "uuid": "x"}, "uuid"),
    ({"title": "Leak", "created_by": 7}, "created_by"),
    ({"title": "Leak", "created_at": "2020-01-01"}, "created_at"),
    ({"description": "no title"}, "title"),
    ({"title": None}, "title"),
]


@pytest.mark.parametrize(("row", "field"), WRONG)
def test_a_wrong_row_is_refused_by_the_name_of_its_column(
    site: lockside.Session, row: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        site.import_work("ticket", [row])

    assert refused.value.facts["field"] == field


@pytest.mark.parametrize("wrong", [{"title": None}, {"title": "Leak", "state": "NEW"}])
def test_one_wrong_row_keeps_all_out(site: lockside.Session, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        site.import_work("ticket", [{"title": "Leak"}, wrong])

    assert (site.states("ticket"), outbox(site)) == ({}, [])


def test_a_tenant_is_opened_once(site: lockside.Session) -> None:
    first = site.open_tenant("third", {"zoe": ["admin"]})
    site.act_as("third", "zoe")

    again = site.open_tenant("third", {"zoe": ["manager"]})

    held = query(
        site,
        "SELECT r.name FROM person_role p JOIN role r ON r.id = p.role_id"
        " WHERE p.tenant_id = :id ORDER BY 1",
        id=first,
    )
    assert (again, held) == (first, [{"name": "admin"}, {"name": "manager"}])


@pytest.mark.parametrize(
    "resource_type", ["vendor", "site", "team", "job", "ticket_category", "person"]
)
def test_a_name_is_added_once(site: lockside.Session, resource_type: str) -> None:
    first = site.add_named(resource_type, ["New", "New"])

    assert site.add_named(resource_type, ["New"]) == first
    assert list(first).count("New") == 1
