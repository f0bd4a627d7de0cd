"""What isn't understood is refused before anything is stored, and says what to write instead."""

from pathlib import Path

import pytest

import lockside
from tests.factories import work_orders
from tests.interfaces.commands import call
from worker.settings import Settings

MOVE = ("submit", "transition", "work-order", "--to", "APPROVED")
ZERO = "00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((*MOVE, "17x"), ("17x", "whole numbers")),
        ((*MOVE, "1.5"), ("1.5", "whole numbers")),
        ((*MOVE, "1;2"), ("1;2", "separated by spaces or commas")),
        ((*MOVE, "9" * 5000), ("99999", "whole numbers")),
        ((*MOVE, "٣"), ("whole numbers",)),
        ((*MOVE, "0"), ("0", "from 1 on")),
        ((*MOVE, str(2**63)), (str(2**63), "whole numbers")),
        (MOVE, ("ids", "at least one", "--ids-file", "--from-csv", "--from-ndjson")),
        ((*MOVE, "7", "7"), ("7 more than once", "every id once")),
        ((*MOVE, "7", "--ids-file", "nowhere.txt"), ("nowhere.txt", "readable file")),
        ((*MOVE, "7", "--metadata", "{x"), ("metadata", "{x", "JSON object", "column 2")),
        ((*MOVE, "7", "--metadata", "[1]"), ("metadata", "[1]", "JSON object")),
        ((*MOVE, "7", "8", "--expected-version", "1"), ("--expected-version", "single id")),
        ((*MOVE, "7", "--chunk-size", "many"), ("--chunk-size", "many")),
        ((*MOVE, "7", "--chunk-size", "0"), ("--chunk-size: got 0", "1 to 10,000")),
        ((*MOVE, "7", "--lease", "0"), ("--lease: got 0.0", "seconds")),
        ((*MOVE, "7", "--lock-wait", "-1"), ("--lock-wait: got -1.0", "seconds")),
        ((*MOVE, "7", "--parallel", "0"), ("--parallel: got 0", "1 to 1,000")),
        ((*MOVE, "7", "--max-retries", "-1"), ("--max-retries: got -1", "0 to 20")),
        ((*MOVE, "7", "--isolation", "dirty"), ("--isolation: got 'DIRTY'", "SERIALIZABLE")),
        ((*MOVE, "7", "--stop-at-first-failure"), ("--stop-at-first-failure", "continue")),
        ((*MOVE, "7", "--timeout", "-1"), ("--timeout", "-1")),
        ((*MOVE, "7", "--timeout", "nan"), ("--timeout", "nan")),
        ((*MOVE, "7", "--timeout", "abc"), ("--timeout", "'abc' is not a number of seconds")),
        (("--actor", "", *MOVE, "7"), ("--actor: got nothing", "a name; leave the option out")),
        ((*MOVE, "7", "--actor", " "), ("--actor", "LOCKSIDE_ACTOR or admin")),
        ((*MOVE, "7", "--tenant", ""), ("--tenant: got nothing", "LOCKSIDE_TENANT or demo")),
        ((*MOVE, "7", "--idempotency-key", " "), ("--idempotency-key", "isn't empty")),
        ((*MOVE, "7", "--run-at", "tomorrow"), ("--run-at: got 'tomorrow'", "its zone", "+2h")),
        ((*MOVE, "7", "--run-at", "2026-11-22T09:30"), ("--run-at", "its zone")),
        ((*MOVE, "7", "--run-at", "+2y"), ("--run-at: got '+2y'", "+2h")),
        ((*MOVE, "7", "--run-at", "+999999999d"), ("--run-at: got '+999999999d'", "+2h")),
        (
            (*MOVE, "7", "--run-at", "+2h", "--idempotency-key", "k"),
            ("--run-at: got '+2h'", "a fixed time beside an idempotency key"),
        ),
        (("submit", "assign", "ticket", "7"), ("--user: got nothing", "--team")),
        (("submit", "assign", "ticket", "7", "--user", ""), ("--user", "a person or a team")),
        (("submit", "assign", "attendance", "7", "--user", "asha"), ("attendance", "ticket")),
        (("submit", "update", "ticket", "7"), ("--set", "FIELD=VALUE at least once")),
        (("submit", "update", "ticket", "7", "--set", "priority"), ("--set", "FIELD=VALUE")),
        (("submit", "update", "ticket", "7", "--set", "=HIGH"), ("--set", "FIELD=VALUE")),
        (
            ("submit", "update", "ticket", "7", "--set", "title=a", "--set", "title=b"),
            ("--set: got 'title twice'", "once"),
        ),
        (
            ("submit", "update", "ticket", "7", "--set", "comments=x"),
            ("--set comments: got 'x'", "ticket has none called comments; its fields are title"),
        ),
        (
            ("submit", "update", "ticket", "7", "--set", "state=OPEN"),
            ("--set state: got 'OPEN'", "a field that may change"),
        ),
        (
            ("submit", "update", "work-order", "7", "--set", f"vendor={'v' * 10_001}"),
            ("--set vendor: got", "10001 characters", "the name of a vendor"),
        ),
        (
            ("submit", "update-priority", "ticket", "7", "--priority", "urgent"),
            ("--priority: got 'urgent'", "CRITICAL"),
        ),
        (("submit", "approve", "ticket", "7"), ("approve", "one of open, start")),
        (("submit", "aprove", "work-order", "7"), ("aprove", "'approve'", "--help")),
        ((*MOVE, "7", "--approved"), ("--approved", "--approved-by")),
        (
            ("submit", "transition", "tickets", "--to", "OPEN", "7"),
            ("tickets", "attendance, task, ticket, work_order"),
        ),
        (("submit", "transition", "ticket", "--to", "DONE", "7"), ("--to: got 'DONE'", "RESOLVED")),
        (("submit", "transition", "ticket", "7"), ("--to", "--help")),
        (("explain", "ticket"), ("ids", "at least one", "--ids-file", "--where")),
        (("explain", "ticket", "1", "--where", "state=NEW"), ("ids", "rows in two ways")),
        (("explain", "ticket", "--where", "state=NEW"), ("--to: got nothing", "a target state")),
        (("explain", "ticket", "1", "2"), ("--to: got nothing", "a target state")),
        (("explain", "ticket", "1", "--to", "DONE"), ("--to: got 'DONE'", "RESOLVED")),
        (("records", "show", "lift", "1"), ("lift", "work_order_line")),
        (("records", "show", "ticket", "x"), ("x", "a whole number")),
        (("records", "create", "ticket"), ("title: got nothing",)),
        (("records", "create", "ticket", "title"), ("FIELD=VALUE: got 'title'", "title=Pump")),
        (
            ("records", "create", "ticket", "title=a", "self=b"),
            ("self", "ticket has none called self"),
        ),
        (("records", "create", "ticket", "title=a", "priority=x"), ("priority", "CRITICAL")),
        (
            ("records", "create", "site", "name=S", "latitude=1", "longitude=1", "radius_m=0"),
            ("radius_m", "1 to 20,000,000 metres"),
        ),
        (("records", "update", "ticket", "1"), ("FIELD=VALUE", "--help")),
        (
            ("records", "update", "ticket", "1", "row_id=2"),
            ("row_id", "ticket has none called row_id"),
        ),
        (
            ("records", "update", "ticket", "1", "expected_version=2"),
            ("expected_version=2", "the option --expected-version"),
        ),
        (("records", "list", "ticket", "--state", "DONE"), ("--state: got 'DONE'", "RESOLVED")),
        (("records", "list", "vendor", "--state", "OPEN"), ("--state", "it has no states")),
        (("records", "list", "ticket", "--limit", "0"), ("--limit", "0")),
        (("tenants", "open", "harbor"), ("--person", "--help")),
        (("tenants", "open", "harbor", "--person", "asha"), ("--person: got 'asha'", "NAME=ROLE")),
        (
            ("tenants", "open", "harbor", "--person", "asha=boss"),
            ("--person: got 'asha=boss'", "supervisor"),
        ),
        (("tenants", "open", " ", "--person", "asha=admin"), ("name", "the tenant's name")),
        (("operations", "show", "17"), ("17", "UUID")),
        (("operations", "list", "--limit", "0"), ("--limit", "0")),
        (("operations", "list", "--state", "DONE"), ("--state: got 'DONE'", "RUNNING")),
        (("operations", "lst"), ("lst", "'list'", "--help")),
        (("approve",), ("approve", "--help")),
    ],
)
def test_a_misunderstanding_is_exit_2_with_what_came_and_what_was_expected(
    settings: Settings, words: tuple[str, ...], told: tuple[str, ...]
) -> None:
    answer = call(settings, *words)

    assert (answer.code, answer.out) == (2, "")
    assert [each for each in told if each not in answer.err] == []


