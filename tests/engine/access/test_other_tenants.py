"""Whoever names what is another tenant's is told of nothing there, and is on record for it."""

import io
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

import lockside
from domain.errors import NotFound, PermissionDenied
from tests.checker import check_invariants
from tests.engine.steps import ask, drain, outbox, query
from tests.engine.works import NOON, clock_from, denials, do
from tests.factories import tickets, work_orders


@pytest.fixture
def foreign(site: lockside.Session) -> dict[str, Any]:
    """Make a ticket, a vendor and an operation of another tenant; act at noon in one's own."""
    site.platform = clock_from(site, NOON)
    site.act_as("other", "admin")
    (ticket,) = tickets(site, 1)
    vendor = site.records("vendor").create(name="Theirs")["id"]
    told = {"ticket": ticket, "vendor": vendor, "operation": ask(site, work_orders(site, 1))}
    site.act_as("demo", "admin")
    denials(site)
    return told


NAMED: list[Any] = [
    ("view", "ticket", lambda site, named: site.row("ticket", named)),
    ("view", "ticket", lambda site, named: site.explain("ticket", named)),
    ("update", "ticket", lambda site, named: site.records("ticket").update(named, title="Mine")),
    ("delete", "ticket", lambda site, named: site.records("ticket").delete(named)),
    (
        "create",
        "vendor",
        lambda site, named: site.records("work_order").create(title="A", vendor_id=named),
    ),
    (
        "create",
        "vendor",
        lambda site, named: site.records("work_order").create(title="A", vendor=str(named)),
    ),
    (
        "create",
        "vendor",
        lambda site, named: site.import_work("work_order", [{"title": "A", "vendor_id": named}]),
    ),
    (
        "update",
        "vendor",
        lambda site, named: site.update("work_order", [1], {"vendor_id": named}),
    ),
    ("view", "operation", lambda site, named: site.operation(named).show()),
    ("cancel", "operation", lambda site, named: site.operation(named).cancel()),
    ("undo", "operation", lambda site, named: site.operation(named).undo()),
]


@pytest.mark.parametrize(("action", "resource_type", "question"), NAMED)
def test_whatever_names_anothers_is_not_found_and_a_suspicious_denial(
    site: lockside.Session,
    foreign: dict[str, Any],
    action: str,
    resource_type: str,
    question: Callable[[lockside.Session, Any], object],
) -> None:
    with pytest.raises(NotFound):
        question(site, foreign[resource_type])

    (denial,) = denials(site)
    assert (denial["kind"], denial["attempted_action"]) == (resource_type, action)
    assert (denial["is_suspicious"], denial["security_flags"]) == (True, ["foreign_ids"])
    assert denial["required_permissions"] == []
    assert denial["actor_id"] == site.actor.person_id
    if resource_type == "operation":
        assert (denial["correlation_id"], denial["entity_ids"]) == (foreign[resource_type], [])
    else:
        assert denial["entity_ids"] == [foreign[resource_type]]


def test_one_denial_names_all_that_a_file_names_of_anothers(
    site: lockside.Session, foreign: dict[str, Any]
) -> None:
    lines = [f"A,{foreign['vendor']}"] * 3 + [f"B,{10**9}", "C,Acme Lifts"]

    told = site.load(
        "work_order", io.BytesIO("\n".join(["title,vendor", *lines]).encode()), form="csv"
    )

    (denial,) = denials(site)
    assert (told.new, told.bad) == (1, 4)
    assert (denial["kind"], denial["attempted_action"]) == ("vendor", "import")
    assert denial["entity_ids"] == [foreign["vendor"]]


@pytest.mark.usefixtures("foreign")
def test_what_is_nobodys_is_no_denial(site: lockside.Session) -> None:
    questions: list[Callable[[], object]] = [
        lambda: site.row("ticket", 10**9),
        lambda: site.records("ticket").update(10**9, title="Mine"),
        lambda: site.operation(UUID(int=7)).show(),
    ]

    for question in questions:
        with pytest.raises(NotFound):
            question()
    drain(site, do(site, "ticket", [10**9], target="OPEN"))

    assert denials(site) == []


CHANGES: list[dict[str, Any]] = [
    {"target": "OPEN"},
    {"target": "OPEN", "dry_run": True},
    {"target": "OPEN", "atomic": False},
    {"verb": "update", "values": {"priority": "HIGH"}},
    {"verb": "assign", "values": {"assigned_to_user": "asha"}},
]


@pytest.mark.parametrize("change", CHANGES)
def test_one_denial_names_all_the_rows_of_a_chunk_that_are_anothers(
    site: lockside.Session, foreign: dict[str, Any], change: dict[str, Any]
) -> None:
    (mine,) = tickets(site, 1)
    operation_id = do(site, "ticket", [mine, foreign["ticket"], 10**9], **change)

    drain(site, operation_id)

    (denial,) = denials(site)
    assert (denial["entity_ids"], denial["items"]) == ([foreign["ticket"]], 1)
    assert denial["attempted_action"] == change.get("verb", "transition")
    assert denial["correlation_id"] == operation_id
    assert denial["is_suspicious"]


def test_the_system_is_on_record_as_well(site: lockside.Session, foreign: dict[str, Any]) -> None:
    site.act_as("demo", None)

    drain(site, do(site, "ticket", foreign["ticket"], target="OPEN"))

    (denial,) = denials(site)
    assert (denial["actor_id"], denial["security_flags"]) == (None, ["foreign_ids"])


def test_who_may_not_anyway_is_told_the_same_and_weighed_more(
    site: lockside.Session, foreign: dict[str, Any]
) -> None:
    (mine,) = tickets(site, 1)
    site.act_as("demo", "victor")
    told = []

    for row_id in (mine, foreign["ticket"]):
        with pytest.raises(PermissionDenied) as refused:
            site.records("ticket").delete(row_id)
        told.append(refused.value.to_dict())

    assert told[0] == told[1]
    assert [each["security_flags"] for each in denials(site)] == [
        None,
        ["foreign_ids", "repeated"],
    ]


def test_a_part_is_not_taken_for_another_tenants_whole(site: lockside.Session) -> None:
    site.act_as("other", "admin")
    (theirs,) = work_orders(site, 1)
    site.act_as("demo", "victor")

    with pytest.raises(PermissionDenied):
        site.records("work_order_line").delete(theirs)

    (denial,) = denials(site)
    assert "foreign_ids" not in (denial["security_flags"] or [])


def test_the_refused_write_is_flagged_beside_its_denial(
    site: lockside.Session, foreign: dict[str, Any]
) -> None:
    with pytest.raises(NotFound):
        site.records("ticket").update(foreign["ticket"], title="Mine")

    denials(site)
    (record,) = query(site, "SELECT * FROM audit_log WHERE NOT success")
    assert record["security_flags"] == ["foreign_ids"]
    assert (record["entity_id"], record["version"]) == (foreign["ticket"], None)
    # What the row holds is its tenant's own business.
    assert record["changes"] == {"title": {"before": None, "after": "Mine"}}


def test_a_number_that_work_is_called_by_is_no_id(
    site: lockside.Session, foreign: dict[str, Any]
) -> None:
    with pytest.raises(NotFound):
        site.records("task").create(title="A", parent=str(foreign["ticket"]))

    assert denials(site) == []


def test_anothers_books_hear_nothing(site: lockside.Session, foreign: dict[str, Any]) -> None:
    with pytest.raises(NotFound):
        site.row("ticket", foreign["ticket"])

    assert {each["tenant_id"] for each in outbox(site)} == {site.actor.tenant_id}
    drain(site, foreign["operation"])
    check_invariants(site)
