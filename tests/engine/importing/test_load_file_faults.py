"""What doesn't fit is told, fault by fault, and leaves the rest alone."""

import json
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest

import lockside
from domain.errors import InvalidInput
from lockside.session.import_export import Reject
from tests.engine.work_files import faults_of, load, rejects_of, rows_of
from tests.sentences import Sentences

pytestmark = pytest.mark.slow

TASKS = "reference,title,site,due_at\n"


@pytest.fixture
def small_batches(site: lockside.Session) -> None:
    site.platform = replace(site.platform, pace=replace(site.platform.pace, import_rows=3))


BAD: list[tuple[str, str, str | bytes, str | None, str]] = [
    ("task", "title", "Pump,more", None, "wrong_columns"),
    ("task", "title,site", "Pump", None, "wrong_columns"),
    ("task", "title", '"Pump', None, "broken_line"),
    ("task", "title", '"Pump"s', None, "broken_line"),
    ("task", "title", "x" * 140_000, None, "broken_line"),
    ("task", "title,site", ",", "title", "value_missing"),
    ("task", "title,site", " ,", "title", "value_missing"),
    ("task", "title,state", "Pump,GONE", "state", "unknown_state"),
    ("task", "title,due_at", "Pump,2026-11-22T09:30:00", "due_at", "zone_missing"),
    ("task", "title,due_at", "Pump,2026-11-22", "due_at", "zone_missing"),
    ("task", "title,due_at", "Pump,22.11.2026 09:30", "due_at", "not_a_time"),
    ("task", "title,due_at", "Pump,2026-02-30T09:30:00Z", "due_at", "not_a_time"),
    ("task", "title,due_at", "Pump,0001-01-01T00:00:00+14:00", "due_at", "out_of_range"),
    ("task", "title,due_at", "Pump,9999-12-31T23:59:00-12:00", "due_at", "out_of_range"),
    ("task", "title,state_since", "Pump,now", "state_since", "not_a_time"),
    ("task", "title,site", "Pump,Nowhere", "site_id", "unknown_reference"),
    ("task", "title,site", "Pump,999999", "site_id", "unknown_reference"),
    ("task", "title,site", "Pump,0", "site_id", "unknown_reference"),
    ("task", "title,site", f"Pump,{2**70}", "site_id", "unknown_reference"),
    ("task", "title,job", "Pump,Nothing", "job_id", "unknown_reference"),
    ("task", "title,assigned_to_user", "Pump,nobody", "assigned_to_user", "unknown_reference"),
    ("task", "title,parent", "Pump,T-9", "parent_id", "unknown_reference"),
    ("task", "title", "x" * 10_001, "title", "too_long"),
    ("task", "title,reference", f"Pump,{'x' * 501}", "reference", "too_long"),
    ("task", "title", "Pu\x00mp", "title", "bad_characters"),
    ("task", "title", b"Pump \xff", "title", "bad_characters"),
    ("task", "title,site", b"Pump,Caf\xe9", "site_id", "unknown_reference"),
    ("ticket", "title,priority", "Leak,URGENT", "priority", "unknown_word"),
    ("attendance", "person_id,punchintime,ctzoffset,datefor", "admin,2026-11-20T03:00:00Z,x,"
     "2026-11-20", "ctzoffset", "not_a_number"),
    ("attendance", "person_id,punchintime,ctzoffset,datefor", "admin,2026-11-20T03:00:00Z,1.5,"
     "2026-11-20", "ctzoffset", "not_a_number"),
    ("attendance", "person_id,punchintime,ctzoffset,datefor", "admin,2026-11-20T03:00:00Z,"
     "99999999999,2026-11-20", "ctzoffset", "out_of_range"),
    ("attendance", "person_id,punchintime,ctzoffset,datefor", "admin,2026-11-20T03:00:00Z,900,"
     "2026-11-20", "ctzoffset", "check_failed"),
    ("attendance", "person_id,punchintime,ctzoffset,datefor", "admin,2026-11-20T03:00:00Z,330,"
     "20/11/2026", "datefor", "not_a_day"),
    ("attendance", "person_id,punchintime,punchouttime,ctzoffset,datefor",
     "admin,2026-11-20T03:00:00Z,2026-11-20T02:00:00Z,330,2026-11-20", "punchouttime",
     "check_failed"),
    ("attendance", "person_id,punchintime,punchin_latitude,ctzoffset,datefor",
     "admin,2026-11-20T03:00:00Z,nan,330,2026-11-20", "punchin_latitude", "not_a_number"),
]  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_line_is_told_by_its_number_field_and_sort(
    site: lockside.Session, case: tuple[str, str, str | bytes, str | None, str]
) -> None:
    kind, header, line, field, code = case
    content = header.encode() + b"\n" + (line if isinstance(line, bytes) else line.encode())

    told = faults_of(site, kind, content)

    assert told == [(2, field, code)]
    assert site.states(kind) == {}


def test_a_bad_line_leaves_the_others_alone(site: lockside.Session) -> None:
    loaded = load(site, "ticket", "title,priority\nA,HIGH\nB,URGENT\nC,low\n")

    assert (loaded.read, loaded.new, loaded.bad) == (3, 2, 1)
    assert rows_of(site, "ticket", "title", "priority") == [("A", "HIGH"), ("C", "LOW")]


def test_a_fault_says_what_came_what_was_expected_and_where(site: lockside.Session) -> None:
    (told,) = rejects_of(site, "ticket", "title,priority\r\nA,HIGH\r\nB,URGENT\r\n")

    assert told == Reject(
        line=3,
        field="priority",
        value="URGENT",
        code="unknown_word",
        reason="no such word: expected one of LOW, MEDIUM, HIGH, CRITICAL",
        text="B,URGENT",
    )