def test_the_system_acts_where_the_variable_of_the_actor_is_empty(
    site: lockside.Session, settings: Settings
) -> None:
    nobody = settings.model_copy(update={"actor": ""})

    answer = call(nobody, "records", "create", "ticket", "title=Leak", "--json")

    assert answer.json["created_by"] is None


def test_a_refused_request_leaves_no_operation(site: lockside.Session, settings: Settings) -> None:
    before = len(site.operations(limit=1000))

    call(settings, *MOVE, "1", "1")

    assert len(site.operations(limit=1000)) == before


def test_a_broken_line_of_standard_input_is_told_by_its_number(settings: Settings) -> None:
    answer = call(settings, *MOVE, "-", stdin="1\n2\nthree\n4\n")

    assert answer.code == 2
    assert "standard input, line 3: got 'three'" in answer.err


def test_a_broken_line_of_a_file_is_told_by_its_number(settings: Settings, folder: Path) -> None:
    (folder / "ids.txt").write_text("1 2\n\n3 #4\n")

    answer = call(settings, *MOVE, "--ids-file", folder / "ids.txt")

    assert answer.code == 2
    assert "ids.txt, line 3: got '#4'" in answer.err


@pytest.mark.parametrize("nothing", ["", "\n \n", "\ufeff"])
def test_an_empty_standard_input_is_refused(settings: Settings, nothing: str) -> None:
    answer = call(settings, *MOVE, "-", stdin=nothing)

    assert answer.code == 2
    assert "standard input: got nothing, expected at least one id" in answer.err


