"""The exit code tells what came of it."""

import subprocess
from pathlib import Path

import pytest

import lockside
from cli.exits import exit_code_of_error, exit_code_of_result
from tests.factories import tickets, work_orders
from tests.interfaces.commands import PROGRAM, Answer, call
from tests.workers import Worker, environment
from worker.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("worker")]


def approve(settings: Settings, *words: object) -> Answer:
    return call(settings, "submit", "transition", "work-order", "--to", "approved", *words)


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        ("invalid_input", 2),
        ("permission_denied", 4),
        ("illegal_transition", 5),
        ("rule_refused", 5),
        ("vendor_missing", 5),
        ("a_rule_of_tomorrow", 5),
        ("not_found", 6),
        ("concurrency_conflict", 7),
        ("idempotency_mismatch", 7),
        ("still_running", 8),
        ("locked", 75),
        ("rate_limited", 75),
        ("unavailable", 75),
    ],
)
def test_a_code_has_its_exit_code(code: str, exit_code: int) -> None:
    assert exit_code_of_error(code) == exit_code


@pytest.mark.parametrize(
    ("state", "total", "failures", "exit_code"),
    [
        ("SUCCEEDED", 3, {}, 0),
        ("COMPLETED_WITH_ERRORS", 3, {"locked": 1}, 3),
        ("ROLLED_BACK", 2, {"locked": 2}, 3),
        ("ROLLED_BACK", 1, {"locked": 1}, 75),
        ("ROLLED_BACK", 1, {"permission_denied": 1}, 4),
        ("CANCELLED", 3, {}, 9),
        ("FAILED", 3, {"unavailable": 3}, 75),
    ],
)
def test_a_result_has_its_exit_code(
    state: str, total: int, failures: dict[str, int], exit_code: int
) -> None:
    result = {"state": state, "total_items": total, "failure_codes": failures}

    assert exit_code_of_result(result) == exit_code


def test_0_done(site: lockside.Session, settings: Settings) -> None:
    ids = work_orders(site, 3)

    assert approve(settings, *ids).code == 0


def test_0_already_there(site: lockside.Session, settings: Settings) -> None:
    (row,) = work_orders(site, 1, state="APPROVED")

    assert approve(settings, row).code == 0


def test_3_some_items_failed(site: lockside.Session, settings: Settings) -> None:
    ids = work_orders(site, 2) + work_orders(site, 1, vendor=False)

    answer = approve(settings, "--continue", *ids)

    assert (answer.code, site.row("work_order", ids[0])["state"]) == (3, "APPROVED")


def test_3_all_or_nothing(site: lockside.Session, settings: Settings) -> None:
    ids = work_orders(site, 2) + work_orders(site, 1, vendor=False)

    answer = approve(settings, *ids)

    assert (answer.code, site.row("work_order", ids[0])["state"]) == (3, "SUBMITTED")


def test_4_not_allowed(site: lockside.Session, settings: Settings) -> None:
    (row,) = work_orders(site, 1)

    assert approve(settings, row, "--actor", "victor").code == 4


def test_5_a_rule_speaks_against_it(site: lockside.Session, settings: Settings) -> None:
    (row,) = work_orders(site, 1, vendor=False)

    answer = approve(settings, row)

    assert answer.code == 5
    assert "Cannot approve without vendor assignment (vendor_missing)" in answer.out


def test_5_no_such_transition(site: lockside.Session, settings: Settings) -> None:
    (row,) = work_orders(site, 1, state="CLOSED")

    assert approve(settings, row).code == 5


def test_5_comments_are_missing(site: lockside.Session, settings: Settings) -> None:
    (row,) = tickets(site, 1, state="RESOLVED")

    answer = call(settings, "submit", "transition", "ticket", "--to", "CLOSED", row)

    assert (answer.code, "comments_required" in answer.out) == (5, True)


def test_6_no_such_row(settings: Settings) -> None:
    assert approve(settings, 2**62).code == 6


