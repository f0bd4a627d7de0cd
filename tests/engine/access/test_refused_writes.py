"""What is refused for what is stored leaves a record; what can't be read at all leaves none."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import lockside
from domain.errors import IllegalTransition, InvalidInput, NotFound, RuleRefused, StaleVersion
from engine.audit.writer import write_records
from tests.checker import check_invariants
from tests.engine.steps import outbox, query
from tests.engine.works import NOON, clock_from, move, ordered
from tests.factories import tickets, work_orders

SUNDAY = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def noon(site: lockside.Session) -> None:
    """Let everything be refused at an hour that nobody would notice."""
    site.platform = clock_from(site, NOON)


def refusals(site: lockside.Session) -> list[dict[str, Any]]:
    """Return every write that is on record as refused, oldest first."""
    write_records(site.platform)
    return query(site, "SELECT * FROM audit_log WHERE NOT success ORDER BY occurred_at")


def test_a_refused_update_is_recorded_to_the_letter(site: lockside.Session) -> None:
    (row_id,) = tickets(site, 1, priority="LOW")

    with pytest.raises(StaleVersion) as told:
        site.records("ticket").update(row_id, expected_version=7, priority="HIGH", title="Flood")

    (record,) = refusals(site)
    sealed = ("event_id", "occurred_at", "seal_no", "seal_place", "salt", "commitment")
    known = {name: value for name, value in record.items() if name not in sealed}
    assert known == dict.fromkeys(known) | {
        "tenant_id": site.actor.tenant_id,
        "actor_id": site.actor.person_id,
        "session_id": site.actor.origin.session_id,
        "event_type": "UPDATED",
        "kind": "ticket",
        "entity_id": row_id,
        "version": 1,
        "reason": "user_action",
        "changes": {
            "priority": {"before": "LOW", "after": "HIGH"},
            "title": {"before": "Ticket 0", "after": "Flood"},
        },
        "success": False,
        "error_code": "concurrency_conflict",
        "error_message": str(told.value),
    }


def test_a_refused_creation_has_neither_id_nor_version(site: lockside.Session) -> None:
    with pytest.raises(InvalidInput):
        site.records("vendor").create(name="Acme Lifts")

    (record,) = refusals(site)
    assert (record["event_type"], record["entity_id"], record["version"]) == ("CREATED", None, None)
    assert record["changes"] == {"name": {"before": None, "after": "Acme Lifts"}}


def test_a_rule_is_recorded_by_its_own_code(site: lockside.Session) -> None:
    (row_id,) = work_orders(site, 1, state="CLOSED")

    with pytest.raises(RuleRefused):
        site.records("work_order").delete(row_id)

    (record,) = refusals(site)
    assert (record["event_type"], record["error_code"]) == ("DELETED", "record_locked")


REFUSED: list[Any] = [
    pytest.param(
        lambda site: site.import_work("ticket", [{"title": "A", "site": "Nowhere"}]),
        "not_found",
        id="unknown reference",
    ),
    pytest.param(
        lambda site: site.import_work("task", [{"title": "A", "parent": "Nowhere"}]),
        "not_found",
        id="unknown tour",
    ),
]


@pytest.mark.parametrize(("ask", "code"), REFUSED)
def test_an_import_that_is_refused_as_a_whole_is_recorded_once(
    site: lockside.Session, ask: Callable[[lockside.Session], object], code: str
) -> None:
    with pytest.raises(lockside.LocksideError):
        ask(site)

    (record,) = refusals(site)
    assert (record["event_type"], record["reason"]) == ("CREATED", "import")
    assert (record["error_code"], record["metadata"]) == (code, {"rows": 1})


MALFORMED: list[Any] = [
    pytest.param(lambda site: site.records("ticket").create(colour="red"), id="field"),
    pytest.param(lambda site: site.records("ticket").create(title="A", priority="X"), id="word"),
    pytest.param(lambda site: site.records("ticket").create(), id="missing"),
    pytest.param(lambda site: site.records("ticket").update(1, title=7), id="type"),
    pytest.param(lambda site: site.records("ticket").update(2**70, title="A"), id="no id"),
    pytest.param(lambda site: site.import_work("ticket", [{"title": "A", "state": 3}]), id="row"),
]


@pytest.mark.parametrize("ask", MALFORMED)
def test_what_is_malformed_at_the_door_leaves_no_record(
    site: lockside.Session, ask: Callable[[lockside.Session], object]
) -> None:
    with pytest.raises((InvalidInput, NotFound)):
        ask(site)

    assert outbox(site) == []


def test_a_denial_is_recorded_as_that_alone(site: lockside.Session) -> None:
    (row_id,) = tickets(site, 1)
    site.act_as("demo", "victor")

    with pytest.raises(lockside.PermissionDenied):
        site.records("ticket").update(row_id, title="Mine")

    assert [each["record"] for each in outbox(site)] == ["audit_log", "permission_denial"]
    assert refusals(site) == []


def test_what_an_operation_was_not_steered_for_is_recorded(site: lockside.Session) -> None:
    (row_id,) = tickets(site, 1)
    told = move(site, "ticket", row_id, "OPEN")

    with pytest.raises(IllegalTransition):
        site.operation(told["operation_id"]).pause()

    (record,) = refusals(site)
    assert (record["kind"], record["error_code"]) == ("operation", "illegal_transition")
    assert str(record["correlation_id"]) == told["operation_id"]
    assert record["changes"] == {"state": {"before": None, "after": "PAUSED"}}


def test_somebody_who_adds_to_anothers_tenant_is_recorded_where_they_belong(
    site: lockside.Session,
) -> None:
    with pytest.raises(InvalidInput):
        site.open_tenant("other", {"mallory": ["admin"]})

    (record,) = refusals(site)
    assert (record["tenant_id"], record["kind"]) == (site.actor.tenant_id, "tenant")
    assert record["security_flags"] == ["elevated"]


def test_a_refusal_at_a_weekend_is_flagged(site: lockside.Session) -> None:
    site.platform = clock_from(site, SUNDAY)

    with pytest.raises(InvalidInput):
        site.records("role").create(name="viewer", permissions=[])

    (record,) = refusals(site)
    assert record["security_flags"] == ["elevated", "out_of_hours"]


def test_a_refused_write_leaves_the_books_in_order(site: lockside.Session) -> None:
    row_id = ordered(site, lines=1)

    for _ in range(2):
        with pytest.raises(StaleVersion):
            site.records("work_order").update(row_id, expected_version=9, title="Other")

    check_invariants(site)


def test_a_record_that_cannot_be_written_changes_no_answer(site: lockside.Session) -> None:
    (row_id,) = tickets(site, 1)
    query(site, "ALTER TABLE outbox ADD CHECK (error_codes IS NULL)")

    with pytest.raises(StaleVersion):
        site.records("ticket").update(row_id, expected_version=9, title="Other")

    assert refusals(site) == []


def test_a_pause_is_recorded_with_the_states_before_and_after(site: lockside.Session) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    known = site.transition(
        "ticket", to="OPEN", ids=tickets(site, 2), atomic=False, run_at=tomorrow
    )

    known.pause()
    known.pause()
    known.resume(rate=5)
    known.cancel()

    write_records(site.platform)
    told = query(site, "SELECT * FROM audit_log WHERE kind = 'operation' ORDER BY occurred_at")
    assert [each["changes"] for each in told] == [
        {"state": {"before": "QUEUED", "after": "PAUSED"}},
        {
            "state": {"before": "PAUSED", "after": "QUEUED"},
            "rate": {"before": None, "after": 5.0},
        },
        {"state": {"before": "QUEUED", "after": "CANCELLING"}},
    ]
    assert {str(each["correlation_id"]) for each in told} == {known.id}
    assert {each["event_type"] for each in told} == {"UPDATED"}


def test_a_new_tenant_is_recorded_in_its_own_books(site: lockside.Session) -> None:
    tenant = site.open_tenant("third", {"zoe": ["admin"]})

    write_records(site.platform)

    told = query(site, "SELECT * FROM audit_log WHERE kind = 'tenant'")
    assert [(each["tenant_id"], each["entity_id"], each["version"]) for each in told] == [
        (tenant, tenant, 1)
    ]
    assert told[0]["changes"] == {"name": {"before": None, "after": "third"}}
    assert told[0]["security_flags"] == ["elevated"]
