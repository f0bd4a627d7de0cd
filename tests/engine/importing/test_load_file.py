"""Files of work come in: by their header, as they stand, what is named by name or by id."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

import lockside
from domain.errors import InvalidInput
from lockside.session.import_export import Loaded
from tests.engine.work_files import faults_of, load, rows_of
from tests.sentences import Sentences


@pytest.fixture
def small_batches(site: lockside.Session) -> None:
    site.platform = replace(site.platform, pace=replace(site.platform.pace, import_rows=3))


@pytest.fixture
def harbor(site: lockside.Session) -> int:
    return int(site.records("site").create(name="Harbor Mall")["id"])


def test_a_row_without_a_state_begins_in_the_initial_one_and_now(site: lockside.Session) -> None:
    loaded = load(site, "task", "title\nPump\n")

    (row,) = site.records("task").each()
    assert (loaded.new, row["state"], row["version"]) == (1, "ASSIGNED", 1)
    assert row["state_since"] == row["created_at"] <= datetime.now(UTC)
    assert row["created_by"] == site.actor.person_id


def test_a_row_comes_in_as_it_stands_in_the_file(site: lockside.Session, harbor: int) -> None:
    text = "reference,title,site,due_at,state,state_since\n"
    load(site, "task", text + 'T-1," Pump, ""big""\nold",Harbor Mall,2026-11-22T09:30+05:30,'
                              "working,2026-11-20T00:00:00Z\n")  # fmt: skip

    assert rows_of(site, "task", "title", "site_id", "due_at", "state", "state_since") == [
        (
            ' Pump, "big"\nold',
            harbor,
            datetime(2026, 11, 22, 4, tzinfo=UTC),
            "WORKING",
            datetime(2026, 11, 20, tzinfo=UTC),
        )
    ]


@pytest.mark.parametrize("cell", ["", " ", " \t"])
def test_an_empty_cell_is_nothing_or_the_default(site: lockside.Session, cell: str) -> None:
    cells = ",".join(["Leak", *[cell] * 4])
    load(site, "ticket", f"title,priority,description,state,state_since\n{cells}\n")

    assert rows_of(site, "ticket", "priority", "description", "state") == [("MEDIUM", None, "NEW")]


@pytest.mark.usefixtures("harbor")
@pytest.mark.parametrize(
    ("header", "options"),
    [
        ("Title,Site,Due at", {}),
        ("TITLE,site_id,due-at", {}),
        ("Title,Where,Due", {"columns": {"Where": "site", "Due": "due_at"}}),
        ("What,Where,Until", {"columns": {"What": "title", "Where": "site_id", "Until": "Due at"}}),
    ],
)
def test_a_column_fills_the_field_of_its_name_or_the_one_it_is_mapped_to(
    site: lockside.Session, header: str, options: dict[str, Any]
) -> None:
    load(site, "task", f"{header}\nPump,Harbor Mall,2026-11-22T09:30:00Z\n", **options)

    (row,) = site.export("task", fields=["title", "site_id", "due_at"], names=True)
    assert (row["title"], row["site"], row["due_at"].hour) == ("Pump", "Harbor Mall", 9)


def test_an_ignored_column_is_passed_over(site: lockside.Session) -> None:
    loaded = load(site, "task", "title,id,Colour\nPump,7,red\n", ignore=["id", "Colour"])

    assert loaded.new == 1


def test_another_delimiter_can_be_named(site: lockside.Session) -> None:
    load(site, "ticket", "title;priority\na,b;LOW\n", delimiter=";")

    assert rows_of(site, "ticket", "title", "priority") == [("a,b", "LOW")]


WRONG_HEADERS: list[tuple[str | bytes, dict[str, Any], str]] = [
    ("title,Colour\n", {}, "Colour"),
    ("title,id\n", {}, "id"),
    ("title,version\n", {}, "version"),
    ("title,\n", {}, "column"),
    ("remarks\n", {}, "title"),
    ("title,Title\n", {}, "Title"),
    ("title,site,site_id\n", {}, "site_id"),
    ("title\n", {"columns": {"Where": "site"}}, "Where"),
    ("title,Where\n", {"columns": {"Where": "nowhere"}}, "nowhere"),
    ("title,A,B\n", {"columns": {"A": "site", "B": "site_id"}}, "B=site_id"),
    ("title,A,site\n", {"columns": {"A": "site"}}, "site"),
    ("", {}, "empty"),
    ("\n\r\n\n", {}, "empty"),
    ('"title\n', {}, "quote"),
    (b"\xff\xfet\x00i\x00t\x00l\x00e\x00\n\x00", {}, "header: got 'text in UTF-16'"),
    (b"\xff\xfe{\x00}\x00\n\x00", {"form": "ndjson"}, "header: got 'text in UTF-16'"),
    (b"titl\xe9\n", {}, "'bytes that are not UTF-8', expected a line of column names, in UTF-8"),
    (b'{"titl\xe9": 1}\n', {"form": "ndjson"}, "save the file as UTF-8"),
    (b"PK\x03\x04\x14\x00\x06\x00\x08\x00", {}, "header"),
    ("title\n", {"form": "xlsx"}, "xlsx"),
    ("title\n", {"delimiter": ";;"}, ";;"),
    ("title\n", {"delimiter": '"'}, "delimiter"),
]


@pytest.mark.parametrize(("text", "options", "told"), WRONG_HEADERS)
def test_a_wrong_header_is_refused_before_anything_is_read(
    site: lockside.Session, text: str | bytes, options: dict[str, Any], told: str
) -> None:
    content = text.encode() if isinstance(text, str) else text
    more = b"" if told == "empty" else b"Pump,x,y\n"

    with pytest.raises(InvalidInput) as refused:
        load(site, "task", content + more, **options)

    assert told in str(refused.value)
    assert site.states("task") == {}


def test_an_unknown_column_is_told_with_the_fields_that_are_known(
    site: lockside.Session, says: Sentences
) -> None:
    with pytest.raises(InvalidInput, check=says) as refused:
        load(site, "task", "title,Colour\nPump,red\n")

    assert refused.value.facts["got"] == "Colour"


def test_a_header_alone_brings_nothing(site: lockside.Session) -> None:
    assert load(site, "task", "title,site\n") == Loaded()


def test_a_record_is_named_by_id_or_by_name(site: lockside.Session, harbor: int) -> None:
    load(site, "task", f"title,site\nA,{harbor}\nB,Harbor Mall\n")

    assert rows_of(site, "task", "site_id") == [(harbor,), (harbor,)]


def test_a_name_of_digits_is_a_name_unless_it_is_an_id(site: lockside.Session) -> None:
    ids = [site.records("site").create(name=name)["id"] for name in ("40417", "007")]

    load(site, "task", "title,site\nA,40417\nB,007\n")

    assert rows_of(site, "task", "site_id") == [(each,) for each in ids]


def test_what_could_be_two_records_is_told(site: lockside.Session, harbor: int) -> None:
    site.records("site").create(name=str(harbor))

    assert faults_of(site, "task", f"title,site\nA,{harbor}\n") == [
        (2, "site_id", "ambiguous_reference")
    ]


def test_a_record_of_another_tenant_or_a_deleted_one_is_not_there(site: lockside.Session) -> None:
    gone = site.records("site").create(name="Gone")["id"]
    site.records("site").delete(gone)
    site.act_as("other", "admin")
    theirs = site.records("site").create(name="Theirs")["id"]
    site.act_as("demo", "admin")

    told = faults_of(site, "task", f"title,site\nA,Gone\nB,{gone}\nC,Theirs\nD,{theirs}\n")

    assert told == [(line, "site_id", "unknown_reference") for line in (2, 3, 4, 5)]


@pytest.mark.usefixtures("small_batches")
def test_checkpoints_find_their_tour_wherever_it_stands_before(site: lockside.Session) -> None:
    load(site, "task", "reference,title,parent\nA,Before,\n")
    text = """reference,title,parent
        C-1,in the same batch,T-1
        T-1,Tour,
        C-2,before this file,A
        C-3,in a batch before,T-1
    """

    loaded = load(site, "task", text.replace("        ", "").rstrip(" "))

    rows = site.export("task", fields=["reference", "parent_id"], names=True)
    assert loaded.new == 4
    assert {row["reference"]: row["parent"] for row in rows} == {
        "A": None,
        "T-1": None,
        "C-1": "T-1",
        "C-2": "A",
        "C-3": "T-1",
    }


def test_checkpoints_without_a_tour_are_told(site: lockside.Session) -> None:
    text = "reference,title,parent\nA,a ring,B\nB,a ring,A\nC,itself,C\nD,of a bad one,E\nE,,\n"

    told = faults_of(site, "task", text)

    assert told == [
        (2, "parent_id", "tour_nested"),
        (3, "parent_id", "tour_nested"),
        (4, "parent_id", "tour_nested"),
        (5, "parent_id", "unknown_reference"),
        (6, "title", "value_missing"),
    ]


def test_a_tour_that_was_deleted_takes_no_checkpoints(site: lockside.Session) -> None:
    load(site, "task", "reference,title\nT-1,Tour\n")
    site.records("task").delete(site.ids_by_reference("task", ["T-1"])["T-1"])

    loaded = load(site, "task", "reference,title,parent\nT-1,Tour,\nC-1,Door,T-1\n")

    assert (loaded.new, loaded.there, loaded.bad) == (0, 0, 2)
