"""What the tables refuse by themselves: each constraint holds an invariant."""

from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

import lockside
from tests.factories import work_orders

Session = psycopg.Connection[Any]


def operation(raw: Session, *, tenant: str = "demo", **values: Any) -> UUID:
    """Insert an operation of the system; return its id."""
    row: dict[str, Any] = {
        "id": uuid4(),
        "kind": "ticket",
        "verb": "transition",
        "operation_type": "transition_to_OPEN",
        "state": "QUEUED",
        "reason": "bulk",
        "atomic": False,
        "dry_run": False,
        "isolation_level": "READ COMMITTED",
        "max_retries": 3,
        "lease_seconds": 1,
        "wait_seconds": 1,
        "queue": "bulk",
        "total": 3,
    } | values
    names = ", ".join(row)
    marks = ", ".join(f"%({name})s" for name in row)
    raw.execute(
        f"INSERT INTO operation (tenant_id, {names})"
        f" VALUES ((SELECT id FROM tenant WHERE name = '{tenant}'), {marks})".encode(),
        row,
    )
    operation_id: UUID = row["id"]
    return operation_id


def chunk(raw: Session, **values: Any) -> None:
    """Insert a chunk of three items."""
    row = {"operation_id": operation(raw), "chunk_no": 0, "ids": [1, 2, 3]} | values
    names = ", ".join(row)
    marks = ", ".join(f"%({name})s" for name in row)
    raw.execute(f"INSERT INTO operation_chunk ({names}) VALUES ({marks})".encode(), row)


LEASE = "2026-11-22T09:30:00Z"
REFUSED_CHUNKS = [
    pytest.param({"status": "RUNNING"}, "running_under_a_claim", id="running without a claim"),
    pytest.param(
        {"status": "RUNNING", "claim": uuid4()}, "running_under_a_claim", id="without a lease"
    ),
    pytest.param(
        {"status": "PENDING", "claim": uuid4(), "lease_until": LEASE},
        "running_under_a_claim",
        id="waiting under a claim",
    ),
    pytest.param({"lease_until": LEASE}, "running_under_a_claim", id="a lease without a claim"),
    pytest.param({"status": "DONE"}, "ended_with_all_outcomes", id="done without outcomes"),
    pytest.param(
        {"status": "DEAD", "failed": 2}, "ended_with_all_outcomes", id="dead with one left"
    ),
    pytest.param(
        {"status": "CANCELLED", "cancelled": 2, "succeeded": 2},
        "ended_with_all_outcomes",
        id="more outcomes than items",
    ),
    pytest.param({"status": "GONE"}, "ck_operation_chunk", id="an unknown status"),
]


@pytest.mark.parametrize(("values", "constraint"), REFUSED_CHUNKS)
def test_a_chunk_that_can_not_be_is_refused(
    passing: Session, values: dict[str, Any], constraint: str
) -> None:
    with pytest.raises(psycopg.IntegrityError, match=constraint):
        chunk(passing, **values)


ALLOWED_CHUNKS = [
    pytest.param({}, id="waiting"),
    pytest.param({"status": "RUNNING", "claim": uuid4(), "lease_until": LEASE}, id="running"),
    pytest.param({"status": "DONE", "succeeded": 1, "skipped": 1, "failed": 1}, id="done"),
    pytest.param({"status": "CANCELLED", "cancelled": 3}, id="cancelled"),
]


@pytest.mark.parametrize("values", ALLOWED_CHUNKS)
def test_a_chunk_that_can_be_is_stored(passing: Session, values: dict[str, Any]) -> None:
    chunk(passing, **values)

    assert passing.execute("SELECT count(*) FROM operation_chunk").fetchone() == (1,)


def test_two_chunks_never_have_one_claim(passing: Session) -> None:
    mine = {"status": "RUNNING", "claim": uuid4(), "lease_until": LEASE}
    chunk(passing, **mine)

    with pytest.raises(psycopg.errors.UniqueViolation, match="claim"):
        chunk(passing, **mine)


REFUSED_OPERATIONS = [
    pytest.param({"total": 0}, "has_items", id="without items"),
    pytest.param({"state": "LOST"}, "state_known", id="an unknown state"),
    pytest.param({"finished_at": LEASE}, "finished_with_its_result", id="ended without a result"),
    pytest.param({"result": "{}"}, "finished_with_its_result", id="a result before the end"),
]


@pytest.mark.parametrize(("values", "constraint"), REFUSED_OPERATIONS)
def test_an_operation_that_can_not_be_is_refused(
    passing: Session, values: dict[str, Any], constraint: str
) -> None:
    with pytest.raises(psycopg.IntegrityError, match=constraint):
        operation(passing, **values)


def test_the_system_uses_an_idempotency_key_once_too(passing: Session) -> None:
    operation(passing, idempotency_key="night", actor_id=None)

    with pytest.raises(psycopg.errors.UniqueViolation, match="idempotency_key"):
        operation(passing, idempotency_key="night", actor_id=None)


def test_another_tenant_has_idempotency_keys_of_its_own(passing: Session) -> None:
    operation(passing, idempotency_key="night")

    operation(passing, idempotency_key="night", tenant="other")

    assert passing.execute("SELECT count(*) FROM operation").fetchone() == (2,)


def test_operations_without_a_key_are_all_different(passing: Session) -> None:
    operation(passing)

    operation(passing)

    assert passing.execute("SELECT count(*) FROM operation").fetchone() == (2,)


def test_a_work_order_has_no_vendor_of_another_tenant(site: lockside.Site) -> None:
    site.act_as("other", "admin")
    (foreign, *_) = site.add_vendors(["Foreign Lifts"])
    site.act_as("demo", "admin")

    with pytest.raises(Exception, match="vendor"):
        site.import_work("work_order", [{"title": "Lift", "vendor_id": foreign}])


@pytest.mark.parametrize("priority", ["LOW", "MEDIUM", "HIGH", "CRITICAL"])
def test_a_ticket_has_one_of_four_priorities(site: lockside.Site, priority: str) -> None:
    (row_id,) = site.import_work("ticket", [{"title": "Leak", "priority": priority}])

    assert site.row("ticket", row_id)["priority"] == priority


def test_no_other_priority_is_stored(site: lockside.Site) -> None:
    with pytest.raises(Exception, match="priority"):
        site.import_work("ticket", [{"title": "Leak", "priority": "URGENT"}])


def test_a_row_of_another_system_is_there_once(raw: Session, site: lockside.Site) -> None:
    work_orders(site, 1, reference="SAP-7")
    raw.execute("SET LOCAL lockside.override = 'test'")

    with pytest.raises(psycopg.errors.UniqueViolation, match="reference"):
        raw.execute(
            "INSERT INTO work_order (tenant_id, title, state, reference)"
            " SELECT tenant_id, title, 'DRAFT', reference FROM work_order"
        )
