"""Submitting: what is wrong is named and leaves nothing; what is right is durable, and once."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from typing import Any
from uuid import UUID

import pytest

import lockside
from domain.errors import IdempotencyMismatch, InvalidInput, NotFound
from engine.operations.request import Submission
from engine.operations.run_chunk import run_chunk
from engine.operations.submit import submit
from engine.operations.sweeper import sweep
from engine.ports.platform import Pace
from tests.checker import check_invariants
from tests.engine.steps import (
    Recorder,
    ask,
    at_once,
    chunks,
    drain,
    due_now,
    operation,
    outcomes,
    query,
    rows,
)
from tests.factories import MAKERS, tickets, work_orders
from tests.sentences import Sentences


def stored(site: lockside.Session) -> list[dict[str, Any]]:
    """Return what submissions left behind."""
    return query(site, "SELECT id FROM operation WHERE verb <> 'import'")


NUL = "a\x00b"
LATER = datetime(2126, 11, 22, 9, 30, tzinfo=UTC)
WRONG = [
    # option, value, the field that the refusal names
    ("kind", "elevator", "kind"),
    ("kind", None, "kind"),
    ("kind", ["work_order"], "kind"),
    ("target", "NOWHERE", "target_state"),
    ("target", "OPEN", "target_state"),
    ("target", None, "target_state"),
    ("ids", [], "ids"),
    ("ids", None, "ids"),
    ("ids", [0], "ids"),
    ("ids", [-1], "ids"),
    ("ids", [2**63], "ids"),
    ("ids", ["1"], "ids"),
    ("ids", [True], "ids"),
    ("ids", [1.0], "ids"),
    ("ids", [None], "ids"),
    ("ids", "123", "ids"),
    ("ids", [1, 2, 1], "ids"),
    ("comments", "x" * 10_001, "comments"),
    ("comments", NUL, "comments"),
    ("comments", "\ud800", "comments"),
    ("comments", 7, "comments"),
    ("metadata", {"at": object()}, "metadata"),
    ("metadata", {"n": float("nan")}, "metadata"),
    ("metadata", {"text": NUL}, "metadata"),
    ("metadata", {"text": "\udfff"}, "metadata"),
    ("metadata", {"text": "x" * 65_536}, "metadata"),
    ("metadata", ["a", "list"], "metadata"),
    ("metadata", None, "metadata"),
    ("approved_by", 7, "approved_by"),
    ("approved_by", NUL, "approved_by"),
    ("atomic", "yes", "atomic"),
    ("atomic", None, "atomic"),
    ("dry_run", 1, "dry_run"),
    ("idempotency_key", "k" * 201, "idempotency_key"),
    ("idempotency_key", NUL, "idempotency_key"),
    ("idempotency_key", 7, "idempotency_key"),
    ("expected_versions", [3], "expected_versions"),
    ("expected_versions", {1: 0}, "expected_versions"),
    ("expected_versions", {1: "3"}, "expected_versions"),
    ("expected_versions", {2: 3}, "expected_versions"),
    ("expected_versions", {"1": 3}, "expected_versions"),
    ("lease_s", 0, "lease_s"),
    ("lease_s", -1.0, "lease_s"),
    ("lease_s", float("inf"), "lease_s"),
    ("lease_s", "9", "lease_s"),
    ("lease_s", 10**400, "lease_s"),
    ("wait_s", -0.1, "wait_s"),
    ("wait_s", float("nan"), "wait_s"),
    ("wait_s", True, "wait_s"),
    ("isolation_level", "READ UNCOMMITTED", "isolation_level"),
    ("isolation_level", None, "isolation_level"),
    ("max_retries", -1, "max_retries"),
    ("max_retries", 21, "max_retries"),
    ("max_retries", 1.5, "max_retries"),
    ("reason", "whim", "reason"),
    ("reason", 7, "reason"),
    ("chunk_items", 0, "chunk_items"),
    ("chunk_items", -5, "chunk_items"),
    ("chunk_items", 10_001, "chunk_items"),
    ("run_at", datetime(2026, 11, 22, 9, 30), "run_at"),  # noqa: DTZ001 -- without a zone
    ("run_at", "2026-11-22T09:30:00Z", "run_at"),
    ("run_at", 7, "run_at"),
    ("stop_at_first_failure", "yes", "stop_at_first_failure"),
    ("stop_at_first_failure", None, "stop_at_first_failure"),
    ("stop_at_first_failure", True, "stop_at_first_failure"),
    ("parallel", 0, "parallel"),
    ("parallel", 1001, "parallel"),
    ("parallel", True, "parallel"),
    ("parallel", 1.5, "parallel"),
    ("verb", "import", "verb"),
    ("verb", "hook", "verb"),
    ("verb", None, "verb"),
    ("values", {"remarks": "x"}, "values"),
]


@pytest.fixture(scope="module")
def nowhere() -> Any:
    """Stand in for a platform that nothing may be asked of: checking comes before everything."""

    class Nowhere:
        pace = Pace()

    return Nowhere()


@pytest.mark.parametrize(("option", "value", "field"), WRONG)
def test_what_is_wrong_is_named_before_anything_is_stored(
    nowhere: Any, option: str, value: Any, field: str
) -> None:
    given = {"kind": "work_order", "target": "APPROVED", "ids": [1]} | {option: value}

    with pytest.raises(InvalidInput) as refused:
        submit(nowhere, None, Submission(**given))  # type: ignore[arg-type]

    told = refused.value.to_dict()
    assert (told["error"], told["field"]) == ("invalid_input", field)
    assert json.dumps([told["got"], told["expected"]], allow_nan=False)


def test_a_refused_submission_leaves_nothing(site: lockside.Session) -> None:
    with pytest.raises(InvalidInput):
        ask(site, [1, 1])

    assert stored(site) == []


def test_doubled_ids_are_named(site: lockside.Session) -> None:
    with pytest.raises(InvalidInput) as refused:
        ask(site, [3, 1, 3, 2, 1])

    assert refused.value.facts["got"] == "1, 3 more than once"


def test_more_than_a_hundred_thousand_are_refused_with_the_way_out(nowhere: Any) -> None:
    wanted = Submission("work_order", range(1, 100_002), "APPROVED")

    with pytest.raises(InvalidInput) as refused:
        submit(nowhere, None, wanted)  # type: ignore[arg-type]

    assert refused.value.facts == {
        "field": "ids",
        "got": "100001 ids",
        "expected": "1 to 100,000 for all or nothing; continue on error to take up to 1,000,000",
    }


def test_a_manager_who_does_not_exist_is_not_found(site: lockside.Session, says: Sentences) -> None:
    with pytest.raises(NotFound, check=says):
        ask(site, [1], approved_by="nobody")

    assert stored(site) == []


def test_a_manager_of_another_tenant_is_not_found(site: lockside.Session, says: Sentences) -> None:
    site.open_tenant("third", {"greta": ["admin", "manager"]})

    with pytest.raises(NotFound, check=says):
        ask(site, [1], approved_by="greta")


@pytest.mark.parametrize("kind", ["work-order", "work_order"])
@pytest.mark.parametrize("target", ["APPROVED", "approved", "Approved"])
def test_dashes_and_small_letters_are_understood(
    site: lockside.Session, kind: str, target: str
) -> None:
    operation_id = ask(site, [1], kind=kind, target=target)

    row = operation(site, operation_id)
    assert (row["kind"], row["target_state"]) == ("work_order", "APPROVED")


def test_an_operation_is_stored_with_what_was_asked(site: lockside.Session) -> None:
    operation_id = ask(
        site,
        [3, 1, 2],
        comments="Urgent",
        metadata={"site": "north"},
        atomic=False,
        isolation_level="SERIALIZABLE",
        max_retries=7,
        lease_s=9.0,
        wait_s=8.0,
        reason="import",
        run_at=LATER,
        stop_at_first_failure=True,
        parallel=4,
    )

    row = operation(site, operation_id)
    assert (
        row
        | {
            "state": "QUEUED",
            "operation_type": "transition_to_APPROVED",
            "comments": "Urgent",
            "details": {"site": "north"},
            "atomic": False,
            "isolation_level": "SERIALIZABLE",
            "max_retries": 7,
            "lease_seconds": 9.0,
            "wait_seconds": 8.0,
            "reason": "import",
            "queue": "bulk",
            "total": 3,
            "run_at": LATER,
            "stop_at_first_failure": True,
            "parallel": 4,
            "verb": "transition",
            "changes": None,
            "hook": None,
            "parent_id": None,
        }
        == row
    )


def test_ids_are_cut_into_sorted_chunks_that_hold_each_once(site: lockside.Session) -> None:
    operation_id = ask(site, [7, 3, 5, 1, 2, 4, 6], atomic=False, chunk_items=3)

    assert [each["ids"] for each in chunks(site, operation_id)] == [[1, 2, 3], [4, 5, 6], [7]]


def test_expected_versions_go_with_their_ids(site: lockside.Session) -> None:
    operation_id = ask(
        site, [1, 2, 3, 4], atomic=False, chunk_items=2, expected_versions={4: 9, 1: 5}
    )

    assert [each["expected_versions"] for each in chunks(site, operation_id)] == [
        [5, None],
        [None, 9],
    ]


def test_all_or_nothing_is_one_chunk_however_many_items(site: lockside.Session) -> None:
    operation_id = ask(site, range(1, 2502), chunk_items=100)

    assert len(chunks(site, operation_id)) == 1


@pytest.mark.parametrize(
    ("ids", "queue", "reason"), [([1], "interactive", "user_action"), ([1, 2], "bulk", "bulk")]
)
def test_one_transition_goes_before_bulk(
    site: lockside.Session, ids: list[int], queue: str, reason: str
) -> None:
    row = operation(site, ask(site, ids))

    assert (row["queue"], row["reason"]) == (queue, reason)


def test_a_message_carries_the_operation_and_the_chunk_and_nothing_else(
    site: lockside.Session,
) -> None:
    broker = Recorder()
    platform = replace(site.platform, publish=broker)

    operation_id = submit(
        platform, site.actor, Submission("work_order", [1], "APPROVED", comments="private")
    )

    assert broker.sent == [("bulk.run_chunk", {"operation_id": str(operation_id), "chunk_no": 0})]


def test_a_broker_that_is_away_is_no_refusal(site: lockside.Session) -> None:
    ids = work_orders(site, 3)
    away = replace(site.platform, publish=Recorder(away=True))

    operation_id = submit(away, site.actor, Submission("work_order", ids, "APPROVED"))

    assert operation(site, operation_id)["state"] == "QUEUED"


def test_what_the_broker_did_not_take_the_sweeper_sends(site: lockside.Session) -> None:
    broker = Recorder(away=True)
    platform = replace(site.platform, publish=broker, pace=Pace(republish_after_s=0.0))
    submit(platform, site.actor, Submission("work_order", [1, 2], "APPROVED"))
    broker.away = False

    sweep(platform)

    assert broker.chunks() == [0]


# Idempotency


def test_the_same_key_and_content_is_the_same_operation(site: lockside.Session) -> None:
    first = ask(site, [1, 2], idempotency_key="night")

    again = ask(site, [2, 1], idempotency_key="night")

    assert again == first


def test_an_operation_that_has_ended_is_still_the_answer(site: lockside.Session) -> None:
    ids = work_orders(site, 2)
    first = ask(site, ids, idempotency_key="night")
    drain(site, first)

    again = ask(site, ids, idempotency_key="night")

    assert (again, len(stored(site))) == (first, 1)


@pytest.mark.parametrize(
    "named",
    [
        {"verb": "update", "target": None, "values": {"vendor": "Gone"}},
        {"approved_by": "gone"},
    ],
)
def test_a_name_that_is_gone_since_changes_no_answer(
    site: lockside.Session, named: dict[str, Any]
) -> None:
    vendor = site.records("vendor").create(name="Gone")["id"]
    person = site.records("person").create(name="gone")["id"]
    asked: dict[str, Any] = {"ids": work_orders(site, 1), "idempotency_key": "night"} | named
    first = ask(site, **asked)
    site.records("vendor").update(vendor, name="Zed")
    site.records("person").update(person, name="zed")

    assert ask(site, **asked) == first


def test_the_same_key_from_twenty_threads_is_one_operation(site: lockside.Session) -> None:
    answers = at_once(*[lambda: ask(site, [1, 2], idempotency_key="night")] * 20)

    assert len(set(answers)) == 1
    assert isinstance(answers[0], UUID)
    assert len(stored(site)) == 1


CONTENT = [
    {"ids": [1, 2, 3]},
    {"target": "REJECTED"},
    {"comments": "other"},
    {"metadata": {"a": 1}},
    {"approved_by": "asha"},
    {"atomic": False},
    {"dry_run": True},
    {"expected_versions": {1: 2}},
    {"reason": "import"},
    {"kind": "ticket", "target": "OPEN"},
    {"run_at": LATER},
    {"atomic": False, "stop_at_first_failure": True},
    {"parallel": 2},
    {"verb": "update", "target": None, "values": {"remarks": "x"}},
]


@pytest.mark.parametrize("content", CONTENT, ids=min)
def test_the_same_key_for_another_content_is_refused(
    site: lockside.Session, content: dict[str, Any]
) -> None:
    first = ask(site, [1, 2], idempotency_key="night")

    with pytest.raises(IdempotencyMismatch) as refused:
        ask(site, **({"ids": [1, 2], "idempotency_key": "night"} | content))

    assert refused.value.facts == {"key": "night", "operation_id": str(first)}


def test_another_person_has_keys_of_her_own(site: lockside.Session) -> None:
    first = ask(site, [1, 2], idempotency_key="night")
    site.act_as("demo", "asha")

    second = ask(site, [1, 2, 3], idempotency_key="night")

    assert second != first


def test_the_system_has_keys_of_its_own_and_keeps_them(site: lockside.Session) -> None:
    first = ask(site, [1, 2], idempotency_key="night")
    site.act_as("demo", None)

    second = ask(site, [1, 2], idempotency_key="night")

    assert second != first
    assert ask(site, [1, 2], idempotency_key="night") == second


def test_without_a_key_each_submission_is_an_operation(site: lockside.Session) -> None:
    assert ask(site, [1]) != ask(site, [1])


@pytest.mark.parametrize(
    ("kind", "state", "target"),
    [
        ("work_order", "SUBMITTED", "APPROVED"),
        ("task", "ASSIGNED", "INPROGRESS"),
        ("attendance", "PENDING", "APPROVED"),
        ("ticket", "NEW", "OPEN"),
    ],
)
def test_all_kinds_of_work_go_the_same_way(
    site: lockside.Session, kind: str, state: str, target: str
) -> None:
    ids = MAKERS[kind](site, 2, state=state)

    operation_id = ask(site, ids, kind=kind, target=target)
    drain(site, operation_id)

    assert set(outcomes(site, operation_id).values()) == {"SUCCEEDED"}
    assert rows(site, kind) == dict.fromkeys(ids, (target, 2))
    check_invariants(site)


# For later, and so many at a time


def test_what_is_for_later_is_not_sent_and_not_run(site: lockside.Session) -> None:
    broker = Recorder()
    platform = replace(site.platform, publish=broker, pace=Pace(republish_after_s=0.0))
    wanted = Submission("work_order", work_orders(site, 1), "APPROVED", run_at=LATER)

    operation_id = submit(platform, site.actor, wanted)
    sweep(platform)

    assert broker.chunks() == []
    assert run_chunk(platform, operation_id, 0).startswith("not due")


def test_what_was_for_later_is_sent_by_the_sweeper_once_it_is_due(site: lockside.Session) -> None:
    broker = Recorder()
    platform = replace(site.platform, publish=broker)
    wanted = Submission("work_order", work_orders(site, 1), "APPROVED", run_at=LATER)
    operation_id = submit(platform, site.actor, wanted)

    due_now(site)
    sweep(platform)

    assert broker.chunks() == [0]
    assert run_chunk(platform, operation_id, 0) == "finished"


def test_no_more_chunks_are_sent_at_a_time_than_asked(site: lockside.Session) -> None:
    broker = Recorder()
    platform = replace(site.platform, publish=broker)
    ids = work_orders(site, 6)
    wanted = Submission("work_order", ids, "APPROVED", atomic=False, chunk_items=1, parallel=2)

    submit(platform, site.actor, wanted)

    assert broker.chunks() == [0, 1]


OPEN_TRANSACTIONS = """
SELECT FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND datname = current_database()
"""


def test_no_transaction_waits_for_a_slow_file(site: lockside.Session) -> None:
    open_while_read: list[int] = []

    class Slow(BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            open_while_read.append(len(query(site, OPEN_TRANSACTIONS)))
            return super().read1(10)

    ids = tickets(site, 20)
    file = Slow("\n".join(["id", *map(str, ids)]).encode())
    asked = site.transition("ticket", to="OPEN", file=file, form="csv")

    assert drain(site, asked._id)["successful_items"] == 20
    assert len(open_while_read) > 5
    assert set(open_while_read) == {0}
