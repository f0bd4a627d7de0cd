"""Files that name rows: each with values of its own, each bad line told, the rest done."""

import csv
import io
import json
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from sqlalchemy import event

import lockside
from domain.bulk import LINES
from domain.errors import IdempotencyMismatch, InvalidInput
from engine.audit.writer import write_records
from tests.checker import check_invariants
from tests.engine.steps import chunks, drain, operation, query, rows
from tests.engine.work_files import Endless
from tests.factories import tasks, tickets, work_orders
from tests.sentences import Sentences

pytestmark = pytest.mark.slow


def send(
    site: lockside.Session, kind: str, text: str, *, form: str = "csv", **asked: Any
) -> lockside.Operation:
    """Hand in the transition of a file's rows, continuing on error unless told otherwise."""
    given: dict[str, Any] = {
        "atomic": False,
        "file": io.BytesIO(text.encode()),
        "form": form,
    } | asked
    if "to" in given:
        return site.transition(kind, **given)
    if given.pop("verb", "update") == "assign":
        return site.assign(kind, **given)
    return site.update(kind, **given)


def done(site: lockside.Session, asked: lockside.Operation) -> dict[str, Any]:
    """Run an operation to its end; return the result."""
    return drain(site, asked._id)


def failed(asked: lockside.Operation) -> dict[int, tuple[str, Any]]:
    """Return the code and the value of what failed, by line."""
    return {
        each["line"]: (each["code"], each.get("value")) for each in asked.results(only="FAILED")
    }


def test_each_row_has_its_own_comments(site: lockside.Session) -> None:
    ids = tickets(site, 3, state="INPROGRESS")
    text = f"id,comments\n{ids[0]},Refitted\n{ids[1]},\n{ids[2]},Cleaned\n"

    asked = send(site, "ticket", text, to="RESOLVED")
    result = done(site, asked)

    write_records(site.platform)
    recorded = query(
        site,
        "SELECT entity_id, comments FROM state_transition_audit WHERE success ORDER BY entity_id",
    )
    assert result["failure_codes"] == {"comments_required": 1}
    assert [(each["entity_id"], each["comments"]) for each in recorded] == [
        (ids[0], "Refitted"),
        (ids[2], "Cleaned"),
    ]
    check_invariants(site)


def test_comments_of_the_operation_stand_in_for_missing_ones(site: lockside.Session) -> None:
    ids = tickets(site, 2, state="INPROGRESS")
    text = f"id,comments\n{ids[0]},Refitted\n{ids[1]},\n"

    result = done(site, send(site, "ticket", text, to="RESOLVED", comments="All of them"))

    assert result["successful_items"] == 2


def test_rows_go_by_reference_too(site: lockside.Session) -> None:
    one = tickets(site, 1, reference="T-1") + tickets(site, 1, reference="T-2")

    asked = send(site, "ticket", "reference\nT-2\nT-1\nT-3\n", to="OPEN")
    result = done(site, asked)

    assert result["successful_ids"] == [str(each) for each in one]
    assert failed(asked) == {4: ("unknown_reference", "T-3")}


def test_an_id_and_the_reference_of_another_row_are_no_row(site: lockside.Session) -> None:
    one, two = (tickets(site, 1, reference=each)[0] for each in ("T-1", "T-2"))
    (three,) = tickets(site, 1)

    asked = send(site, "ticket", f"id,reference\n{one},T-2\n{two},T-2\n{three},T-1\n", to="OPEN")
    result = done(site, asked)

    assert result["successful_ids"] == [str(two)]
    assert failed(asked) == {2: ("other_reference", "T-2"), 4: ("other_reference", "T-1")}


def test_another_version_than_expected_is_a_conflict(site: lockside.Session) -> None:
    ids = tickets(site, 2)

    asked = send(site, "ticket", f"id,version\n{ids[0]},1\n{ids[1]},7\n", to="OPEN")
    result = done(site, asked)

    assert result["successful_ids"] == [str(ids[0])]
    assert failed(asked)[3][0] == "concurrency_conflict"


