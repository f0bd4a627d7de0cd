"""Records: each change's own, once, to the letter; the outbox loses nothing."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

import lockside
from engine.audit.writer import write_records
from engine.operations.run_chunk import run_chunk
from tests.checker import check_invariants
from tests.engine.steps import Crash, ask, at_once, crash_at, drain, operation, outbox, query
from tests.factories import MAKERS, tickets, work_orders
from worker.platform_per_process import make_engine

pytestmark = pytest.mark.slow


def person(site: lockside.Session, name: str) -> int:
    """Return the id of a person of the tenant."""
    (row,) = query(
        site,
        "SELECT id FROM person WHERE name = :name AND tenant_id = :tenant",
        name=name,
        tenant=site.actor.tenant_id,
    )
    found: int = row["id"]
    return found


_OF_SEALS = ("seal_no", "seal_place", "salt", "commitment", "erased_by")


def unsealed(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record without what the seals add to it."""
    return {name: value for name, value in record.items() if name not in _OF_SEALS}


def records(site: lockside.Session) -> list[dict[str, Any]]:
    """Return the records of transitions, in the order of rows and versions."""
    found = query(site, "SELECT * FROM state_transition_audit ORDER BY entity_id, version, success")
    return [unsealed(each) for each in found]


def test_a_transition_is_recorded_to_the_letter(site: lockside.Session) -> None:
    since = datetime.now(UTC) - timedelta(hours=2)
    (row_id,) = work_orders(site, 1, state="DRAFT", state_since=since)
    operation_id = ask(
        site,
        [row_id],
        target="SUBMITTED",
        comments="Now",
        metadata={"site": "north"},
        approved_by="asha",
        reason="api",
        isolation_level="REPEATABLE READ",
    )
    drain(site, operation_id)

    write_records(site.platform)

    (record,) = records(site)
    measured = ("execution_time_ms", "lock_acquisition_time_ms", "time_in_previous_state_s")
    given = {name: value for name, value in record.items() if name not in measured}
    assert given == {
        "event_id": record["event_id"],
        "occurred_at": record["occurred_at"],
        "tenant_id": site.actor.tenant_id,
        "correlation_id": operation_id,
        "actor_id": site.actor.person_id,
        "kind": "work_order",
        "entity_id": row_id,
        "version": 2,
        "from_state": "DRAFT",
        "to_state": "SUBMITTED",
        "approved_by": person(site, "asha"),
        "reason": "api",
        "comments": "Now",
        "metadata": {"site": "north"},
        "success": True,
        "error_code": None,
        "error_message": None,
        "lock_key": f"lockside:lock:{site.actor.tenant_id}:work_order:{row_id}",
        "isolation_level": "REPEATABLE READ",
        "retry_attempt": 0,
    }
    assert 7200 <= record["time_in_previous_state_s"] < 7260
    assert 0 < record["execution_time_ms"] < 10_000
    assert 0 < record["lock_acquisition_time_ms"] < 10_000


def test_a_record_has_the_time_of_the_change(site: lockside.Session) -> None:
    (row_id,) = work_orders(site, 1)
    drain(site, ask(site, [row_id]))

    write_records(site.platform)

    (record,) = records(site)
    assert record["occurred_at"] == site.row("work_order", row_id)["state_since"]


def test_a_refusal_is_recorded_with_its_reason_and_the_version_that_stays(
    site: lockside.Session,
) -> None:
    (row_id,) = work_orders(site, 1, vendor=False)
    drain(site, ask(site, [row_id]))

    write_records(site.platform)

    (record,) = records(site)
    told = {name: record[name] for name in ("version", "success", "error_code", "error_message")}
    assert told == {
        "version": 1,
        "success": False,
        "error_code": "vendor_missing",
        "error_message": "Cannot approve without vendor assignment",
    }


def test_a_denial_is_recorded(site: lockside.Session) -> None:
    ids = work_orders(site, 1)
    site.act_as("demo", "victor")
    drain(site, ask(site, ids))

    write_records(site.platform)

    (record,) = records(site)
    assert (record["actor_id"], record["error_code"]) == (
        person(site, "victor"),
        "permission_denied",
    )


