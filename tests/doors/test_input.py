"""What isn't understood is refused before anything is stored, and says what to write instead."""

from pathlib import Path

import pytest

import lockside
from tests.doors.commands import call
from tests.factories import work_orders
from worker.settings import Settings

MOVE = ("submit", "transition", "work-order", "--to", "APPROVED")
ZERO = "00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((*MOVE, "17x"), ("17x", "whole numbers")),
        ((*MOVE, "1.5"), ("1.5", "whole numbers")),
        ((*MOVE, "1,2"), ("1,2", "separated by spaces")),
        ((*MOVE, "٣"), ("whole numbers",)),
        ((*MOVE, "0"), ("0", "from 1 on")),
        ((*MOVE, str(2**63)), (str(2**63), "whole numbers")),
        (MOVE, ("ids", "at least one", "--ids-file")),
        ((*MOVE, "7", "7"), ("7 more than once", "every id once")),
        ((*MOVE, "7", "--ids-file", "nowhere.txt"), ("nowhere.txt", "readable file")),
        ((*MOVE, "7", "--metadata", "{x"), ("metadata", "{x", "JSON object", "column 2")),
        ((*MOVE, "7", "--metadata", "[1]"), ("metadata", "[1]", "JSON object")),
        ((*MOVE, "7", "8", "--expected-version", "1"), ("expected_version", "single id")),
        ((*MOVE, "7", "--chunk-size", "many"), ("--chunk-size", "many")),
        ((*MOVE, "7", "--approved"), ("--approved", "--approved-by")),
        (
            ("submit", "transition", "tickets", "--to", "OPEN", "7"),
            ("tickets", "ticket, work_order"),
        ),
        (("submit", "transition", "ticket", "--to", "DONE", "7"), ("DONE", "RESOLVED")),
        (("submit", "transition", "ticket", "7"), ("--to", "--help")),
        (("explain", "ticket"), ("IDS", "--help")),
        (("explain", "ticket", "1", "2"), ("to", "a target state")),
        (("explain", "ticket", "1", "--to", "DONE"), ("DONE", "RESOLVED")),
        (("operations", "show", "17"), ("17", "UUID")),
        (("operations", "list", "--limit", "0"), ("--limit", "0")),
        (("operations", "lst"), ("lst", "--help")),
        (("approve",), ("approve", "--help")),
    ],
)
def test_a_misunderstanding_is_exit_2_with_what_came_and_what_was_expected(
    settings: Settings, words: tuple[str, ...], told: tuple[str, ...]
) -> None:
    answer = call(settings, *words)

    assert (answer.code, answer.out) == (2, "")
    assert [each for each in told if each not in answer.err] == []


def test_a_refused_request_leaves_no_operation(site: lockside.Site, settings: Settings) -> None:
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


def test_an_empty_standard_input_is_refused(settings: Settings) -> None:
    answer = call(settings, *MOVE, "-")

    assert (answer.code, "got '0 ids'" in answer.err) == (2, True)


def test_ids_come_from_arguments_file_and_standard_input_together(
    site: lockside.Site, settings: Settings, folder: Path
) -> None:
    first, second, third = work_orders(site, 3)
    (folder / "ids.txt").write_text(f"{second}\n")

    words = (*MOVE, first, "--ids-file", folder / "ids.txt", "-", "--detach", "--json")
    answer = call(settings, *words, stdin=f"  {third}\n")

    operation = site.operation(answer.json["operation_id"]).show()
    assert operation["total"] == 3


def test_a_kind_may_be_spelled_with_an_underscore(site: lockside.Site, settings: Settings) -> None:
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
    monkeypatch.setattr("tests.doors.commands.environment", lambda _: {variable: value})

    answer = call(settings, "operations", "list")

    assert answer.code == 2
    assert f"{variable}: got" in answer.err
    assert expected in answer.err
    assert "secret" not in answer.err
