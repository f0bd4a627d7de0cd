"""Bulk from the command line: filters, canary and pause, plans, retries, undo."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import lockside
from tests.engine.works import task
from tests.factories import tickets, work_orders
from tests.interfaces.commands import Answer, at_a_terminal, call
from worker.settings import Settings

pytestmark = pytest.mark.usefixtures("worker")


def mine(site: lockside.Session, count: int, mark: str, **more: Any) -> list[int]:
    """Bring in work orders that a filter can tell from those of other tests."""
    return work_orders(site, count, remarks=mark, **more)


def approve(settings: Settings, mark: str, *words: str) -> Answer:
    """Approve the work orders of a mark."""
    where = f"state=SUBMITTED and remarks={mark}"
    return call(settings, *["submit", "approve", "work-order", "--json", "--where"], where, *words)


@pytest.mark.slow
def test_a_filter_chooses_rows(settings: Settings, site: lockside.Session) -> None:
    ids = mine(site, 3, "chosen")

    answer = approve(settings, "chosen", "--expect-count", "3")

    assert (answer.code, answer.json["successful_ids"]) == (0, [str(each) for each in ids])


def test_another_number_than_expected_is_refused_with_its_option(
    settings: Settings, site: lockside.Session
) -> None:
    mine(site, 3, "counted")

    answer = call(
        settings,
        *("submit", "approve", "work-order", "--where", "remarks=counted", "--expect-count", "4"),
    )

    assert answer.code == 2
    assert "--expect-count: got '3 matching rows', expected 4" in answer.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--where", ""), "--where: got 'nothing'"),
        (("--where", "colour=red"), "--where: got 'colour', expected a field among"),
        (("--where", "state=FOO"), "--where: got 'state = FOO', expected one of DRAFT"),
        (("--where", "state=SUBMITTED", "17"), "rows in two ways"),
        (("--where", "state=SUBMITTED and"), "the end at character 20"),
        ((), "--where"),
    ],
)
def test_a_senseless_choice_is_refused(
    settings: Settings, words: tuple[str, ...], told: str
) -> None:
    answer = call(settings, "submit", "approve", "work-order", *words)

    assert answer.code == 2
    assert told in answer.err


def test_before_many_rows_their_number_is_asked_about(
    settings: Settings, site: lockside.Session
) -> None:
    tickets(site, 1001, description="many")

    answer = at_a_terminal(
        settings, *("submit", "open", "ticket", "--where", "description=many"), typed="n\n"
    )

    assert "Open 1,001 rows of ticket?" in answer.out
    assert answer.code == 9


@pytest.mark.slow
def test_a_canary_pauses_and_is_resumed(settings: Settings, site: lockside.Session) -> None:
    mine(site, 5, "canary")

    paused = approve(settings, "canary", "--continue", "--canary", "2")
    operation_id = paused.json["operation_id"]
    shown = call(settings, "operations", "show", operation_id)
    resumed = call(settings, "operations", "resume", operation_id)
    ended = call(settings, "operations", "watch", operation_id, "--json")

    assert (paused.code, paused.json["error"], paused.json["done"]) == (8, "paused", 2)
    assert "its canary" in shown.out
    assert resumed.code == 0
    assert (ended.code, ended.json["successful_items"]) == (0, 5)


def test_a_plan_is_made_told_and_executed(settings: Settings, site: lockside.Session) -> None:
    good, _ = mine(site, 2, "planned"), mine(site, 1, "planned", vendor=False)
    where = ("--where", "remarks=planned")

    planned = call(settings, "submit", "approve", "work-order", *where, "--continue", "--dry-run")
    operation_id = planned.out.split()[-1]
    done = call(settings, "submit", "plan", operation_id, "--json")

    assert f"lockside submit plan {operation_id}" in planned.out
    assert (done.code, done.json["successful_ids"]) == (0, [str(each) for each in good])


@pytest.mark.slow
def test_a_plan_keeps_its_canary(settings: Settings, site: lockside.Session) -> None:
    mine(site, 5, "cautious")

    planned = approve(settings, "cautious", "--continue", "--dry-run", "--canary", "2")
    operation_id = planned.json["operation_id"]
    shown = call(settings, "operations", "show", operation_id)
    executed = call(settings, "submit", "plan", operation_id, "--json")
    ended = call(settings, "operations", "resume", executed.json["operation_id"])

    assert (planned.code, planned.json["successful_items"]) == (0, 5)
    assert "the first 2 items, then a pause" in shown.out
    assert (executed.code, executed.json["error"], executed.json["done"]) == (8, "paused", 2)
    assert ended.code == 0


def test_failures_are_tried_again_and_everything_is_undone(
    settings: Settings, site: lockside.Session
) -> None:
    bad = mine(site, 2, "again", vendor=False)
    good = mine(site, 1, "again")

    failed = call(
        settings, *("submit", "approve", "work-order", "--where", "remarks=again", "--continue")
    )
    operation_id = failed.out.split()[-1]
    for each in bad:
        site.records("work_order").update(each, vendor="Acme Lifts")
    retried = call(
        settings, "operations", "retry", operation_id, "--only", "vendor_missing", "--json"
    )
    undone = call(settings, "operations", "undo", operation_id, "--json")

    assert (failed.code, f"lockside operations retry {operation_id}" in failed.out) == (3, True)
    assert (retried.code, retried.json["successful_ids"]) == (0, [str(each) for each in bad])
    assert (undone.code, undone.json["successful_ids"]) == (0, [str(each) for each in good])
    assert undone.json["operation_type"] == "undo_transition_to_APPROVED"
    shown = call(settings, "operations", "show", undone.json["operation_id"])
    assert "undo of → APPROVED" in shown.out


def test_a_file_is_sent_its_bad_lines_mended_and_sent_again(
    settings: Settings, site: lockside.Session, tmp_path: Path
) -> None:
    one, two = tickets(site, 2, state="INPROGRESS")
    file = tmp_path / "done.csv"
    file.write_text(f"id,comments,room\n{one},Refitted,B 12\n{two},,C 3\n,Lost,D\n")
    move = ("submit", "transition", "ticket", "--to", "RESOLVED", "--continue", "--from-csv")

    sent = call(settings, *move, file)
    operation_id = sent.out.split()[-1]
    bad = call(settings, "operations", "results", operation_id, "--failed", "--csv").out
    file.write_text(bad.replace(f"{two},,C 3", f"{two},Cleaned,C 3").replace("\n,Lost", "\n0,Lost"))
    again = call(settings, *move, file, "--json")

    assert sent.code == 3
    assert bad.splitlines() == [
        "id,comments,room,line,outcome,code,message",
        ",Lost,D,4,FAILED,value_missing,"
        '"nothing where something is needed: expected an id, or a reference"',
        f"{two},,C 3,3,FAILED,comments_required,Comments are required for this transition",
    ]
    assert again.json["successful_ids"] == [str(two)]
    assert again.json["failed_ids"] == ["line 2"]


def results(settings: Settings, operation_id: str, *words: str) -> Answer:
    """Ask for what failed."""
    return call(settings, "operations", "results", operation_id, "--failed", *words)


def send(settings: Settings, file: Path, *words: str) -> Answer:
    """Open tickets by a file."""
    form = f"--from-{file.suffix[1:]}"
    return call(settings, "submit", "open", "ticket", "--continue", form, file, *words)


def test_outcomes_of_a_file_have_all_its_columns_whatever_its_first_line_is(
    settings: Settings, site: lockside.Session, tmp_path: Path
) -> None:
    file = tmp_path / "some.ndjson"
    lines = ['{"id": 1', '{"id": "x", "room": "B 12"}', '{"id": "y", "colour": "red"}']
    file.write_text("\n".join([*lines, json.dumps({"id": tickets(site, 1)[0], "note": 7})]))

    sent = send(settings, file, "--json")
    told = results(settings, sent.json["operation_id"], "--csv").out.splitlines()

    assert told[0] == "id,room,colour,note,line,outcome,code,message"
    assert [each.rpartition("FAILED")[0] for each in told[1:]] == [
        ",,,,1,",
        "x,B 12,,,2,",
        "y,,red,,3,",
    ]


def test_results_that_are_sent_again_tell_what_is_wrong_now(
    settings: Settings, site: lockside.Session, tmp_path: Path
) -> None:
    file = tmp_path / "some.csv"
    (row_id,) = tickets(site, 1)
    file.write_text(f"id\n{row_id}\nx\ny\n")
    sent = send(settings, file, "--json").json["operation_id"]
    file.write_text(results(settings, sent, "--csv").out.replace("x,", "0,") + f"{row_id},,,,\n")

    again = send(settings, file, "--json").json["operation_id"]

    told = results(settings, again, "--csv").out.splitlines()
    assert told[0] == "id,line,outcome,code,message"
    assert [each.rpartition(",")[0] for each in told[1:]] == [
        "0,2,FAILED,out_of_range",
        "y,3,FAILED,not_a_number",
    ]


def test_ids_are_those_of_rows(settings: Settings, site: lockside.Session, tmp_path: Path) -> None:
    file = tmp_path / "some.csv"
    (closed,) = tickets(site, 1, state="CLOSED")
    file.write_text(f"id\nx\n{closed}\n")

    sent = send(settings, file, "--json")

    assert results(settings, sent.json["operation_id"], "--ids").out == f"{closed}\n"


def test_cells_that_an_update_would_empty_are_told(
    settings: Settings, site: lockside.Session, tmp_path: Path
) -> None:
    file = tmp_path / "some.ndjson"
    lines = [{"id": "x", "description": "A"}, {"id": tickets(site, 1)[0], "priority": "LOW"}]
    file.write_text("\n".join(map(json.dumps, lines)))
    sent = call(
        settings, "submit", "update", "ticket", "--continue", "--json", "--from-ndjson", file
    )

    told = results(settings, sent.json["operation_id"], "--csv")

    assert told.out.splitlines()[0] == "id,description,priority,line,outcome,code,message"
    assert "an empty cell empties its field" in told.err


def test_where_only_lines_failed_there_is_nothing_to_retry(
    settings: Settings, site: lockside.Session, tmp_path: Path
) -> None:
    file = tmp_path / "some.csv"
    file.write_text(f"id\nx\n{tickets(site, 1)[0]}\n")

    sent = send(settings, file)

    assert "Mend 1 line of the file, and send it again: lockside operations results" in sent.out
    assert "operations retry" not in sent.out


def test_bad_lines_bring_their_readings_again(
    settings: Settings, site: lockside.Session, tmp_path: Path
) -> None:
    row_id = task(site, asks=["pressure", "panel clean"])
    file, mended = tmp_path / "round.ndjson", tmp_path / "round.csv"
    file.write_text(json.dumps({"id": row_id, "readings": {"pressure": 4.2}}))
    move = ("submit", "complete", "task", "--continue", "--json")

    sent = call(settings, *move, "--from-ndjson", file)
    bad = call(settings, "operations", "results", sent.json["operation_id"], "--failed", "--csv")
    mended.write_text(bad.out.replace("4.2}", '4.2, ""panel clean"": ""yes""}'))
    again = call(settings, *move, "--from-csv", mended)

    assert sent.json["failure_codes"] == {"readings_missing": 1}
    assert again.json["successful_ids"] == [str(row_id)]
    found = [each for each in site.records("reading").each() if each["task_id"] == row_id]
    assert {each["name"] for each in found} == {"pressure", "panel clean"}


@pytest.mark.parametrize("command", ["assign ticket", "update ticket"])
def test_without_a_file_what_is_written_has_to_be_said(settings: Settings, command: str) -> None:
    answer = call(settings, "submit", *command.split(), "1")

    assert answer.code == 2
    assert "a file with" in answer.err


def test_what_comes_out_of_an_operation_says_of_which(
    settings: Settings, site: lockside.Session
) -> None:
    mine(site, 1, "origin")
    asked = approve(settings, "origin").json["operation_id"]
    undone = call(settings, "operations", "undo", asked, "--json").json["operation_id"]

    assert f"{asked} (undo)" in call(settings, "operations", "show", undone).out


def test_an_operation_shows_what_came_out_of_it(settings: Settings, site: lockside.Session) -> None:
    mine(site, 2, "parent")
    mine(site, 1, "parent", vendor=False)
    asked = approve(settings, "parent", "--continue").json["operation_id"]
    before = site.operation(asked).show()["children"]

    derived = [
        call(settings, "operations", *command, asked, "--json").json["operation_id"]
        for command in (("retry",), ("retry", "--only", "vendor_missing"), ("undo",))
    ]
    shown = call(settings, "operations", "show", asked)

    told = [
        {"id": derived[0], "purpose": "retry", "state": "COMPLETED_WITH_ERRORS"},
        {"id": derived[1], "purpose": "retry:vendor_missing", "state": "COMPLETED_WITH_ERRORS"},
        {"id": derived[2], "purpose": "undo", "state": "SUCCEEDED"},
    ]
    assert before == []
    assert site.operation(asked).show()["children"] == told
    assert call(settings, "operations", "show", asked, "--json").json["children"] == told
    assert all(f"{each['id']} ({each['purpose']}, {each['state']})" in shown.out for each in told)
    assert site.operation(derived[2]).show()["parent_id"] == asked


def test_a_plan_shows_what_executed_it(settings: Settings, site: lockside.Session) -> None:
    mine(site, 1, "chosen once")
    planned = approve(settings, "'chosen once'", "--dry-run").json["operation_id"]

    done = call(settings, "submit", "plan", planned, "--json").json["operation_id"]

    assert f"{done} (plan, SUCCEEDED)" in call(settings, "operations", "show", planned).out


def test_paused_and_cancelled_by_name(settings: Settings, site: lockside.Session) -> None:
    operation = site.transition(
        "work_order",
        to="APPROVED",
        ids=mine(site, 1, "later"),
        run_at=datetime.now(UTC) + timedelta(days=1),
    )

    paused = call(settings, "operations", "pause", operation.id)
    shown = call(settings, "operations", "show", operation.id)
    cancelled = call(settings, "operations", "cancel", operation.id)

    assert (paused.code, paused.out.strip()) == (0, "PAUSED: 1 pending")
    assert "admin" in shown.out
    assert (cancelled.code, cancelled.out.strip()) == (0, "CANCELLED: 1 cancelled")


@pytest.mark.parametrize("command", ["pause", "resume", "retry", "undo"])
def test_what_is_not_there_is_told(settings: Settings, command: str) -> None:
    answer = call(settings, "operations", command, "00000000-0000-0000-0000-000000000000")

    assert answer.code == 6
    assert "No operation" in answer.err
