"""A row in a final state changes in no way: not by a verb, not as a record, not by raw SQL."""

from typing import Any

import psycopg
import pytest
from psycopg import sql

import lockside
from domain.errors import InvalidInput, LocksideError, RuleRefused
from models.base import Assignable, kinds, records
from tests.engine.steps import drain, query, raw
from tests.engine.works import do, move, why
from tests.factories import MAKERS
from tests.sentences import Sentences

FINAL = {"attendance": "LOCKED", "task": "AUTOCLOSED", "work_order": "CLOSED", "ticket": "CLOSED"}
ENDED = {"task": "COMPLETED", "work_order": "COMPLETED"}
VALUES: dict[str, Any] = {"reference": "R-1"}
PARTS: dict[str, tuple[str, dict[str, Any]]] = {
    "task": ("reading", {"name": "flow", "value": "1"}),
    "work_order": ("work_order_line", {"description": "Oil"}),
}
each_kind = pytest.mark.parametrize("kind", FINAL)


def test_every_kind_is_among_these() -> None:
    assert set(FINAL) == set(kinds())


def final(site: lockside.Session, kind: str) -> int:
    return MAKERS[kind](site, 1, state=FINAL[kind])[0]


def untouched(site: lockside.Session, kind: str, row_id: int) -> bool:
    return bool(site.row(kind, row_id)["version"] == 1)


@each_kind
def test_a_final_row_takes_no_transition(site: lockside.Session, kind: str) -> None:
    row_id = final(site, kind)
    here = site.row(kind, row_id)["state"]

    answers = {
        code
        for state in kinds()[kind].machine.states
        if state != here
        for code in why(move(site, kind, row_id, state))
    }

    assert (answers, untouched(site, kind, row_id)) == ({"illegal_transition"}, True)


@each_kind
def test_a_final_row_takes_no_update(site: lockside.Session, kind: str) -> None:
    row_id = final(site, kind)

    told = drain(site, do(site, kind, row_id, verb="update", values=VALUES))

    assert (why(told), untouched(site, kind, row_id)) == (["record_locked"], True)


@each_kind
def test_a_final_row_takes_no_assignment(site: lockside.Session, kind: str) -> None:
    row_id = final(site, kind)
    asked = {"verb": "assign", "values": {"assigned_to_user": "asha"}}
    if not issubclass(kinds()[kind], Assignable):
        with pytest.raises(InvalidInput):
            do(site, kind, row_id, **asked)
        return

    told = drain(site, do(site, kind, row_id, **asked))

    assert (why(told), untouched(site, kind, row_id)) == (["record_locked"], True)


def refused(error: LocksideError) -> list[str]:
    return [each["code"] for each in error.facts["reasons"]]


@each_kind
def test_a_final_row_is_neither_updated_nor_deleted_as_a_record(
    site: lockside.Session, kind: str
) -> None:
    row_id = final(site, kind)

    with pytest.raises(RuleRefused) as update:
        site.records(kind).update(row_id, **VALUES)
    with pytest.raises(RuleRefused) as deletion:
        site.records(kind).delete(row_id)

    assert [refused(each.value) for each in (update, deletion)] == [["record_locked"]] * 2
    assert untouched(site, kind, row_id)


@pytest.mark.parametrize("kind", PARTS)
def test_a_final_row_gets_no_part(site: lockside.Session, kind: str) -> None:
    row_id = final(site, kind)
    resource_type, values = PARTS[kind]

    with pytest.raises(RuleRefused) as told:
        site.records(resource_type).create(**{f"{kind}_id": row_id}, **values)

    assert (refused(told.value), untouched(site, kind, row_id)) == (["record_locked"], True)


@each_kind
@pytest.mark.parametrize("change", ["updated_at = clock_timestamp()", "deleted_at = now()"])
def test_the_database_refuses_every_change_of_a_final_row(
    site: lockside.Session, kind: str, change: str, says: Sentences
) -> None:
    row_id = final(site, kind)
    table = kinds()[kind].__tablename__

    with raw(site) as session:
        session.execute("SET LOCAL lockside.override = 'test'")
        with pytest.raises(psycopg.Error, check=says) as told:
            session.execute(
                sql.SQL("UPDATE {} SET version = version + 1, {} WHERE id = %s").format(
                    sql.Identifier(table), sql.SQL(change)
                ),
                [row_id],
            )
        session.rollback()

    assert (told.value.sqlstate, untouched(site, kind, row_id)) == ("LS001", True)


@pytest.mark.parametrize("kind", PARTS)
def test_the_part_of_a_final_row_is_neither_changed_nor_deleted(
    site: lockside.Session, kind: str
) -> None:
    resource_type, values = PARTS[kind]
    (row_id,) = MAKERS[kind](site, 1, state=ENDED[kind])
    part = site.records(resource_type).create(**{f"{kind}_id": row_id}, **values)
    site.act_as("demo", None)
    move(site, kind, row_id, FINAL[kind])
    site.act_as("demo", "admin")

    for ask in (
        site.records(resource_type).delete,
        lambda each: site.records(resource_type).update(each, **values),
    ):
        with pytest.raises(RuleRefused):
            ask(part["id"])

    assert query(site, f"SELECT version FROM {records()[resource_type].__tablename__}") == [
        {"version": 1}
    ]
