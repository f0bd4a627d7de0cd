"""Tenants are apart: what is another's answers exactly as what is not there."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

import lockside
from domain.errors import LocksideError
from engine.audit.writer import write_records
from tests.engine.steps import ask, drain, query, rows
from tests.factories import work_orders


@pytest.fixture
def foreign(site: lockside.Session) -> dict[str, Any]:
    """Make a row and an operation of another tenant, then act for one's own again."""
    site.act_as("other", "admin")
    (row_id,) = work_orders(site, 1)
    operation_id = ask(site, [row_id], idempotency_key="night")
    site.act_as("demo", "admin")
    return {"row": row_id, "operation": operation_id}


def answer(ask_for: Callable[[], object], named: object) -> tuple[str, str]:
    """Return class and message of a refusal, without the id that was asked for."""
    with pytest.raises(LocksideError) as refused:
        ask_for()
    return refused.value.code, str(refused.value).replace(str(named), "…")


QUESTIONS: list[Any] = [
    pytest.param("row", lambda site, name: site.row("work_order", name), id="row"),
    pytest.param("row", lambda site, name: site.explain("work_order", name), id="explain"),
    pytest.param("operation", lambda site, name: site.operation(name).show(), id="show"),
    pytest.param("operation", lambda site, name: site.operation(name).cancel(), id="cancel"),
    pytest.param("operation", lambda site, name: site.operation(name).wait(1), id="wait"),
    pytest.param(
        "operation", lambda site, name: list(site.operation(name).results()), id="results"
    ),
]


@pytest.mark.parametrize(("sort", "question"), QUESTIONS)
def test_what_is_anothers_answers_as_what_is_not_there(
    site: lockside.Session,
    foreign: dict[str, Any],
    sort: str,
    question: Callable[[lockside.Session, Any], object],
) -> None:
    missing: int | UUID = 10**9 if sort == "row" else uuid4()

    theirs = answer(lambda: question(site, foreign[sort]), foreign[sort])

    assert theirs == answer(lambda: question(site, missing), missing)
    assert theirs[0] == "not_found"


def test_a_transition_of_anothers_row_fails_as_one_of_no_row(
    site: lockside.Session, foreign: dict[str, Any]
) -> None:
    operation_id = ask(site, [foreign["row"], 10**9], atomic=False)
    drain(site, operation_id)

    theirs, missing = site.operation(operation_id).failures()

    assert (theirs.code, theirs.message.replace(str(theirs.id), "…")) == (
        missing.code,
        missing.message.replace(str(missing.id), "…"),
    )


def test_anothers_row_is_not_touched(site: lockside.Session, foreign: dict[str, Any]) -> None:
    drain(site, ask(site, [foreign["row"]]))

    assert rows(site) == {foreign["row"]: ("SUBMITTED", 1)}


def test_anothers_expected_version_is_no_conflict(
    site: lockside.Session, foreign: dict[str, Any]
) -> None:
    told = drain(site, ask(site, [foreign["row"]], expected_versions={foreign["row"]: 5}))

    assert told["failure_codes"] == {"not_found": 1}


def test_a_transition_of_anothers_row_leaves_a_denial_and_no_other_record(
    site: lockside.Session, foreign: dict[str, Any]
) -> None:
    write_records(site.platform)

    drain(site, ask(site, [foreign["row"]]))

    assert query(site, "SELECT record FROM outbox") == [{"record": "permission_denial"}]


def test_a_key_that_another_tenant_used_is_free(
    site: lockside.Session, foreign: dict[str, Any]
) -> None:
    mine = ask(site, [foreign["row"]], idempotency_key="night")

    assert mine != foreign["operation"]


def test_a_selection_counts_anothers_rows_as_missing(
    site: lockside.Session, foreign: dict[str, Any]
) -> None:
    told = site.explain("work_order", [foreign["row"]], to="APPROVED")

    assert [each["code"] for each in told["blocked_by"]] == ["not_found"]


@pytest.mark.usefixtures("foreign")
def test_lists_hold_ones_own_only(site: lockside.Session) -> None:
    assert (site.operations(), site.ids("work_order"), site.states("work_order")) == ([], [], {})


def test_the_timeline_of_anothers_row_is_empty(
    site: lockside.Session, foreign: dict[str, Any]
) -> None:
    write_records(site.platform)

    assert site.timeline("work_order", foreign["row"]) == []
    site.act_as("other", "admin")
    assert [each["event_type"] for each in site.timeline("work_order", foreign["row"])] == [
        "CREATED"
    ]