def test_each_row_gets_its_own_values(site: lockside.Session) -> None:
    ids = work_orders(site, 3, remarks="Before")
    text = (
        "id,remarks,vendor,due_at\n"
        f"{ids[0]},First,Bright Clean,2026-12-01T00:00Z\n"
        f"{ids[1]},,Acme Lifts,\n"
        f"{ids[2]},Before,Acme Lifts,\n"
    )

    result = done(site, send(site, "work_order", text))

    found = [site.row("work_order", each) for each in ids]
    assert (result["successful_items"], result["skipped_items"]) == (2, 1)
    assert [each["remarks"] for each in found] == ["First", None, "Before"]
    assert [each["version"] for each in found] == [2, 2, 1]
    assert found[0]["vendor_id"] != found[1]["vendor_id"]
    check_invariants(site)


def test_an_empty_cell_never_brings_the_default_of_a_new_row(site: lockside.Session) -> None:
    ids = tickets(site, 2, priority="HIGH")
    text = f"id,priority,description\n{ids[0]},,Leaks\n{ids[1]},LOW,\n"

    asked = send(site, "ticket", text)
    done(site, asked)

    found = [site.row("ticket", each) for each in ids]
    assert failed(asked) == {2: ("value_missing", "")}
    assert [each["priority"] for each in found] == ["HIGH", "LOW"]


def test_a_null_never_brings_the_default_of_a_new_row(site: lockside.Session) -> None:
    ids = tickets(site, 2, priority="HIGH")
    lines = [{"id": ids[0], "priority": None}, {"id": ids[1], "description": "Leaks"}]

    asked = send(site, "ticket", "\n".join(map(json.dumps, lines)), form="ndjson")
    done(site, asked)

    assert failed(asked) == {1: ("value_missing", None)}
    assert [site.row("ticket", each)["priority"] for each in ids] == ["HIGH", "HIGH"]


def test_values_of_the_operation_go_to_every_row_beside_its_own(site: lockside.Session) -> None:
    ids = work_orders(site, 2)
    text = f"id,remarks\n{ids[0]},One\n{ids[1]},Two\n"

    done(site, send(site, "work_order", text, values={"due_at": "2026-12-01T00:00Z"}))

    found = [site.row("work_order", each) for each in ids]
    assert [each["remarks"] for each in found] == ["One", "Two"]
    assert all(each["due_at"] is not None for each in found)


def test_people_are_assigned_row_by_row(site: lockside.Session) -> None:
    ids = tasks(site, 2, assigned=False)
    text = f"id,assigned_to_user\n{ids[0]},tomas\n{ids[1]},dora\n"

    done(site, send(site, "task", text, verb="assign"))

    people = [site.row("task", each)["assigned_to_user"] for each in ids]
    assert people[0] != people[1]


def test_each_slice_asks_for_its_own_references_only(site: lockside.Session) -> None:
    total = 2_100
    ids = work_orders(site, total)
    vendors = list(site.add_named("vendor", [f"Vendor {n}" for n in range(total)]).values())[:total]
    lines = "".join(f"{each},{vendor}\n" for each, vendor in zip(ids, vendors, strict=True))
    asked = send(site, "work_order", f"id,vendor\n{lines}", atomic=True)
    looked_up: list[int] = []

    @event.listens_for(site.platform.database, "before_cursor_execute")
    def note(*told: Any) -> None:
        _, _, statement, names, *_ = told
        if "FROM vendor" in statement:
            looked_up.extend(*(each for each in names.values() if isinstance(each, list)))

    done(site, asked)

    assert sorted(looked_up) == sorted(vendors)


def test_whom_a_line_of_an_assignment_leaves_empty_stays(site: lockside.Session) -> None:
    ids = tasks(site, 3, assigned=False)
    for each in ("plumbing", "lifts"):
        site.records("team").create(name=each)
    drain(site, site.assign("task", ids, user="dora", team="plumbing")._id)
    held = site.row("task", ids[0])
    dora, plumbing = held["assigned_to_user"], held["assigned_to_team"]
    text = f"id,assigned_to_user,assigned_to_team\n{ids[0]},tomas,\n{ids[1]},,\n"

    asked = send(site, "task", text + f"{ids[2]},,lifts\n", verb="assign")
    done(site, asked)

    found = [site.row("task", each) for each in ids]
    assert [each["assigned_to_user"] == dora for each in found] == [False, True, True]
    assert [each["assigned_to_team"] == plumbing for each in found] == [True, True, False]
    assert failed(asked) == {3: ("value_missing", None)}


