"""Files of work come in by the command line, whatever happens to the process."""

import csv
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

import lockside
from tests.engine.steps import query, raw, somebody_waits_for_a_row, until
from tests.interfaces.commands import PROGRAM, Answer, call
from tests.patience import PATIENCE_S
from tests.workers import environment
from worker.settings import Settings

HEADER = "reference,title,priority\n"
BATCH = 5_000


@pytest.fixture(autouse=True)
def tenant(site: lockside.Session, request: pytest.FixtureRequest) -> str:
    """Give the test a tenant of its own."""
    name = request.node.name
    site.open_tenant(name, {"admin": ["admin", "manager"], "victor": ["viewer"]})
    site.act_as(name, "admin")
    return str(name)


@pytest.fixture
def bring(settings: Settings, tenant: str, folder: Path) -> Any:
    """Import a text by the command line."""

    def bring(text: str | bytes, *words: object, name: str = "tickets.csv") -> Answer:
        (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
        return call(settings, "import", "ticket", folder / name, "--tenant", tenant, *words)

    return bring


def test_a_file_that_fits_is_in(site: lockside.Session, bring: Any) -> None:
    answer = bring(HEADER + "R-1,Leak,LOW\nR-2,Noise,\n")

    assert (answer.code, answer.err) == (0, "")
    assert "2 read, 2 new, 0 there already, 0 bad" in answer.out
    assert site.states("ticket") == {"NEW": 2}


def test_bad_lines_are_told_and_counted_and_the_rest_is_in(
    site: lockside.Session, bring: Any
) -> None:
    answer = bring(HEADER + "R-1,Leak,SOON\nR-2,,LOW\nR-3,Noise,NOW\nR-4,Smell,LOW\n")

    assert answer.code == 3
    assert "4 read, 1 new, 0 there already, 3 bad" in answer.out
    assert "2  unknown_word" in answer.out
    assert "line 2, priority: 'SOON', no such word: expected one of LOW, MEDIUM" in answer.out
    assert "line 3, title: nothing where something is needed" in answer.out
    assert site.states("ticket") == {"NEW": 1}


def test_only_the_first_twenty_faults_are_shown(bring: Any) -> None:
    answer = bring("title,priority\n" + "A,SOON\n" * 30)

    assert ("line 21," in answer.out, "line 22," in answer.out) == (True, False)
    assert "the first 20 of 30 faults" in answer.out


def test_rows_without_a_reference_come_with_a_warning(bring: Any) -> None:
    bad, good = (bring(f"title,priority\nA,{word}\nB,LOW\n") for word in ("SOON", "LOW"))
    with_one = bring(HEADER + "R-1,A,SOON\nR-2,B,LOW\n")

    told = ["a file of their own" in each.err for each in (bad, good, with_one)]
    assert told == [True, True, False]


def test_programs_get_everything_that_is_wrong(bring: Any) -> None:
    answer = bring("title,priority\n" + "A,SOON\n" * 30 + "B,LOW\n", "--json")

    told = answer.json
    assert (answer.code, answer.err, told.pop("seconds") >= 0) == (3, "", True)
    assert [each["line"] for each in told.pop("rejects")] == list(range(2, 32))
    assert told == {
        "read": 31, "new": 1, "already_there": 0, "bad": 30, "codes": {"unknown_word": 30},
    }  # fmt: skip


def test_programs_get_valid_json_whatever_the_file_holds(bring: Any) -> None:
    answer = bring(b'title\nPu\x00mp "\xff\n"A\n', "--json")

    assert [each["text"] for each in answer.json["rejects"]] == ['Pu\\x00mp "\\udcff', '"A']


def test_everything_that_is_wrong_goes_to_a_file(bring: Any, folder: Path) -> None:
    answer = bring(HEADER + "R-1,Caf,LOW\nR-1,,SOON\n", "--rejects", folder / "bad.csv")

    with (folder / "bad.csv").open(newline="") as file:
        found = [
            [row["line"], row["field"], row["value"], row["text"]] for row in csv.DictReader(file)
        ]
    assert "bad.csv" in answer.out
    assert found == [
        ["3", "title", "", "R-1,,SOON"],
        ["3", "priority", "SOON", "R-1,,SOON"],
        ["3", "reference", "R-1", "R-1,,SOON"],
    ]


def test_a_line_of_no_text_goes_to_the_file_as_it_came(bring: Any, folder: Path) -> None:
    bring(b"title\nCaf\xe9\n", "--rejects", folder / "bad.csv")

    assert b"Caf\xe9\r\n" in (folder / "bad.csv").read_bytes()


def test_a_line_of_another_encoding_is_told_as_that(bring: Any) -> None:
    answer = bring(b"title,site\nCaf\xe9,\nLeak,Caf\xe9\n")

    assert answer.code == 3
    assert answer.out.count("not UTF-8: expected text in UTF-8, save the file as UTF-8") == 2


def test_without_faults_the_file_of_them_has_its_header_only(bring: Any, folder: Path) -> None:
    (folder / "bad.csv").write_text("of yesterday")

    bring("title\nLeak\n", "--rejects", folder / "bad.csv")

    assert (folder / "bad.csv").read_text() == "line,field,value,code,reason,text\n"


@pytest.mark.parametrize(
    "words",
    [
        ("--map", "What=title,How soon=priority"),
        ("--map", "What=title", "--map", "How soon=Priority"),
        ("--map", " What = title , How soon = priority "),
    ],
)
def test_columns_are_mapped_by_name(site: lockside.Session, bring: Any, words: tuple[str]) -> None:
    answer = bring("What,How soon,Colour\nLeak,HIGH,red\n", *words, "--ignore", "Colour")

    assert answer.code == 0
    assert list(site.export("ticket", fields=["title", "priority"])) == [
        {"title": "Leak", "priority": "HIGH"}
    ]


def test_a_column_may_have_a_comma_in_its_name(site: lockside.Session, bring: Any) -> None:
    bring('"What, then",B\nLeak,LOW\n', "--map", "B=priority,What, then=title")

    assert [row["title"] for row in site.export("ticket")] == ["Leak"]


def test_objects_are_known_by_the_ending_of_the_file(site: lockside.Session, bring: Any) -> None:
    answers = [
        bring(f'{{"title": "{name}"}}\n', name=name).code for name in ("a.ndjson", "b.jsonl")
    ]

    assert (answers, site.states("ticket")) == ([0, 0], {"NEW": 2})


@pytest.mark.parametrize("delimiter", [";", "tab"])
def test_cells_may_be_divided_otherwise(site: lockside.Session, bring: Any, delimiter: str) -> None:
    between = "\t" if delimiter == "tab" else delimiter

    answer = bring(f"title{between}priority\nA, b{between}LOW\n", "--delimiter", delimiter)

    assert (answer.code, [row["title"] for row in site.export("ticket")]) == (0, ["A, b"])


def test_tabulators_are_known_by_the_ending_of_the_file(site: lockside.Session, bring: Any) -> None:
    answer = bring("title\tpriority\nA, b\tLOW\n", name="a.TSV")

    assert (answer.code, [row["title"] for row in site.export("ticket")]) == (0, ["A, b"])


@pytest.mark.parametrize(
    "case",
    [
        ("title;priority\nA;LOW\n", (), ("'title;priority'", "or give --delimiter ';'")),
        ("title\tpriority\nA\tLOW\n", (), ("or give --delimiter tab",)),
        ("title|priority\nA|LOW\n", (), ("or give --delimiter '|'",)),
        ("title,Colour\nA,red\n", (), ("Colour", "title, description, priority")),
        ("priority\nLOW\n", (), ("title",)),
        ("", (), ("empty", "column names")),
        ("title\nA\n", ("--map", "title"), ("--map", "'title'", "Title=title")),
        ("title\nA\n", ("--map", "A=title,A=priority"), ("each column once",)),
        ("title\nA\n", ("--map", "A=title"), ("--map", "'A'")),
        ("title\nA\n", ("--format", "xlsx"), ("xlsx",)),
        ("title\nA\n", ("--rejects", "{file}"), ("--rejects", "another file")),
        ("title\nA\n", ("--rejects", "{folder}"), ("--rejects", "directory")),
        ("title\nA\n", ("--rejects", "{folder}/none/bad.csv"), ("--rejects", "No such file")),
    ],
)
def test_what_is_not_understood_is_exit_2_and_brings_nothing(
    site: lockside.Session, bring: Any, folder: Path, case: tuple[str, tuple[str, ...], Any]
) -> None:
    text, words, told = case
    named = {"file": folder / "tickets.csv", "folder": folder}

    answer = bring(text, *(each.format(**named) for each in words))

    assert (answer.code, answer.out) == (2, "")
    assert [each for each in told if each not in answer.err] == []
    assert site.states("ticket") == {}


@pytest.mark.parametrize(
    ("path", "told"),
    [("", "directory"), ("nowhere.csv", "No such file"), ("-", "csv or ndjson")],
)
def test_what_is_no_file_is_refused(settings: Settings, folder: Path, path: str, told: str) -> None:
    answer = call(settings, "import", "ticket", path if path == "-" else folder / path)

    assert (answer.code, told in answer.err) == (2, True)


def test_who_may_not_import_gets_exit_4(bring: Any) -> None:
    assert bring("title\nLeak\n", "--actor", "victor").code == 4


class Program:
    """`lockside import` as the real program, fed line by line."""

    def __init__(self, settings: Settings, tenant: str) -> None:
        self.process = subprocess.Popen(
            [*PROGRAM, "import", "ticket", "-", "--format", "csv", "--tenant", tenant],
            env=environment(settings),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def feed(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out.decode(), err.decode()


def batches_of(count: int, *, reference: str) -> list[str]:
    """Return a file in pieces of a batch each, the header in the first."""
    pieces = [
        "".join(
            f"{reference and f'{reference}{n}'},Ticket {n},LOW\n"
            for n in range(number * BATCH, (number + 1) * BATCH)
        )
        for number in range(count)
    ]
    return [HEADER + pieces[0], *pieces[1:]]


@pytest.mark.slow
@pytest.mark.parametrize("reference", ["R-", ""])
def test_killed_in_the_middle_of_a_batch_the_same_again_brings_the_rest_once(
    site: lockside.Session, settings: Settings, tenant: str, reference: str
) -> None:
    pieces = batches_of(3, reference=reference)
    program = Program(settings, tenant)
    program.feed(pieces[0])
    until(lambda: site.states("ticket") == {"NEW": BATCH})
    with raw(site) as other:
        other.execute("LOCK TABLE ticket IN SHARE MODE")
        program.feed(pieces[1])
        until(lambda: somebody_waits_for_a_row(site))
        program.process.kill()
        program.end()
    killed_with = site.states("ticket")

    again = Program(settings, tenant)
    again.feed("".join(pieces))
    code, out, _ = again.end()

    assert (killed_with, code) == ({"NEW": BATCH}, 0)
    assert f"15,000 read, 10,000 new, {BATCH:,} there already, 0 bad" in out
    titles = query(site, "SELECT count(*) AS n, count(DISTINCT title) AS titles FROM ticket"
                         " WHERE tenant_id = :id", id=site.actor.tenant_id)  # fmt: skip
    assert titles == [{"n": 15_000, "titles": 15_000}]


def test_ctrl_c_leaves_what_is_in_and_says_how_to_go_on(
    site: lockside.Session, settings: Settings, tenant: str
) -> None:
    program = Program(settings, tenant)
    program.feed(batches_of(2, reference="")[0])
    until(lambda: site.states("ticket") == {"NEW": BATCH})

    program.process.send_signal(signal.SIGINT)
    code, _, err = program.end()

    assert code == 130
    assert "5,000 read, 5,000 new" in err
    assert "The same command again goes on from there." in err
    assert err.count("Stopped") == 1
    assert "Traceback" not in err
