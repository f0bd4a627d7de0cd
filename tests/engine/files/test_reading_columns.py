"""Readings that a file brings with its tasks: written with the transition, or not at all."""

import json
from typing import Any

import pytest

import lockside
from domain.errors import InvalidInput
from engine.audit.writer import write_records
from tests.checker import check_invariants
from tests.engine.operations.test_row_file import done, failed, send
from tests.engine.steps import drain, operation, query, rows
from tests.engine.works import move, read, task
from tests.factories import tickets
from tests.sentences import Sentences

pytestmark = pytest.mark.slow

ASKED = ("pressure", "panel clean")


def readings(site: lockside.Session, task_id: int) -> dict[str, str]:
    """Return the readings of a task by name."""
    found = query(
        site,
        "SELECT name, value FROM field_task_reading WHERE task_id = :id AND deleted_at IS NULL",
        id=task_id,
    )
    return {each["name"]: each["value"] for each in found}


def complete(site: lockside.Session, *lines: dict[str, Any], **more: Any) -> lockside.Operation:
    """Hand in the completion of tasks by a file of objects, and do it."""
    text = "\n".join(map(json.dumps, lines))
    asked = send(site, "task", text, form="ndjson", to="COMPLETED", **more)
    done(site, asked)
    return asked


def ended(site: lockside.Session, asked: lockside.Operation) -> dict[str, Any]:
    """Return the result of an operation that has ended."""
    found: dict[str, Any] = operation(site, asked._id)["result"]
    return found


FORMS = {
    "csv": "id,comments,reading:pressure, Reading: panel clean \n{id},Done,4.2,yes\n",
    "ndjson": '{{"id": {id}, "readings": {{"pressure": 4.2, "panel clean": "yes"}}}}',
    "flat": '{{"id": {id}, "reading:pressure": 4.2, "reading:panel clean": "yes"}}',
    "loud": 'id,READINGS \n{id},"{{""pressure"": 4.2, ""panel clean"": ""yes""}}"\n',
    "both": 'id,readings\n{id},"{{""pressure"": 4.2, ""panel clean"": ""yes""}}"\n',
}


@pytest.mark.parametrize("form", FORMS)
def test_a_task_is_completed_with_the_readings_that_its_line_brings(
    site: lockside.Session, form: str
) -> None:
    row_id = task(site, asks=ASKED)
    sort = "csv" if FORMS[form].startswith("id,") else "ndjson"

    result = done(
        site, send(site, "task", FORMS[form].format(id=row_id), form=sort, to="COMPLETED")
    )

    assert result["successful_items"] == 1
    assert rows(site, "task")[row_id] == ("COMPLETED", 2)
    assert readings(site, row_id) == {"pressure": "4.2", "panel clean": "yes"}
    check_invariants(site)


def test_every_reading_has_its_record_under_the_operation(site: lockside.Session) -> None:
    first, second = task(site, asks=ASKED[:1]), task(site, asks=ASKED[:1])

    asked = complete(
        site,
        {"id": first, "readings": {"pressure": 1, "note": "wet"}},
        {"id": second, "readings": {"pressure": 2}},
    )

    write_records(site.platform)
    recorded = query(
        site,
        "SELECT version, changes FROM audit_log WHERE kind = 'reading' AND event_type = 'CREATED'"
        " AND actor_id = :actor AND correlation_id = :id ORDER BY entity_id",
        id=asked._id,
        actor=site.actor.person_id,
    )
    told = [{name: each["after"] for name, each in r["changes"].items()} for r in recorded]
    assert {each["version"] for each in recorded} == {1}
    assert sorted(told, key=str) == [
        {"task_id": first, "name": "note", "value": "wet"},
        {"task_id": first, "name": "pressure", "value": "1"},
        {"task_id": second, "name": "pressure", "value": "2"},
    ]


def test_a_refused_row_leaves_no_readings(site: lockside.Session) -> None:
    lacking, early = task(site, asks=ASKED), task(site, state="ASSIGNED", asks=ASKED[:1])
    stale = task(site, asks=ASKED[:1])

    asked = complete(
        site,
        {"id": lacking, "readings": {"pressure": 4.2, "panel clean": " "}},
        {"id": early, "readings": {"pressure": 4.2}},
        {"id": stale, "readings": {"pressure": 4.2}, "version": 7},
    )

    assert [code for code, _ in failed(asked).values()] == [
        "readings_missing",
        "illegal_transition",
        "concurrency_conflict",
    ]
    assert query(site, "SELECT id FROM field_task_reading") == []
    check_invariants(site)