def test_a_header_that_names_no_row_is_told_once(site: lockside.Session, says: Sentences) -> None:
    with pytest.raises(InvalidInput, check=says):
        send(site, "work_order", "title,remarks\nA,B\nC,D\n")


def test_a_line_that_brings_nothing_to_write_is_told(site: lockside.Session) -> None:
    ids = work_orders(site, 2, remarks="Kept")
    lines = [{"id": ids[0]}, {"id": ids[1], "remarks": None}]

    asked = send(site, "work_order", "\n".join(map(json.dumps, lines)), form="ndjson")
    done(site, asked)

    assert failed(asked) == {1: ("value_missing", None)}
    assert [site.row("work_order", each)["remarks"] for each in ids] == ["Kept", None]


def test_own_values_are_taken_back_each_for_itself(site: lockside.Session) -> None:
    ids = [*work_orders(site, 1, remarks="A"), *work_orders(site, 1, remarks="B")]
    asked = send(site, "work_order", f"id,remarks\n{ids[0]},C\n{ids[1]},D\n")
    done(site, asked)

    done(site, asked.undo())

    assert [site.row("work_order", each)["remarks"] for each in ids] == ["A", "B"]


def test_a_key_that_an_object_lacks_leaves_its_field_alone(site: lockside.Session) -> None:
    ids = work_orders(site, 2, remarks="Kept")
    lines = [{"id": ids[0], "due_at": "2026-12-01T00:00Z"}, {"id": ids[1], "remarks": "New"}]

    done(site, send(site, "work_order", "\n".join(map(json.dumps, lines)), form="ndjson"))

    found = [site.row("work_order", each) for each in ids]
    assert [each["remarks"] for each in found] == ["Kept", "New"]
    assert [each["due_at"] is None for each in found] == [False, True]


BAD = {
    "x17,2026-12-01T00:00Z,Ok": ("not_a_number", "x17"),
    "0,2026-12-01T00:00Z,Ok": ("out_of_range", "0"),
    ",2026-12-01T00:00Z,Ok": ("value_missing", None),
    "{a},2026-12-01T00:00Z,Twice": ("duplicate_row", "{a}"),
    "{b},tomorrow,Ok": ("not_a_time", "tomorrow"),
    "{b},2026-12-01T00:00,Ok": ("zone_missing", "2026-12-01T00:00"),
    "{b},2026-12-01T00:00Z": ("wrong_columns", "2 columns"),
    '{b},"2026-12-01T00:00Z,Ok': ("broken_line", None),
}


@pytest.mark.parametrize("line", BAD)
def test_a_line_that_is_no_item_is_told_and_the_rest_is_done(
    site: lockside.Session, line: str
) -> None:
    a, b = work_orders(site, 2)
    names = {"a": a, "b": b}
    good = f"{a},2026-12-01T00:00Z,Fine"
    text = "\n".join(["id,due_at,remarks", good, line.format(**names), ""])

    asked = send(site, "work_order", text)
    result = done(site, asked)

    code, value = BAD[line]
    assert (result["total_items"], result["successful_items"]) == (2, 1)
    ((number, told),) = failed(asked).items()
    assert (number, told[0]) == (3, code)
    assert value is None or told[1] == value.format(**names)
    check_invariants(site)


def test_all_or_nothing_takes_no_file_with_a_bad_line(
    site: lockside.Session, says: Sentences
) -> None:
    ids = tickets(site, 2)

    with pytest.raises(InvalidInput, check=says) as told:
        send(site, "ticket", f"id\n{ids[0]}\nx\n{ids[1]}\ny\n", to="OPEN", atomic=True)

    assert "2 bad lines" in told.value.facts["got"]
    assert query(site, "SELECT id FROM operation WHERE verb = 'transition'") == []