def test_what_was_skipped_or_is_not_there_is_not_recorded(site: lockside.Session) -> None:
    ids = work_orders(site, 1, state="APPROVED")
    drain(site, ask(site, [*ids, 404], atomic=False))

    write_records(site.platform)

    assert records(site) == []


def test_one_chunk_leaves_one_row_in_the_outbox(site: lockside.Session) -> None:
    ids = work_orders(site, 20) + work_orders(site, 5, vendor=False)
    write_records(site.platform)

    run_chunk(site.platform, ask(site, ids, atomic=False, chunk_items=30), 0)

    assert [each["record"] for each in outbox(site)] == ["state_transition", "bulk_operation"]


def test_an_import_leaves_one_row_in_the_outbox(site: lockside.Session) -> None:
    tickets(site, 20)

    assert [each["record"] for each in outbox(site)] == ["audit_log"]


def test_a_chunk_that_was_denied_leaves_one_row_more(site: lockside.Session) -> None:
    ids = work_orders(site, 20)
    write_records(site.platform)
    site.act_as("demo", "victor")

    run_chunk(site.platform, ask(site, ids, atomic=False, chunk_items=30), 0)

    assert [each["record"] for each in outbox(site)] == [
        *("state_transition", "permission_denial", "bulk_operation")
    ]


def test_each_item_of_a_chunk_has_its_own_record(site: lockside.Session) -> None:
    good, bad = work_orders(site, 20), work_orders(site, 5, vendor=False)
    drain(site, ask(site, good + bad, atomic=False, chunk_items=7))

    write_records(site.platform)

    told = [(each["entity_id"], each["success"]) for each in records(site)]
    assert told == [(each, True) for each in good] + [(each, False) for each in bad]


def test_event_ids_are_all_different(site: lockside.Session) -> None:
    drain(site, ask(site, work_orders(site, 300), atomic=False, chunk_items=100))

    write_records(site.platform)

    assert len({each["event_id"] for each in records(site)}) == 300


def test_the_time_in_a_state_runs_from_the_transition_before(site: lockside.Session) -> None:
    ids = tickets(site, 1)
    for state in ("OPEN", "INPROGRESS"):
        drain(site, ask(site, ids, kind="ticket", target=state))

    write_records(site.platform)

    first, second = records(site)
    between = (second["occurred_at"] - first["occurred_at"]).total_seconds()
    assert second["time_in_previous_state_s"] == pytest.approx(between, abs=1e-5)


def test_a_retry_is_counted(site: lockside.Session) -> None:
    ids = work_orders(site, 1)
    operation_id = ask(site, ids)
    with site.platform.database.connect() as other:
        other.exec_driver_sql("SELECT FROM work_order FOR UPDATE")
        run_chunk(site.platform, operation_id, 0)
    drain(site, operation_id)

    write_records(site.platform)

    assert [each["retry_attempt"] for each in records(site)] == [1]


def test_the_end_of_a_bulk_operation_is_recorded_to_the_letter(site: lockside.Session) -> None:
    good, bad = work_orders(site, 2), work_orders(site, 1, vendor=False)
    operation_id = ask(site, good + bad)
    drain(site, operation_id)

    write_records(site.platform)

    (record,) = query(site, "SELECT * FROM bulk_operation_audit")
    assert unsealed(record) == {
        "event_id": record["event_id"],
        "occurred_at": operation(site, operation_id)["finished_at"],
        "tenant_id": site.actor.tenant_id,
        "correlation_id": operation_id,
        "actor_id": site.actor.person_id,
        "kind": "work_order",
        "operation_type": "transition_to_APPROVED",
        "state": "ROLLED_BACK",
        "total_items": 3,
        "successful_items": 0,
        "failed_items": 1,
        "successful_ids": [],
        "failed_ids": bad,
        "failure_details": {str(bad[0]): "Cannot approve without vendor assignment"},
        "was_rolled_back": True,
        "rollback_reason": "1 of 3 items failed and all or nothing was asked for",
    }


# The outbox


def test_records_are_written_once_however_often_they_are_asked_for(site: lockside.Session) -> None:
    drain(site, ask(site, work_orders(site, 3)))

    answers = [write_records(site.platform) for _ in range(3)]

    # The import of the rows, their transition, the operation's end.
    assert (answers, len(records(site))) == ([3, 0, 0], 3)
    assert query(site, "SELECT count(*) AS n FROM audit_log") == [{"n": 3}]