def test_6_a_row_of_another_tenant_answers_like_one_that_is_not_there(
    site: lockside.Session, settings: Settings
) -> None:
    site.act_as("other", "admin")
    (foreign,) = work_orders(site, 1)
    nobodys = foreign + 1_000_000

    answers = [approve(settings, row, "--json") for row in (foreign, nobodys)]

    told = [answer.json["failure_details"][str(row)].replace(str(row), "N")
            for answer, row in zip(answers, (foreign, nobodys), strict=True)]  # fmt: skip
    assert [answer.code for answer in answers] == [6, 6]
    assert told[0] == told[1]


def test_7_another_version(site: lockside.Session, settings: Settings) -> None:
    (row,) = work_orders(site, 1)

    assert approve(settings, row, "--expected-version", 9).code == 7


def test_7_an_idempotency_key_with_another_content(
    site: lockside.Session, settings: Settings
) -> None:
    first, second = work_orders(site, 2)
    approve(settings, first, "--idempotency-key", "q4")

    assert approve(settings, second, "--idempotency-key", "q4").code == 7


def test_the_same_request_under_the_same_key_is_the_same_operation(
    site: lockside.Session, settings: Settings
) -> None:
    (row,) = work_orders(site, 1)

    answers = [approve(settings, row, "--idempotency-key", "again", "--json") for _ in range(2)]

    assert answers[0].json["operation_id"] == answers[1].json["operation_id"]


def test_75_nothing_is_running(settings: Settings) -> None:
    nowhere = settings.model_copy(update={"database_url": "", "redis_url": ""})

    answer = call(nowhere, "operations", "list")

    assert answer.code == 75
    assert "lockside up" in answer.err


def test_75_postgresql_does_not_answer(settings: Settings) -> None:
    away = "postgresql+psycopg://nobody@127.0.0.1:1/none"
    nowhere = settings.model_copy(update={"database_url": away})

    answer = call(nowhere, "operations", "list")

    assert (answer.code, answer.err.count("\n")) == (75, 1)


def test_75_the_database_has_no_tables_yet(settings: Settings) -> None:
    empty = str(settings.database_url).rpartition("/")[0] + "/postgres"

    answer = call(settings.model_copy(update={"database_url": empty}), "operations", "list")

    assert answer.code == 75
    assert "lockside db upgrade" in answer.err