def test_all_or_nothing_takes_a_good_file(site: lockside.Session) -> None:
    ids = tickets(site, 3)

    result = done(
        site, send(site, "ticket", "id\n" + "\n".join(map(str, ids)), to="OPEN", atomic=True)
    )

    assert result["successful_items"] == 3


@pytest.mark.parametrize(
    "text",
    [
        "",
        "id\n",
        "id\nx\ny\n",
        "id\n1\n",
        "id,remarks,colour\n1,a,red\n",
        "id,state\n1,NEW\n",
        "id,assigned_to_user\n1,tomas\n",
    ],
)
def test_a_file_that_means_nothing_is_refused(
    site: lockside.Session, text: str, says: Sentences
) -> None:
    with pytest.raises(InvalidInput, check=says):
        send(site, "work_order", text)

    assert query(site, "SELECT id FROM operation WHERE verb = 'update'") == []


def test_of_a_transition_all_other_columns_are_passed_over_and_kept(site: lockside.Session) -> None:
    (row_id,) = tickets(site, 1)

    asked = send(site, "ticket", f"Room,id,colour\nB 12,{row_id},red\n", to="OPEN")
    done(site, asked)

    (told,) = asked.results()
    assert (told["line"], list(told["cells"].items())) == (
        2,
        [("Room", "B 12"), ("id", str(row_id)), ("colour", "red")],
    )


def test_a_line_without_a_row_has_no_id_and_is_recorded(site: lockside.Session) -> None:
    (row_id,) = tickets(site, 1)
    asked = send(site, "ticket", f"id\n{row_id}\nx\n", to="OPEN")

    result = done(site, asked)

    write_records(site.platform)
    (record,) = query(site, "SELECT failed_ids, failure_details FROM bulk_operation_audit")
    assert result["failed_ids"] == ["line 3"]
    assert record["failed_ids"] == []
    assert list(record["failure_details"]) == ["line 3"]
    assert [each["id"] for each in asked.results()] == [None, str(row_id)]
    assert [each.id for each in asked.failures()] == [-3]
    check_invariants(site)


def test_only_rows_are_tried_again_with_what_is_their_own(site: lockside.Session) -> None:
    ids = tickets(site, 2, state="OPEN")
    text = f"id,comments\n{ids[0]},Mended\n{ids[1]},Mended too\nx,\n"
    asked = send(site, "ticket", text, to="RESOLVED")
    done(site, asked)
    done(site, site.transition("ticket", to="INPROGRESS", ids=ids))

    result = done(site, asked.retry())

    assert (result["total_items"], result["successful_items"]) == (2, 2)


def test_the_same_key_with_the_same_file_is_the_same_operation(site: lockside.Session) -> None:
    ids = tickets(site, 2)
    text = f"id\n{ids[0]}\n"

    first = send(site, "ticket", text, to="OPEN", idempotency_key="k")

    assert send(site, "ticket", text, to="OPEN", idempotency_key="k").id == first.id
    with pytest.raises(IdempotencyMismatch):
        send(site, "ticket", f"id\n{ids[1]}\n", to="OPEN", idempotency_key="k")


def test_the_same_key_with_the_same_file_is_the_same_when_a_row_is_gone(
    site: lockside.Session,
) -> None:
    (row_id,) = tickets(site, 1, reference="T-1")
    asked: dict[str, Any] = {"to": "OPEN", "atomic": True, "idempotency_key": "k"}
    first = send(site, "ticket", "reference\nT-1\n", **asked)
    done(site, first)
    site.records("ticket").delete(row_id)

    again = send(site, "ticket", "reference\nT-1\n", **asked)

    assert again.id == first.id


OTHERWISE: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    ("id,reading:pressure\n{id},4", {}, "id,reading:flow\n{id},4", {}),
    ("id,reading:flow\n{id},4", {}, "id,reading:flow\n{id},4", {"ignore": ["reading:flow"]}),
    (
        '{{"id": {id}, "readings": {{"flow": 4}}}}',
        {"form": "ndjson"},
        '{{"id": {id}, "readings": {{"flow": 4}}}}',
        {"form": "ndjson", "ignore": ["readings"]},
    ),
]