def test_several_writers_write_each_record_once(site: lockside.Session) -> None:
    drain(site, ask(site, work_orders(site, 120), atomic=False, chunk_items=1))

    answers = at_once(*[partial(write_records, site.platform)] * 4)

    # The import of the rows, their transitions, the operation's end.
    assert sum(answers) == 122  # type: ignore[arg-type]
    assert len(records(site)) == 120
    check_invariants(site)


def test_more_than_one_batch_is_written(site: lockside.Session) -> None:
    drain(site, ask(site, work_orders(site, 101), atomic=False, chunk_items=1))

    write_records(site.platform)

    assert (outbox(site), len(records(site))) == ([], 101)


def test_a_crash_while_records_are_written_leaves_the_outbox(site: lockside.Session) -> None:
    drain(site, ask(site, work_orders(site, 3)))
    before = outbox(site)

    with pytest.raises(Crash):
        write_records(crash_at(site.platform, "records_written"))

    assert (outbox(site), records(site)) == (before, [])


def test_after_the_crash_the_records_are_written_once(site: lockside.Session) -> None:
    drain(site, ask(site, work_orders(site, 3)))
    with pytest.raises(Crash):
        write_records(crash_at(site.platform, "records_written"))

    write_records(site.platform)

    check_invariants(site)


def test_a_record_of_a_month_without_a_partition_is_kept(site: lockside.Session) -> None:
    drain(site, ask(site, work_orders(site, 1)))
    query(site, "UPDATE outbox SET occurred_at = '1999-12-31T23:59:59Z'")

    write_records(site.platform)

    (row,) = query(site, "SELECT count(*) AS n FROM state_transition_audit_default")
    assert row["n"] == 1


def test_a_record_lies_in_the_partition_of_its_month(site: lockside.Session) -> None:
    drain(site, ask(site, work_orders(site, 1)))

    write_records(site.platform)

    (row,) = query(site, "SELECT tableoid::regclass::text AS part, occurred_at AS at"
                   " FROM state_transition_audit")  # fmt: skip
    assert row["part"] == f"state_transition_audit_{row['at']:%Y_%m}"


def test_an_imported_row_is_recorded_to_the_letter(site: lockside.Session) -> None:
    since = datetime(2026, 11, 20, 3, 30, tzinfo=UTC)
    (row_id,) = work_orders(site, 1, state="APPROVED", state_since=since, remarks=None)
    (imported,) = query(site, "SELECT id, started_at FROM operation")

    write_records(site.platform)

    (record,) = query(site, "SELECT * FROM audit_log")
    row = site.row("work_order", row_id)
    written = {
        "title": "Work order 0",
        "vendor_id": row["vendor_id"],
        "state": "APPROVED",
        "state_since": "2026-11-20T03:30:00+00:00",
    }
    assert unsealed(record) == dict.fromkeys(unsealed(record)) | {
        "event_id": record["event_id"],
        "occurred_at": imported["started_at"],
        "tenant_id": site.actor.tenant_id,
        "correlation_id": imported["id"],
        "actor_id": site.actor.person_id,
        "event_type": "CREATED",
        "kind": "work_order",
        "entity_id": row_id,
        "version": 1,
        "reason": "import",
        "session_id": site.actor.origin.session_id,
        "changes": {name: {"before": None, "after": each} for name, each in written.items()},
        "success": True,
    }
    assert records(site) == []


def test_a_row_that_was_there_already_is_not_recorded_again(site: lockside.Session) -> None:
    tickets(site, 1, reference="INC1")
    tickets(site, 1, reference="INC1", priority="HIGH")

    write_records(site.platform)

    told = query(site, "SELECT event_type, version FROM audit_log")
    assert told == [{"event_type": "CREATED", "version": 1}]


@pytest.mark.parametrize("kind", MAKERS)
def test_every_row_of_an_import_has_its_own_record(site: lockside.Session, kind: str) -> None:
    ids = MAKERS[kind](site, 25)

    write_records(site.platform)

    told = query(
        site,
        "SELECT entity_id FROM audit_log WHERE kind = :kind AND version = 1"
        " AND event_type = 'CREATED' ORDER BY entity_id",
        kind=kind,
    )
    assert [each["entity_id"] for each in told] == ids
    check_invariants(site)


