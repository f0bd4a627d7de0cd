"""With --json stdout is one JSON document, whatever comes of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import lockside
from tests.engine.archives import archive, record
from tests.factories import DAY, attendance, tickets, work_orders
from tests.interfaces.commands import call, commands
from tests.patience import PATIENCE_S
from worker.settings import Settings

pytestmark = pytest.mark.usefixtures("worker")

LEAVES = [path for path, command in commands() if not hasattr(command, "commands")]
ELSEWHERE = [("up",), ("demo",)]  # with their own servers: test_up.py, test_demo.py
ZERO = "00000000-0000-0000-0000-000000000000"

# By command: what it is called with to succeed, and to be refused.
CALLS: dict[tuple[str, ...], tuple[list[str], list[str]]] = {
    ("seed",): (
        ["--work-orders", "3", "--tasks", "3", "--attendance", "3", "--tickets", "3"],
        ["--tickets", "-1"],
    ),
    ("doctor",): ([], ["--nothing"]),
    ("db", "upgrade"): ([], ["now"]),
    ("check-machines",): ([], ["all"]),
    ("submit", "transition"): (
        ["ticket", "--to", "OPEN", "{ticket}"],
        ["ticket", "--to", "OPEN", "{ticket}", "--actor", "nobody"],
    ),
    ("submit", "assign"): (
        ["ticket", "{ticket}", "--team", "plumbing"],
        ["ticket", "{ticket}", "--team", "nobody"],
    ),
    ("submit", "update"): (
        ["ticket", "{ticket}", "--set", "title=Pump"],
        ["ticket", "{ticket}", "--set", "state=OPEN"],
    ),
    ("submit", "update-priority"): (
        ["ticket", "{ticket}", "--priority", "high"],
        ["ticket", "{ticket}", "--priority", "urgent"],
    ),
    ("records", "create"): (["ticket", "title=Pump"], ["ticket"]),
    ("records", "show"): (["ticket", "{ticket}"], ["ticket", "999999"]),
    ("records", "list"): (["ticket"], ["lift"]),
    ("records", "update"): (
        ["ticket", "{ticket}", "title=Pump"],
        ["ticket", "{ticket}", "title=Pump", "--expected-version", "9"],
    ),
    ("records", "delete"): (["ticket", "{ticket}"], ["ticket", "{ticket}", "--actor", "victor"]),
    ("records", "history"): (["ticket", "{ticket}"], ["ticket", "999999"]),
    ("import",): (["ticket", "{file}"], ["ticket", "{file}.txt"]),
    ("export",): (["ticket"], ["lift"]),
    ("tenants", "open"): (
        ["harbor", "--person", "asha=admin"],
        ["harbor", "--person", "asha=admin", "--actor", "asha"],
    ),
    ("audit", "verify"): (["--seals", "1-"], ["--seals", "none"]),
    ("audit", "erase"): (["{deleted}", "--yes"], ["999999", "--yes"]),
    ("audit", "pin"): ([], ["--actor", "victor"]),
    ("tenants", "list"): ([], ["--actor", "asha"]),
    ("operations", "list"): ([], ["--limit", "none"]),
    ("operations", "show"): (["{operation}"], [ZERO]),
    ("operations", "watch"): (["{operation}"], [ZERO]),
    ("operations", "cancel"): (["{waiting}"], ["{operation}"]),
    ("operations", "results"): (["{operation}"], [ZERO]),
    ("operations", "pause"): (["{waiting}"], ["{operation}"]),
    ("operations", "resume"): (["{waiting}"], ["{operation}"]),
    ("operations", "retry"): (["{failed}", "--detach"], ["{operation}"]),
    ("operations", "undo"): (["{undoable}", "--detach"], [ZERO]),
    ("submit", "plan"): (["{plan}", "--detach"], ["{operation}"]),
    ("audit", "archives", "list"): ([], ["--month", "May"]),
    ("audit", "archives", "make"): ([], ["--actor", "asha"]),
    ("audit", "archives", "search"): (
        ["ticket", "{ticket}"],
        ["ticket", "{ticket}", "--by", "nobody"],
    ),
    ("audit", "archives", "restore"): (["2026-05"], ["2026-06"]),
    ("audit", "archives", "hold"): (
        ["2026-05", "--because", "Case"],
        ["2026-05", "--because", " "],
    ),
    ("audit", "archives", "release"): (["2026-05"], ["2026-05", "--record", "ticket"]),
    ("autoclose", "policies"): ([], ["--nothing"]),
    ("autoclose", "preview"): (["task-sla"], ["nothing"]),
    ("autoclose", "run"): (["payroll-lock"], ["payroll-lock", "--actor", "victor"]),
    ("autoclose", "mode"): (["stale-drafts", "off"], ["stale-drafts", "off", "--actor", "victor"]),
    ("autoclose", "resume"): (["task-sla"], ["nothing"]),
    ("autoclose", "history"): ([], ["nothing"]),
    ("autoclose", "alerts"): ([], ["nothing"]),
    ("autoclose", "acknowledge"): (["--all"], ["999999"]),
    ("explain",): (["ticket", "{ticket}"], ["ticket", "x"]),
    ("audit", "trail"): (["--since", "1h"], ["--actor", "victor"]),
    ("audit", "as-of"): (["ticket", "{ticket}", "--at", "1s"], ["ticket", "999999", "--at", "1s"]),
    ("audit", "times"): (["ticket", "{ticket}"], ["ticket", "999999"]),
    ("audit", "export"): (["ticket"], ["--operation", "x"]),
    ("audit", "anomalies"): ([], ["--actor", "victor"]),
}


@pytest.fixture
def names(site: lockside.Session, settings: Settings, folder: Path) -> Iterator[dict[str, str]]:
    """Make one of everything that a call can name."""
    file = folder / "tickets.csv"
    file.write_text("title\nWet carpet\n")
    record(site)
    archive(site)
    site.add_named("team", ["plumbing"])
    done, untouched, contended = tickets(site, 3)
    leaver = site.records("person").create(name="Rosalind")["id"]
    site.records("person").delete(leaver)
    operation = site.transition("ticket", to="OPEN", ids=done)
    operation.wait(PATIENCE_S)
    # Somebody holds the row, so this one can't end before it is cancelled.
    with site.platform.locks.hold(
        [f"lockside:lock:{site.actor.tenant_id}:ticket:{contended}"],
        claim="a claim",
        operation="another operation",
        lease_s=60.0,
        all_or_none=True,
    ):
        waiting = site.transition("ticket", to="OPEN", ids=contended)
        started = site.transition("ticket", to="INPROGRESS", ids=done)
        failed = site.transition("ticket", to="CLOSED", ids=untouched)
        plan = site.transition("ticket", to="OPEN", ids=untouched, dry_run=True)
        for each in (started, failed, plan):
            each.wait(PATIENCE_S)
        yield {
            "undoable": started.id,
            "failed": failed.id,
            "plan": plan.id,
            "ticket": str(untouched),
            "operation": operation.id,
            "waiting": waiting.id,
            "file": str(file),
            "deleted": str(leaver),
        }


@pytest.mark.slow
def test_every_command_is_looked_at() -> None:
    assert sorted([*CALLS, *ELSEWHERE]) == sorted(LEAVES)


@pytest.mark.slow
@pytest.mark.parametrize("path", CALLS, ids=" ".join)
def test_success_is_json(settings: Settings, names: dict[str, str], path: tuple[str, ...]) -> None:
    words = [each.format(**names) for each in CALLS[path][0]]

    answer = call(settings, *path, *words, "--json")

    assert (answer.code, answer.json) != (0, None)
    assert answer.code == 0, answer.out


@pytest.mark.slow
@pytest.mark.parametrize("path", CALLS, ids=" ".join)
def test_a_refusal_is_json(
    settings: Settings, names: dict[str, str], path: tuple[str, ...]
) -> None:
    words = [each.format(**names) for each in CALLS[path][1]]

    answer = call(settings, *path, *words, "--json")

    assert answer.code > 0
    assert {"error", "message", "retryable"} <= answer.json.keys()


def test_json_is_understood_before_the_command_too(settings: Settings) -> None:
    assert call(settings, "--json", "operations", "list").json is not None


@pytest.mark.parametrize("form", ["--csv", "--ndjson"])
def test_two_forms_at_once_are_refused(
    settings: Settings, names: dict[str, str], form: str
) -> None:
    answer = call(settings, "operations", "results", names["operation"], form, "--json")

    assert (answer.code, answer.json["error"]) == (2, "invalid_input")


def test_ids_are_an_array_of_numbers(site: lockside.Session, settings: Settings) -> None:
    ids = tickets(site, 2)

    answer = call(settings, "records", "list", "ticket", "--after", ids[0] - 1, "--ids", "--json")

    assert answer.json == ids


def test_a_record_is_the_one_that_python_gets(site: lockside.Session, settings: Settings) -> None:
    (row_id,) = attendance(site, 1)

    answer = call(settings, "records", "show", "attendance", row_id, "--json")

    assert answer.json.keys() == site.row("attendance", row_id).keys()
    assert answer.json["datefor"] == DAY.isoformat()


def test_a_result_is_the_one_that_python_gets(site: lockside.Session, settings: Settings) -> None:
    ids = work_orders(site, 1) + work_orders(site, 1, vendor=False)

    answer = call(
        settings, "submit", "transition", "work-order", "--to", "APPROVED", "--json", *ids
    )

    assert answer.json == site.operation(answer.json["operation_id"]).wait(PATIENCE_S)


def test_results_stream_as_one_array(site: lockside.Session, settings: Settings) -> None:
    ids = tickets(site, 3)
    operation = site.transition("ticket", to="OPEN", ids=ids)
    operation.wait(PATIENCE_S)

    answer = call(settings, "operations", "results", operation.id, "--json")

    assert [each["id"] for each in answer.json] == [str(each) for each in ids]


def test_no_results_are_an_empty_array(site: lockside.Session, settings: Settings) -> None:
    operation = site.transition("ticket", to="OPEN", ids=tickets(site, 1))
    operation.wait(PATIENCE_S)

    answer = call(settings, "operations", "results", operation.id, "--failed", "--json")

    assert answer.json == []