@pytest.mark.parametrize(("text", "asked", "other", "again"), OTHERWISE)
def test_the_same_key_with_lines_of_another_meaning_is_refused(
    site: lockside.Session, text: str, asked: dict[str, Any], other: str, again: dict[str, Any]
) -> None:
    (row_id,) = tasks(site, 1)
    send(site, "task", text.format(id=row_id), to="STANDBY", idempotency_key="k", **asked)

    with pytest.raises(IdempotencyMismatch):
        send(site, "task", other.format(id=row_id), to="STANDBY", idempotency_key="k", **again)


def test_of_ten_thousand_every_bad_one_is_told_and_mended_all_are_done(
    site: lockside.Session,
) -> None:
    ids = tickets(site, 10_000, state="INPROGRESS")
    closed = tickets(site, 20, state="CLOSED")
    site.act_as("other", "admin")
    foreign = tickets(site, 10, state="INPROGRESS")
    site.act_as("demo", "admin")
    lines = [[str(each), "1", f"Refitted {each}"] for each in ids]
    spoil: list[tuple[str, Any]] = [
        *[("not_a_number", ["x9", "1", "Ok"])] * 17,
        *[("value_missing", ["", "1", "Ok"])] * 17,
        *[("comments_required", None)] * 17,
        *[("concurrency_conflict", None)] * 17,
        *[("wrong_columns", ["5"])] * 17,
        *[("duplicate_row", None)] * 22,
        *[("illegal_transition", [str(each), "1", "Ok"]) for each in closed],
        *[("not_found", [str(each), "1", "Ok"]) for each in foreign],
    ]
    assert len(spoil) == 137
    expected: dict[int, str] = {}
    good = [list(each) for each in lines]
    for n, (code, cells) in enumerate(spoil):
        place = 70 * (n + 1)
        expected[place + 2] = code
        spoiled = {
            "comments_required": [lines[place][0], "1", ""],
            "concurrency_conflict": [lines[place][0], "9", "Ok"],
            "duplicate_row": lines[place - 1],
        }
        lines[place] = list(cells or spoiled[code])

    asked = send(site, "ticket", written(lines), to="RESOLVED")
    result = done(site, asked)

    told = {line: code for line, (code, _) in failed(asked).items()}
    assert told == expected
    assert (result["total_items"], result["successful_items"]) == (10_000, 9_863)
    mended = [good[line - 2] for line in sorted(told)]
    again = done(site, send(site, "ticket", written(mended), to="RESOLVED"))
    assert (again["successful_items"], again["failed_items"]) == (137, 0)
    found = rows(site, "ticket")
    assert {found[each][0] for each in ids} == {"RESOLVED"}
    assert operation(site, asked._id)["total"] == 10_000
    check_invariants(site)