@pytest.mark.parametrize(
    "words",
    [
        ("--help",),
        ("export", "ticket"),
        ("export", "ticket", "--json"),
        ("records", "list", "role"),
    ],
    ids=" ".join,
)
def test_75_what_is_printed_has_no_room(settings: Settings, words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [*PROGRAM, *words],
            env=environment(settings),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert (ended.returncode, ended.stderr.count("\n")) == (75, 1)
    assert "Standard output can't be written: No space left on device" in ended.stderr


def test_a_dry_run_tells_and_changes_nothing(site: lockside.Session, settings: Settings) -> None:
    ids = work_orders(site, 2)

    answer = approve(settings, "--dry-run", "--json", *ids)

    assert answer.json["successful_items"] == 2
    assert site.row("work_order", ids[0])["state"] == "SUBMITTED"


def test_what_is_handed_in_by_detach_can_be_waited_for(
    site: lockside.Session, settings: Settings, worker: Worker
) -> None:
    (row,) = work_orders(site, 1)

    handed_in = approve(settings, row, "--detach")
    watch_probes = call(settings, "operations", "watch", handed_in.out.strip())

    assert (handed_in.code, watch_probes.code) == (0, 0)
    assert "Done" in watch_probes.out


def test_a_dry_run_of_all_or_nothing_tells_each_outcome(
    site: lockside.Session, settings: Settings
) -> None:
    ids = work_orders(site, 2) + work_orders(site, 1, vendor=False)

    answer = approve(settings, "--dry-run", *ids)

    assert (answer.code, site.row("work_order", ids[0])["state"]) == (3, "SUBMITTED")
    assert "Dry run: 2 would succeed, 1 would fail of 3" in answer.out
    assert "All or nothing was asked for: nothing would be changed" in answer.out
    assert "submit plan" not in answer.out


def test_a_dry_run_is_marked_in_the_list(site: lockside.Session, settings: Settings) -> None:
    approve(settings, "--dry-run", *work_orders(site, 1))

    answer = call(settings, "operations", "list", "--limit", 1)

    assert "→ APPROVED (dry run)" in answer.out


def test_what_was_done_before_under_the_same_key_says_so(
    site: lockside.Session, settings: Settings
) -> None:
    (row,) = work_orders(site, 1)
    words = (row, "--idempotency-key", "once")

    first, second = approve(settings, *words), approve(settings, *words)
    third = approve(settings, *words, "--detach")

    assert [answer.code for answer in (first, second, third)] == [0, 0, 0]
    assert ("Already done" in first.out, "Already done" in second.out) == (False, True)
    assert "Already done" in third.err


def test_every_code_has_its_example_however_many_failures_come_first(
    site: lockside.Session, settings: Settings
) -> None:
    drafts = work_orders(site, 5_100, state="DRAFT")
    without_vendor = work_orders(site, 4, vendor=False)

    answer = approve(settings, "--continue", *drafts, *without_vendor)

    rows = [line.split() for line in answer.out.splitlines()]
    (many,) = [row for row in rows if "illegal_transition" in row]
    (few,) = [row for row in rows if "vendor_missing" in row]
    assert (many[0], many[-4:]) == ("5,100", [*map(str, drafts[:3]), "…"])
    assert (few[0], few[-4:]) == ("4", [*map(str, without_vendor[:3]), "…"])
    assert "Cannot approve without vendor assignment" in " ".join(few)


def test_the_ids_of_failed_items_go_through_a_pipe(
    site: lockside.Session, settings: Settings
) -> None:
    fit, unfit = work_orders(site, 1), work_orders(site, 2, vendor=False)
    approved = approve(settings, "--continue", "--json", *fit, *unfit)

    answer = call(
        settings, "operations", "results", approved.json["operation_id"], "--failed", "--ids"
    )

    assert answer.out == "".join(f"{each}\n" for each in unfit)


def test_above_a_thousand_items_it_is_told_where_the_ids_are(
    site: lockside.Session, settings: Settings
) -> None:
    answer = approve(settings, "--json", *work_orders(site, 1_001))

    assert answer.json["successful_ids"] == []
    assert any("operations results" in each for each in answer.json["warnings"])


def test_a_verb_is_a_transition(site: lockside.Session, settings: Settings) -> None:
    (row,) = work_orders(site, 1)

    answer = call(settings, "submit", "approve", "work-order", row)

    assert (answer.code, site.row("work_order", row)["state"]) == (0, "APPROVED")


def test_rows_are_assigned_by_name(site: lockside.Session, settings: Settings) -> None:
    (row,) = tickets(site, 1)
    teams = site.add_named("team", ["plumbing"])

    answer = call(settings, "submit", "assign", "ticket", row, "--team", "plumbing")

    assert (answer.code, site.row("ticket", row)["assigned_to_team"]) == (0, teams["plumbing"])


def test_fields_are_set_and_emptied(site: lockside.Session, settings: Settings) -> None:
    ids = tickets(site, 2, description="Wet")

    words = ("--set", "description=", "--set", "priority=low")
    answer = call(settings, "submit", "update", "ticket", *ids, *words)

    now = [site.row("ticket", each) for each in ids]
    assert answer.code == 0
    assert [(each["description"], each["priority"]) for each in now] == [(None, "LOW")] * 2


def test_a_priority_has_its_own_command(site: lockside.Session, settings: Settings) -> None:
    (row,) = tickets(site, 1)

    answer = call(settings, "submit", "update-priority", "ticket", row, "--priority", "critical")

    assert (answer.code, site.row("ticket", row)["priority"]) == (0, "CRITICAL")


def test_what_is_there_already_is_explained_as_that(
    site: lockside.Session, settings: Settings
) -> None:
    (row,) = work_orders(site, 1, state="APPROVED")

    answer = call(settings, "explain", "work-order", row, "--to", "approved")

    assert (answer.code, "there already" in answer.out) == (0, True)
    assert "illegal_transition" not in answer.out