def test_an_empty_file_is_refused_by_its_name(settings: Settings, folder: Path) -> None:
    (folder / "ids.txt").write_text("")

    answer = call(settings, *MOVE, "--ids-file", folder / "ids.txt")

    assert answer.code == 2
    assert "ids.txt: got nothing" in answer.err


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbf{first}\r\n{second}\r\n{third}\r\n",
        b"{first},{second},{third}",
        b"{first}, {second}\n,{third},\n",
        b"\n\t{first} {second}\n\n{third}",
        b'\xef\xbb\xbf"id"\r\n{first}\r\n{second}\r\n{third}\r\n',
    ],
    ids=["a byte order mark", "commas", "commas and spaces", "blank lines", "a header"],
)
def test_ids_may_stand_as_other_programs_write_them(
    site: lockside.Session, settings: Settings, folder: Path, text: bytes
) -> None:
    first, second, third = work_orders(site, 3)
    written = text.decode().format(first=first, second=second, third=third).encode()
    (folder / "ids.txt").write_bytes(written)

    words = (*MOVE, "--ids-file", folder / "ids.txt", "--detach", "--json")
    from_file = call(settings, *words)
    from_stdin = call(settings, *MOVE, "-", "--detach", "--json", stdin=written.decode())

    for answer in (from_file, from_stdin):
        results = site.operation(answer.json["operation_id"]).results()
        assert [int(each["id"]) for each in results] == [first, second, third]