def written(lines: list[list[str]]) -> str:
    """Return lines as a CSV file of rows with versions and comments."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([["id", "version", "comments"], *lines])
    return text.getvalue()


@pytest.mark.parametrize(
    "odd",
    [
        '{"id": %d, "x": 1e400}',
        '{"id": %d, "x": ["a\\u0000b", {"\\ud800": "\\udfff"}]}',
    ],
)
def test_what_jsonb_would_refuse_is_kept_as_text(site: lockside.Session, odd: str) -> None:
    (row_id,) = tickets(site, 1)
    text = '{"id": 99999999999999999999}\n' + odd % row_id

    asked = send(site, "ticket", text, to="OPEN", form="ndjson")
    result = done(site, asked)

    assert result["total_items"] == 2
    assert result["failed_items"] >= 1


@pytest.mark.parametrize("depth", [51, 600, 970])
def test_a_line_nested_without_end_is_told_and_the_rest_is_done(
    site: lockside.Session, depth: int
) -> None:
    one, two, three = tickets(site, 3)
    lines = [{"id": one}, {"id": two}, {"id": three}]
    texts = list(map(json.dumps, lines))
    texts[1] = f'{{"id": {two}, "x": {"[" * (depth - 1)}{"]" * (depth - 1)}}}'
    texts[2] = f'{{"id": {three}, "x": {"[" * 49}{"]" * 49}}}'

    asked = send(site, "ticket", "\n".join(texts), to="OPEN", form="ndjson")
    result = done(site, asked)

    assert result["successful_ids"] == [str(one), str(three)]
    assert failed(asked) == {2: ("broken_line", "more than 50 brackets in each other")}


def sliced(site: lockside.Session, **pace: int) -> None:
    """Give the site another pace."""
    site.platform = replace(site.platform, pace=replace(site.platform.pace, **pace))


def test_bad_lines_are_cut_into_chunks_like_rows(site: lockside.Session) -> None:
    ids = tickets(site, 3)
    bad = [f"x{n}" for n in range(2_500)]

    asked = send(site, "ticket", "\n".join(["id", *bad, *map(str, ids)]), to="OPEN")

    stored = [(each["chunk_no"], each["ids"]) for each in chunks(site, asked._id)]
    assert stored == [
        (-3, [each - LINES for each in range(2, 1002)]),
        (-2, [each - LINES for each in range(1002, 2002)]),
        (-1, [each - LINES for each in range(2002, 2502)]),
        (0, ids),
    ]


def test_every_bad_line_of_many_chunks_is_told_and_counted(
    site: lockside.Session, says: Sentences
) -> None:
    sliced(site, chunk_items=2)
    ids = tickets(site, 3)
    lines = [*(f"x{n}" for n in range(40)), *map(str, ids), "", "0,"]

    asked = send(site, "ticket", "\n".join(["id", *lines]), to="OPEN")
    before = asked.show()["counts"]
    result = done(site, asked)

    assert (before["failed"], before["pending"]) == (41, 3)
    assert [each.id for each in asked.failures()] == [*range(-2, -42, -1), -46]
    assert result["failure_codes"] == {"not_a_number": 40, "wrong_columns": 1}
    assert {each["code"]: each["items"] for each in asked.failure_groups()} == (
        result["failure_codes"]
    )
    with pytest.raises(InvalidInput, check=says):
        asked.retry()
    check_invariants(site)


@pytest.mark.parametrize("size", [3, 1000])
def test_bad_lines_are_told_in_their_order(site: lockside.Session, size: int) -> None:
    (row_id,) = tickets(site, 1)
    lines = [f"x{n}" for n in range(8)]

    asked = send(
        site, "ticket", "\n".join(["id", *lines, str(row_id)]), to="OPEN", chunk_items=size
    )
    result = done(site, asked)

    told = [f"line {n}" for n in range(2, 10)]
    assert [each["line"] for each in asked.results()] == list(range(2, 11))
    assert result["failed_ids"] == told
    assert asked.failure_groups()[0]["ids"] == told[:3]


def test_bad_lines_of_more_than_the_result_lists_are_counted(site: lockside.Session) -> None:
    ids = tickets(site, 2)
    bad = [f"x{n}" for n in range(1_500)]

    result = done(site, send(site, "ticket", "\n".join(["id", *bad, *map(str, ids)]), to="OPEN"))

    assert (result["total_items"], result["successful_items"]) == (1_502, 2)
    assert result["failure_codes"] == {"not_a_number": 1_500}
    check_invariants(site)


def test_a_file_of_more_lines_than_an_operation_has_items_is_read_no_further(
    site: lockside.Session, says: Sentences
) -> None:
    sliced(site, operation_items=20, import_rows=5)
    file: Any = Endless(b"id\n" if n == 0 else b"x\n" for n in count())

    with pytest.raises(InvalidInput, check=says):
        site.transition("ticket", to="OPEN", atomic=False, file=file, form="csv")

    assert file.read < 5_000


def test_lines_too_large_for_their_chunk_are_refused(
    site: lockside.Session, says: Sentences
) -> None:
    """Takes seconds: nothing less than 256 MB is too large."""
    (row_id,) = tickets(site, 1)
    # What is kept of a line has the names of its cells.
    text = f"id,{'a' * 131_000},{'b' * 131_000}\n{row_id},,\n" + "x,,\n" * 1_100

    with pytest.raises(InvalidInput, check=says):
        send(site, "ticket", text, to="OPEN", chunk_items=2_000)

    assert query(site, "SELECT id FROM operation WHERE verb = 'transition'") == []