def test_a_sequence_of_transitions_is_recorded_in_order(site: lockside.Session) -> None:
    (row_id,) = tickets(site, 1)
    (imported,) = query(site, "SELECT id FROM operation")
    path = ["OPEN", "INPROGRESS", "ONHOLD", "INPROGRESS", "RESOLVED", "CLOSED"]
    done: list[UUID] = []
    for state in path:
        done.append(ask(site, [row_id], kind="ticket", target=state, comments="Next"))
        drain(site, done[-1])

    write_records(site.platform)

    told = [(each["correlation_id"], each["to_state"]) for each in site.timeline("ticket", row_id)]
    assert told == [(imported["id"], None), *zip(done, path, strict=True)]


def test_each_record_of_words_has_a_salt_of_its_own(site: lockside.Session) -> None:
    drain(site, ask(site, work_orders(site, 3), comments="Checked"))

    write_records(site.platform)

    told = query(site, "SELECT count(DISTINCT salt) AS salts, count(DISTINCT commitment) AS stood,"
                 " min(octet_length(salt)) AS bytes FROM state_transition_audit")  # fmt: skip
    assert told == [{"salts": 3, "stood": 3, "bytes": 16}]


def test_a_record_without_words_has_nothing_to_hide(site: lockside.Session) -> None:
    drain(site, ask(site, work_orders(site, 1)))

    write_records(site.platform)

    told = query(site, "SELECT salt, commitment FROM state_transition_audit")
    assert told == [{"salt": None, "commitment": None}]


def test_a_tenants_records_are_sealed_while_anothers_head_is_held(site: lockside.Session) -> None:
    work_orders(site, 1)
    write_records(site.platform)
    ours = site.actor.tenant_id
    site.open_tenant("harbor", {"asha": ["admin", "manager"]})
    work_orders(site, 1)
    site.act_as("harbor", "asha")
    work_orders(site, 1)

    with site.platform.database.begin() as db:
        db.execute(text("SELECT FROM audit_chain WHERE tenant_id = :id FOR UPDATE"), {"id": ours})
        write_records(site.platform)

    assert {each["tenant_id"] for each in outbox(site)} == {ours}


def test_what_can_not_be_written_of_one_tenant_keeps_nobody_elses_back(
    site: lockside.Session, logged: pytest.LogCaptureFixture
) -> None:
    site.open_tenant("harbor", {"asha": ["admin", "manager"]})
    write_records(site.platform)
    theirs = next(each["id"] for each in query(site, "SELECT id FROM tenant WHERE name = 'harbor'"))
    query(site, "INSERT INTO outbox (tenant_id, event_id, record, occurred_at, body, entity_ids,"
          " versions, changes) VALUES (:id, gen_random_uuid(), 'audit_log', now(), '{}', '{1}',"
          " '{1}', ARRAY['no JSON'])", id=theirs)  # fmt: skip
    work_orders(site, 1)

    write_records(site.platform)

    assert {each["tenant_id"] for each in outbox(site)} == {theirs}
    assert {vars(each)["tenant_id"] for each in logged.records} == {theirs}


def test_a_row_of_the_outbox_about_nothing_goes_without_a_seal(site: lockside.Session) -> None:
    work_orders(site, 1)
    write_records(site.platform)
    query(site, "INSERT INTO outbox (tenant_id, event_id, record, occurred_at, body, entity_ids,"
          " versions, changes) VALUES (:id, gen_random_uuid(), 'audit_log', now(), '{}', '{}',"
          " '{}', '{}')", id=site.actor.tenant_id)  # fmt: skip
    work_orders(site, 1)

    write_records(site.platform)

    assert (outbox(site), site.audit.verify().findings) == ([], [])


def test_digests_do_not_depend_on_a_sessions_encoding(
    site: lockside.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    engine = make_engine(str(site.settings.database_url))

    with engine.connect() as db:
        encoding = db.scalar(text("SHOW client_encoding"))
    engine.dispose()

    assert encoding == "UTF8"