def test_ids_are_explained_from_a_file_and_from_standard_input(
    site: lockside.Session, settings: Settings, folder: Path
) -> None:
    first, second = work_orders(site, 2)
    (folder / "ids.txt").write_text(f"{first}\n")

    words = ("explain", "work-order", "--to", "approved", "--ids-file", folder / "ids.txt", "-")
    answer = call(settings, *words, "--json", stdin=f"{second}\n")

    assert (answer.json["total"], answer.json["allowed"]) == (2, 2)


def test_programs_read_the_field_s_own_name(settings: Settings) -> None:
    answer = call(settings, *MOVE, "7", "--chunk-size", "0", "--json")

    assert answer.json["field"] == "chunk_items"


def test_where_nothing_runs_the_whole_path_is_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    nowhere = settings.model_copy(
        update={"database_url": "", "redis_url": "", "home": Path("nothing")}
    )
    monkeypatch.chdir(folder)

    answer = call(nowhere, "operations", "list")

    assert answer.code == 75
    assert f"Nothing is running in {folder / 'nothing'}." in answer.err
    assert "LOCKSIDE_HOME" in answer.err


def test_ids_come_from_arguments_file_and_standard_input_together(
    site: lockside.Session, settings: Settings, folder: Path
) -> None:
    first, second, third = work_orders(site, 3)
    (folder / "ids.txt").write_text(f"{second}\n")

    words = (*MOVE, first, "--ids-file", folder / "ids.txt", "-", "--detach", "--json")
    answer = call(settings, *words, stdin=f"  {third}\n")

    operation = site.operation(answer.json["operation_id"]).show()
    assert operation["total"] == 3


def test_a_kind_may_be_spelled_with_an_underscore(
    site: lockside.Session, settings: Settings
) -> None:
    (row,) = work_orders(site, 1)

    answer = call(settings, "explain", "work_order", row)

    assert answer.code == 0


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        (("explain", "ticket", "999999"), "ticket 999999"),
        (("operations", "show", ZERO), ZERO),
        (("operations", "watch", ZERO), ZERO),
        (("operations", "cancel", ZERO), ZERO),
        (("operations", "results", ZERO, "--csv"), ZERO),
        ((*MOVE, "7", "--approved-by", "nobody"), "person nobody"),
        (("submit", "assign", "ticket", "7", "--user", "nobody"), "person nobody"),
        (("submit", "assign", "ticket", "7", "--team", "999999"), "team 999999"),
        (("submit", "update", "work-order", "7", "--set", "vendor=Nobody"), "vendor Nobody"),
        (("records", "show", "ticket", "999999"), "ticket 999999"),
        (("records", "update", "ticket", "999999", "title=a"), "ticket 999999"),
        (("records", "delete", "ticket", "999999"), "ticket 999999"),
        (("records", "history", "ticket", "999999"), "ticket 999999"),
        (("operations", "list", "--actor", "nobody"), "person nobody"),
        (("--tenant", "nowhere", "operations", "list"), "tenant nowhere"),
    ],
)
def test_what_is_not_there_is_exit_6(
    settings: Settings, words: tuple[str, ...], missing: str
) -> None:
    answer = call(settings, *words)

    assert (answer.code, answer.out) == (6, "")
    assert missing in answer.err


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("LOCKSIDE_CONCURRENCY", "many", "integer"),
        ("LOCKSIDE_CONCURRENCY", "0", "greater than or equal to 1"),
        ("LOCKSIDE_OPERATION_DAYS", "29", "30 or more"),
        ("LOCKSIDE_ENVIRONMENT", "test", "'development' or 'production'"),
        ("DATABASE_URL", "mysql://u:secret@h/d", "postgresql+psycopg://"),
        ("REDIS_URL", "localhost:6379", "redis://"),
        ("REDIS_URL", "redis://u:secret@h:port", "redis://"),
    ],
)
def test_a_wrong_setting_is_told_by_the_name_of_its_variable(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    expected: str,
) -> None:
    monkeypatch.setattr("tests.interfaces.commands.environment", lambda _: {variable: value})

    answer = call(settings, "operations", "list")

    assert answer.code == 2
    assert f"{variable}: got" in answer.err
    assert expected in answer.err
    assert "secret" not in answer.err
