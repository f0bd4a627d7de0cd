"""What the tables refuse by themselves: each constraint holds an invariant."""

from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

import lockside
from domain.errors import InvalidInput, NotFound

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


def test_a_hook_follows_an_operation_once(passing: Session) -> None:
    parent = operation(passing)
    operation(passing, verb="hook", hook="digest", parent_id=parent)

    with pytest.raises(psycopg.errors.UniqueViolation, match="operation_hook"):
        operation(passing, verb="hook", hook="digest", parent_id=parent)


def test_two_hooks_follow_one_operation(passing: Session) -> None:
    parent = operation(passing)
    operation(passing, verb="hook", hook="digest", parent_id=parent)

    operation(passing, verb="hook", hook="webhook", parent_id=parent)

    assert passing.execute("SELECT count(*) FROM operation").fetchone() == (3,)


@pytest.mark.parametrize("risk", [-1, 101])
def test_a_risk_is_0_to_100(passing: Session, risk: int) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="risk_in_range"):
        passing.execute(
            "INSERT INTO permission_denial_audit (event_id, occurred_at, tenant_id, kind,"
            " attempted_action, items, entity_ids, required_permissions, user_permissions,"
            " is_suspicious, risk_score)"
            " VALUES (gen_random_uuid(), now(), 1, 'ticket', 'view', 0, '{}', '{}', '{}', false,"
            " %s)",
            [risk],
        )


def test_an_entry_of_the_audit_log_is_one_of_the_contracts_events(passing: Session) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="event_type_known"):
        passing.execute(
            "INSERT INTO audit_log (event_id, occurred_at, tenant_id, event_type, kind, entity_id,"
            " version, reason, changes, success)"
            " VALUES (gen_random_uuid(), now(), 1, 'GUESSED', 'ticket', 1, 1, 'bulk', '{}', true)"
        )


def test_a_work_order_has_no_vendor_of_another_tenant(site: lockside.Session) -> None:
    site.act_as("other", "admin")
    foreign = site.add_named("vendor", ["Foreign Lifts"])["Foreign Lifts"]
    site.act_as("demo", "admin")

    with pytest.raises(NotFound, match="No vendor"):
        site.import_work("work_order", [{"title": "Lift", "vendor_id": foreign}])


@pytest.mark.parametrize("priority", ["LOW", "MEDIUM", "HIGH", "CRITICAL"])
def test_a_ticket_has_one_of_four_priorities(site: lockside.Session, priority: str) -> None:
    (row_id,) = site.import_work("ticket", [{"title": "Leak", "priority": priority}])

    assert site.row("ticket", row_id)["priority"] == priority


def test_no_other_priority_is_brought_in(site: lockside.Session) -> None:
    with pytest.raises(InvalidInput, match=r"priority.*one of LOW, MEDIUM, HIGH, CRITICAL"):
        site.import_work("ticket", [{"title": "Leak", "priority": "URGENT"}])
