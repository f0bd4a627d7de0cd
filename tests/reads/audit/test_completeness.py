"""Completeness: what was changed past the platform shows, whatever it was."""

from typing import Any

import pytest
from sqlalchemy import text

import lockside
from domain.audit.verification import Verified
from engine.audit.writer import write_records
from models.base import kinds
from reads.audit.completeness import find_incomplete
from tests.engine.steps import ask, drain, query
from tests.engine.works import attended, ordered, read, task
from tests.factories import tickets, work_orders


def found(site: lockside.Session) -> list[tuple[str, Any]]:
    """Return what isn't complete of the tenant's work: the code, and which row."""
    seen = Verified()
    with site.platform.database.connect() as db:
        find_incomplete(db, site.actor.tenant_id, seen)
    told = [(each.code, each.record or {}) for each in seen.findings]
    return [(code, which["entity_id"]) for code, which in told if which["kind"] in kinds()]


def past_the_guard(site: lockside.Session, statement: str, **names: Any) -> None:
    """Do what only somebody can do who switches the database's guard off."""
    with site.platform.database.begin() as db:
        db.execute(text("SET LOCAL session_replication_role = replica"))
        db.execute(text(statement), names)


@pytest.mark.parametrize("is_written", [False, True])
def test_what_the_platform_did_is_complete(site: lockside.Session, is_written: bool) -> None:
    ids = work_orders(site, 3)
    drain(site, ask(site, ids, comments="Go"))
    site.records("work_order").update(ids[0], title="Another", remarks="call +91 98204 11873")
    site.records("work_order").delete(work_orders(site, 1, state="DRAFT")[0])
    read(site, task(site, asks=["pressure"]), "pressure")
    attended(site)
    ordered(site, lines=2)
    if is_written:
        write_records(site.platform)

    assert found(site) == []


def test_an_override_is_recorded_and_so_complete(site: lockside.Session) -> None:
    (row_id,) = work_orders(site, 1)
    with site.platform.database.begin() as db:
        db.execute(text("SET LOCAL lockside.override = 'The door was broken'"))
        db.execute(text("UPDATE work_order SET state = 'APPROVED', version = version + 1"))

    assert found(site) == []
    assert site.row("work_order", row_id)["state"] == "APPROVED"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("state = 'CLOSED'", "row_changed"),
        ("state = 'CLOSED', version = version + 1", "version_unrecorded"),
        ("title = 'Another'", "row_changed"),
        ("vendor_id = NULL", "row_changed"),
        ("state_since = state_since - interval '1 day'", "row_changed"),
        ("version = version + 1", "version_unrecorded"),
        ("version = version - 1", "version_set_back"),
        ("deleted_at = clock_timestamp()", "row_changed"),
    ],
)
def test_a_change_past_the_guard_is_found(site: lockside.Session, change: str, code: str) -> None:
    ids = work_orders(site, 3)
    drain(site, ask(site, ids))
    write_records(site.platform)

    past_the_guard(site, f"UPDATE work_order SET {change} WHERE id = :id", id=ids[1])

    told = found(site)
    assert (told[0], {row_id for _, row_id in told}) == ((code, ids[1]), {ids[1]})


def test_a_row_deleted_past_the_guard_is_found(site: lockside.Session) -> None:
    ids = tickets(site, 3)

    past_the_guard(site, "DELETE FROM ticket WHERE id = :id", id=ids[2])

    assert found(site) == [("row_gone", ids[2])]


def test_a_row_brought_in_past_the_guard_is_found(site: lockside.Session) -> None:
    tickets(site, 1)

    past_the_guard(
        site,
        "INSERT INTO ticket (tenant_id, title, priority, state)"
        " SELECT tenant_id, 'Mine', 'HIGH', 'CLOSED' FROM ticket",
    )

    (newest,) = query(site, "SELECT max(id) AS id FROM ticket")
    assert found(site) == [("version_unrecorded", newest["id"])]


def test_a_record_that_was_deleted_leaves_a_version_without_one(site: lockside.Session) -> None:
    ids = work_orders(site, 2)
    drain(site, ask(site, ids))
    write_records(site.platform)

    query(site, "DELETE FROM state_transition_audit WHERE entity_id = :id", id=ids[0])

    assert ("version_unrecorded", ids[0]) in found(site)


def test_rows_of_another_tenant_are_not_looked_at(site: lockside.Session) -> None:
    ids = work_orders(site, 1)
    past_the_guard(site, "UPDATE work_order SET title = 'Another' WHERE id = :id", id=ids[0])
    site.open_tenant("harbor", {"asha": ["admin", "manager"]})
    site.act_as("harbor", "asha")

    assert found(site) == []