def test_all_or_nothing_and_a_dry_run_leave_no_readings(site: lockside.Session) -> None:
    good, bad = task(site, asks=ASKED[:1]), task(site, asks=ASKED)
    lines = [{"id": each, "readings": {"pressure": 4.2}} for each in (good, bad)]

    together = complete(site, *lines, atomic=True)
    plan = complete(site, *lines, dry_run=True)

    assert ended(site, together)["state"] == "ROLLED_BACK"
    assert ended(site, plan)["successful_ids"] == [str(good)]
    assert query(site, "SELECT id FROM field_task_reading") == []
    drain(site, plan.execute()._id)
    assert readings(site, good) == {"pressure": "4.2"}


def test_a_row_that_is_there_already_gets_no_readings(site: lockside.Session) -> None:
    row_id = task(site, state="COMPLETED")

    asked = complete(site, {"id": row_id, "readings": {"pressure": 4.2}})

    assert ended(site, asked)["skipped_items"] == 1
    assert readings(site, row_id) == {}


def test_readings_come_with_other_transitions_too(site: lockside.Session) -> None:
    row_id = task(site, asks=ASKED)
    text = json.dumps({"id": row_id, "comments": "Rain", "readings": {"pressure": 4.2}})

    result = done(site, send(site, "task", text, form="ndjson", to="STANDBY"))

    assert result["successful_items"] == 1
    assert readings(site, row_id) == {"pressure": "4.2"}


def test_a_reading_that_the_task_has_is_kept_and_another_value_refused(
    site: lockside.Session,
) -> None:
    same, other = task(site, asks=ASKED[:1]), task(site, asks=ASKED[:1])
    for each in (same, other):
        read(site, each, "pressure", "4.2")

    asked = complete(
        site,
        {"id": same, "readings": {"pressure": 4.2}},
        {"id": other, "readings": {"pressure": 9, "note": "wet"}},
    )

    (told,) = asked.results(only="FAILED")
    assert (told["line"], told["code"]) == (2, "invalid_input")
    assert told["message"] == (
        "reading:pressure: got '9', expected '4.2', which the task has: "
        "update that reading, or leave it out"
    )
    assert (readings(site, same), readings(site, other)) == ({"pressure": "4.2"},) * 2
    check_invariants(site)