def test_all_faults_of_a_line_are_told(site: lockside.Session) -> None:
    text = TASKS + "T-1,Pump,,\nT-1,,Nowhere,tomorrow\n"

    loaded = load(site, "task", text)

    assert sorted(faults_of(site, "task", text)) == [
        (3, "due_at", "not_a_time"),
        (3, "reference", "duplicate_reference"),
        (3, "site_id", "unknown_reference"),
        (3, "title", "value_missing"),
    ]
    assert (loaded.bad, sum(loaded.codes.values())) == (1, 4)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_line_is_counted_as_an_editor_counts_it(site: lockside.Session, end: str) -> None:
    lines = ["title,priority", '"a', 'b",URGENT', "", "c,LOW", "d,NEVER", "e,SOON"]

    told = faults_of(site, "ticket", end.join(lines))

    assert [line for line, _, _ in told] == [2, 6, 7]


@pytest.mark.parametrize("step", [1, 2, 3, 7, 64])
def test_it_does_not_matter_in_what_pieces_a_file_arrives(
    site: lockside.Session, step: int
) -> None:
    text = '\ufefftitle,priority\r\n"ä\r\n€",URGENT\r\n"open,LOW\r\nb,SOON\rc,HIGH\n😀,LOW'

    class Pieces(BytesIO):
        def read1(self, _size: int | None = -1, /) -> bytes:
            return self.read(step)

    told: list[Reject] = []
    site.load("ticket", Pieces(text.encode()), form="csv", on_reject=told.append)

    assert [each.line for each in told] == [2, 4, 5]
    assert rows_of(site, "ticket", "title") == [("c",), ("😀",)]


def test_a_quote_that_is_never_closed_breaks_its_own_line_only(site: lockside.Session) -> None:
    lines = [f"Ticket {n},LOW" for n in range(5_000)]
    lines[17] = '"Ticket 17,LOW'

    told: list[Reject] = []
    loaded = load(site, "ticket", "\n".join(["title,priority", *lines]), on_reject=told.append)

    assert (loaded.new, [each.line for each in told]) == (4_999, [19])


def test_a_line_without_end_is_one_bad_line(site: lockside.Session) -> None:
    endless = b"x" * 5_000_000

    loaded = load(site, "ticket", b"title\nA\n" + endless + b"\nB\n" + endless)

    assert (loaded.new, loaded.bad) == (2, 2)


@pytest.mark.usefixtures("small_batches")
def test_a_reference_that_stands_twice_is_told_with_its_first_line(site: lockside.Session) -> None:
    text = "title,reference\n" + "".join(f"T,R-{n}\n" for n in (1, 2, 3, 4, 5, 2, 6, 7, 7, 8))

    told = rejects_of(site, "ticket", text)

    assert [(each.line, each.value) for each in told] == [(7, "R-2"), (10, "R-7")]
    assert ["line 3 has it" in told[0].reason, "line 9 has it" in told[1].reason] == [True, True]
    assert site.states("ticket") == {"NEW": 8}


def lines_of(*values: object) -> str:
    return "".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in values)


def test_a_file_may_hold_an_object_a_line(site: lockside.Session) -> None:
    text = lines_of({"title": "A", "Priority": "high"}, {"reference": "R-1", "title": "B"})

    loaded = load(site, "ticket", text, form="ndjson")

    assert loaded.new == 2
    assert rows_of(site, "ticket", "reference", "title", "priority") == [
        (None, "A", "HIGH"),
        ("R-1", "B", "MEDIUM"),
    ]


@pytest.mark.parametrize(
    ("value", "field", "code"),
    [
        ("{bad", None, "broken_line"),
        ("[1]", None, "broken_line"),
        ('"text"', None, "broken_line"),
        ("null", None, "broken_line"),
        ('{"title": NaN}', None, "broken_line"),
        ("[" * 100_000, None, "broken_line"),
        ({}, "title", "value_missing"),
        ({"title": None}, "title", "value_missing"),
        ({"title": 7}, "title", "not_text"),
        ({"title": ["a"]}, "title", "not_text"),
        ({"title": "a\x00b"}, "title", "bad_characters"),
        ('{"title": "\\ud800"}', "title", "bad_characters"),
        ({"title": "A", "priority": 3}, "priority", "unknown_word"),
        ({"title": "A", "priority": True}, "priority", "unknown_word"),
        ({"title": "A", "site": True}, "site_id", "unknown_reference"),
        ({"title": "A", "site": 1.5}, "site_id", "unknown_reference"),
        ({"title": "A", "site": {"id": 1}}, "site_id", "unknown_reference"),
        ({"title": "A", "state_since": 1763798400}, "state_since", "not_a_time"),
        ({"title": "A", "Colour": "red"}, "Colour", "unknown_field"),
    ],
)
def test_a_bad_object_is_told(site: lockside.Session, value: Any, field: str, code: str) -> None:
    told = faults_of(site, "ticket", lines_of({"title": "A"}, value), form="ndjson")

    assert told == [(2, field, code)]
    assert site.states("ticket") == {"NEW": 1}


@pytest.mark.parametrize(
    "text",
    ["", "\n\n", '{"title": "A", "Colour": "red"}\n', "title,priority\nA,LOW\n"],
)
def test_a_file_of_no_such_objects_is_refused(
    site: lockside.Session, text: str, says: Sentences
) -> None:
    with pytest.raises(InvalidInput, check=says):
        load(site, "ticket", text, form="ndjson")
