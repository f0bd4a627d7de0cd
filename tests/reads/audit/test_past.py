"""The past of real rows, from real records: as they were, where they were, and for how long."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

import lockside
from domain.errors import NotFound
from engine.audit.writer import write_records
from reads.audit.past import count_states_at, find_as_of, find_stays, measure_stays
from tests.engine.steps import ask, drain, query
from tests.factories import tickets, work_orders


@pytest.fixture
def db(site: lockside.Session) -> Iterator[Connection]:
    """Give a connection; each call sees what is there then."""
    with site.platform.database.connect() as connected:
        yield connected.execution_options(isolation_level="AUTOCOMMIT")


def now(site: lockside.Session) -> datetime:
    """Return the time of the database, after all that was written."""
    (row,) = query(site, "SELECT clock_timestamp() AS now")
    found: datetime = row["now"]
    return found


def row_of(site: lockside.Session, kind: str, row_id: int) -> dict[str, Any]:
    """Return what `as_of` should tell of the present."""
    hidden = ("warnings", "work_order_lines", "readings")
    return {k: v for k, v in site.row(kind, row_id).items() if k not in hidden}


@pytest.mark.parametrize("written", [True, False], ids=["records", "outbox"])
def test_a_row_is_told_as_it_was_after_each_write(
    site: lockside.Session, db: Connection, written: bool
) -> None:
    made = site.records("work_order").create(title="Lift", vendor="Acme Lifts", remarks="Bell")
    row_id = made["id"]
    kept = [(now(site), row_of(site, "work_order", row_id))]
    writes: list[Callable[[], object]] = [
        lambda: drain(site, ask(site, [row_id], target="SUBMITTED")),
        lambda: site.records("work_order").update(row_id, remarks="", due_at="2026-12-01T08:00Z"),
        lambda: drain(site, ask(site, [row_id])),
        lambda: site.records("work_order_line").create(work_order=row_id, description="Seal"),
        lambda: site.records("work_order").update(row_id, title="Door"),
    ]
    for write in writes:
        write()
        kept.append((now(site), row_of(site, "work_order", row_id)))
    if written:
        write_records(site.platform)

    told = [find_as_of(db, site.actor.tenant_id, "work_order", row_id, at) for at, _ in kept]

    assert [(each["values"], each["unknown"]) for each in told] == [(was, {}) for _, was in kept]
    assert [each["version"] for each in told] == [1, 2, 3, 4, 5, 6]


def test_the_parts_of_that_time_are_told_with_it(site: lockside.Session, db: Connection) -> None:
    (row_id,) = work_orders(site, 1)
    line = site.records("work_order_line").create(work_order=row_id, description="Seal")
    before = now(site)
    site.records("work_order_line").update(line["id"], description="Rope")
    between = now(site)
    site.records("work_order_line").delete(line["id"])

    told = [
        find_as_of(db, site.actor.tenant_id, "work_order", row_id, at)["work_order_lines"]
        for at in (before, between, now(site))
    ]

    assert [[each["values"]["description"] for each in lines] for lines in told] == [
        ["Seal"],
        ["Rope"],
        [],
    ]


def test_before_it_came_and_after_its_deletion_it_is_not_there(
    site: lockside.Session, db: Connection
) -> None:
    before = now(site)
    (row_id,) = tickets(site, 1)
    there = now(site)
    site.records("ticket").delete(row_id)

    told = [
        find_as_of(db, site.actor.tenant_id, "ticket", row_id, at)["exists"]
        for at in (before, there, now(site))
    ]

    assert told == [False, True, False]


def test_a_change_past_the_platform_is_told_as_unknown(
    site: lockside.Session, db: Connection
) -> None:
    (row_id,) = tickets(site, 1, description="Drips")
    before = now(site)
    with site.platform.database.begin() as raw:
        raw.exec_driver_sql("SET LOCAL lockside.override = 'by hand'")
        raw.exec_driver_sql(
            "UPDATE ticket SET title = 'Leak', version = version + 1,"
            " updated_at = clock_timestamp()"
        )
    write_records(site.platform)
    after = now(site)
    drain(site, ask(site, [row_id], kind="ticket", target="OPEN"))

    was, became = (
        find_as_of(db, site.actor.tenant_id, "ticket", row_id, at) for at in (before, after)
    )

    assert (was["values"]["title"], was["values"]["description"]) == ("Ticket 0", "Drips")
    assert (became["values"]["title"], became["values"]["state"]) == ("Leak", "NEW")


def test_without_the_records_of_a_time_only_what_cannot_have_changed_is_told(
    site: lockside.Session, db: Connection
) -> None:
    (row_id,) = tickets(site, 1)
    drain(site, ask(site, [row_id], kind="ticket", target="OPEN"))
    at = now(site)
    site.records("ticket").update(row_id, title="Leak")
    site.records("ticket").update(row_id, title="Flood")
    write_records(site.platform)
    query(site, "DELETE FROM audit_log WHERE version = 3")
    query(site, "DELETE FROM state_transition_audit")

    told = find_as_of(db, site.actor.tenant_id, "ticket", row_id, at)

    assert told["version"] is None
    assert told["unknown"]["title"] == {
        "code": "not_recorded",
        "message": "a record of that time isn't among those that are kept at hand",
    }
    assert told["values"].keys() == {"id", "uuid", "created_at", "created_by"}


def test_nobody_is_told_of_another_tenants_row(site: lockside.Session, db: Connection) -> None:
    (row_id,) = tickets(site, 1)
    site.act_as("other", "admin")

    with pytest.raises(NotFound):
        find_as_of(db, site.actor.tenant_id, "ticket", row_id, now(site))
    with pytest.raises(NotFound):
        find_stays(db, site.actor.tenant_id, "ticket", row_id, now(site))


@pytest.mark.parametrize("written", [True, False], ids=["records", "outbox"])
def test_the_states_of_all_rows_at_a_time_are_counted(
    site: lockside.Session, db: Connection, written: bool
) -> None:
    times = [now(site)]
    ids = tickets(site, 4)
    times.append(now(site))
    drain(site, ask(site, ids[:3], kind="ticket", target="OPEN"))
    times.append(now(site))
    drain(site, ask(site, ids[:2], kind="ticket", target="INPROGRESS"))
    site.records("ticket").delete(ids[3])
    times.append(now(site))
    if written:
        write_records(site.platform)

    told = [count_states_at(db, site.actor.tenant_id, "ticket", at) for at in times]

    assert [(each["states"], each["unknown"]) for each in told] == [
        ({}, 0),
        ({"NEW": 4}, 0),
        ({"NEW": 1, "OPEN": 3}, 0),
        ({"OPEN": 1, "INPROGRESS": 2}, 0),
    ]


def test_rows_whose_state_no_record_tells_are_counted_as_unknown(
    site: lockside.Session, db: Connection
) -> None:
    ids = tickets(site, 3)
    at = now(site)
    for state in ("OPEN", "INPROGRESS"):
        drain(site, ask(site, ids, kind="ticket", target=state))
    write_records(site.platform)
    query(site, "DELETE FROM state_transition_audit WHERE version = 2 AND entity_id = :id",
          id=ids[0])  # fmt: skip

    told = count_states_at(db, site.actor.tenant_id, "ticket", at)

    assert (told["states"], told["unknown"]) == ({"NEW": 2}, 1)


def test_the_time_in_each_state_is_told_of_a_row(site: lockside.Session, db: Connection) -> None:
    since = datetime.now(UTC) - timedelta(hours=3)
    (row_id,) = tickets(site, 1, state_since=since)
    for state in ("OPEN", "INPROGRESS", "ONHOLD", "INPROGRESS"):
        drain(site, ask(site, [row_id], kind="ticket", target=state))
    write_records(site.platform)

    told = find_stays(db, site.actor.tenant_id, "ticket", row_id, now(site))

    assert [(each["state"], each["visits"], each["is_present"]) for each in told["states"]] == [
        ("NEW", 1, False),
        ("OPEN", 1, False),
        ("INPROGRESS", 2, True),
        ("ONHOLD", 1, False),
    ]
    assert 3 * 3600 <= told["states"][0]["seconds"] < 3 * 3600 + 60
    assert told["unknown_s"] < 0.001


def test_the_time_in_each_state_of_a_kind_is_that_of_stays_that_ended_in_the_span(
    site: lockside.Session, db: Connection
) -> None:
    begun = now(site)
    for hours in (1, 2, 9):
        since = begun - timedelta(hours=hours)
        drain(site, ask(site, tickets(site, 1, state_since=since), kind="ticket", target="OPEN"))
    write_records(site.platform)

    tenant_id = site.actor.tenant_id
    (stay,) = measure_stays(db, tenant_id, "ticket", begun, now(site))["states"]
    none = measure_stays(db, tenant_id, "ticket", begun - timedelta(days=1), begun)["states"]

    assert (stay["state"], stay["stays"], none) == ("NEW", 3, [])
    assert stay["mean_s"] == pytest.approx(4 * 3600, rel=0.01)
    assert stay["median_s"] == pytest.approx(2 * 3600, rel=0.01)