BAD = {
    '"readings": {"pressure": true}': ("not_text", "reading:pressure", True),
    '"readings": {"pressure": [4.2]}': ("not_text", "reading:pressure", "[4.2]"),
    '"readings": {"pressure": 1e400}': ("not_text", "reading:pressure", "inf"),
    '"readings": {"pressure": "a\\u0000b"}': ("bad_characters", "reading:pressure", None),
    '"readings": {"p\\ud800": 1}': ("bad_characters", None, None),
    '"readings": {"": 1}': ("value_missing", "reading:", ""),
    f'"readings": {{"{"x" * 501}": 1}}': ("too_long", None, None),
    f'"reading:pressure": "{"x" * 10_001}"': ("too_long", "reading:pressure", None),
    '"readings:pressure": 4.2': ("unknown_field", "readings:pressure", 4.2),
    '"Reading": {"pressure": 4.2}': ("unknown_field", "Reading", '{"pressure": 4.2}'),
    '"readings": 4.2': ("not_an_object", "readings", 4.2),
    f'"readings": "{{\\"pressure\\": {"[" * 60}{"]" * 60}}}"': ("not_an_object", None, None),
    '"readings": "4.2"': ("not_an_object", "readings", "4.2"),
    '"readings": {"pressure": 1}, "reading:pressure": 2': ("check_failed", "reading:pressure", "2"),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_reading_that_is_none_is_told_by_line_field_and_value(
    site: lockside.Session, bad: str, says: Sentences
) -> None:
    row_id, good = task(site, asks=ASKED[:1]), task(site, asks=ASKED[:1])
    text = f'{{"id": {good}, "readings": {{"pressure": 1}}}}\n{{"id": {row_id}, {bad}}}'

    asked = send(site, "task", text, form="ndjson", to="COMPLETED")
    result = done(site, asked)

    code, field, value = BAD[bad]
    (told,) = asked.results(only="FAILED")
    assert (told["line"], told["code"], result["successful_ids"]) == (2, code, [str(good)])
    assert field in (None, told["field"])
    assert value is None or str(told["value"]) in (str(value), str(value).lower())
    assert readings(site, row_id) == {}
    with pytest.raises(InvalidInput, check=says):
        send(site, "task", text, form="ndjson", to="COMPLETED", atomic=True)


def test_who_may_not_record_readings_brings_none(site: lockside.Session) -> None:
    with_some, without = task(site, asks=ASKED[:1]), task(site)
    query(site, "UPDATE role SET permissions = array_remove(permissions, 'task.record')")

    asked = complete(
        site, {"id": with_some, "readings": {"pressure": 4.2}}, {"id": without, "readings": {}}
    )

    assert ended(site, asked)["successful_ids"] == [str(without)]
    assert failed(asked)[1][0] == "permission_denied"
    assert readings(site, with_some) == {}
    check_invariants(site)
    (denied,) = query(site, "SELECT required_permissions FROM permission_denial_audit")
    assert denied["required_permissions"] == ["task.complete", "task.record"]


def test_a_kind_without_readings_passes_their_columns_over(site: lockside.Session) -> None:
    (row_id,) = tickets(site, 1)

    result = done(site, send(site, "ticket", f"id,reading:pressure\n{row_id},4.2\n", to="OPEN"))

    assert result["successful_items"] == 1
    assert query(site, "SELECT id FROM field_task_reading") == []


def test_an_update_takes_no_readings(site: lockside.Session, says: Sentences) -> None:
    row_id = task(site)

    with pytest.raises(InvalidInput, check=says):
        send(site, "task", f"id,reading:pressure\n{row_id},4.2\n")


@pytest.mark.parametrize("column", ["readings:pressure", "Reading", " reading_pressure "])
def test_a_column_that_looks_like_a_reading_and_is_none_is_refused(
    site: lockside.Session, column: str, says: Sentences
) -> None:
    row_id = task(site)

    with pytest.raises(InvalidInput, check=says):
        send(site, "task", f"id,{column}\n{row_id},4.2\n", to="COMPLETED")

    ignored = send(
        site, "task", f"id,{column}\n{row_id},4.2\n", to="COMPLETED", ignore=[column.strip()]
    )
    assert done(site, ignored)["successful_items"] == 1
    assert readings(site, row_id) == {}


def test_an_ignored_column_brings_no_reading(site: lockside.Session) -> None:
    row_id = task(site)
    text = f"id,reading:pressure, reading:flow \n{row_id},4.2,3\n"

    done(site, send(site, "task", text, to="COMPLETED", ignore=["reading:flow"]))

    assert readings(site, row_id) == {"pressure": "4.2"}


def test_undo_takes_the_state_back_and_leaves_what_was_read(site: lockside.Session) -> None:
    row_id = task(site, asks=ASKED[:1])
    line = {"id": row_id, "readings": {"pressure": 4.2}}
    asked = complete(site, line)

    done(site, asked.undo())

    assert rows(site, "task")[row_id] == ("INPROGRESS", 3)
    assert readings(site, row_id) == {"pressure": "4.2"}
    again = complete(site, line)
    assert ended(site, again)["successful_items"] == 1
    check_invariants(site)


def test_what_failed_is_tried_again_with_its_readings(site: lockside.Session) -> None:
    row_id = task(site, state="ASSIGNED", asks=ASKED[:1])
    asked = complete(site, {"id": row_id, "readings": {"pressure": 4.2}})
    site.records("task").update(row_id, assigned_to_user="tomas")
    move(site, "task", row_id, "INPROGRESS")

    result = done(site, asked.retry())

    assert result["successful_items"] == 1
    assert readings(site, row_id) == {"pressure": "4.2"}


def test_rows_of_every_slice_get_their_own_readings_in_one_statement(
    site: lockside.Session,
) -> None:
    job = site.records("job").create(name="Round", asks_for=["pressure"])["id"]
    new = [{"title": "Pump", "state": "INPROGRESS", "job_id": job} for _ in range(2_500)]
    ids = site.import_work("task", new)
    text = "id,reading:pressure\n" + "".join(f"{each},{each}\n" for each in ids)

    result = done(site, send(site, "task", text, to="COMPLETED", atomic=True))

    assert result["successful_items"] == 2_500
    taken = query(site, "SELECT task_id, value FROM field_task_reading")
    assert {each["task_id"]: each["value"] for each in taken} == {each: str(each) for each in ids}
    check_invariants(site)
