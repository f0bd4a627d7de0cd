"""A file comes in once, whatever happens, and leaves its records."""

from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest

import lockside
from domain.errors import PermissionDenied
from engine.audit.writer import write_records
from lockside.session.import_export import Loaded
from tests.engine.steps import at_once, query
from tests.engine.work_files import faults_of, load, rows_of
from tests.sentences import Sentences


@pytest.fixture
def small_batches(site: lockside.Session) -> None:
    site.platform = replace(site.platform, pace=replace(site.platform.pace, import_rows=3))


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("header", ["reference,title", "remarks,title"])
def test_the_same_file_again_brings_nothing(site: lockside.Session, header: str) -> None:
    text = f"{header}\n" + "".join(f"R-{n},Same\n" for n in range(10)) + "R-11,\n"
    first = load(site, "task", text)

    again = load(site, "task", text)

    assert (first.new, first.there, first.bad) == (10, 0, 1)
    assert (again.new, again.there, again.bad) == (0, 10, 1)
    assert site.states("task") == {"ASSIGNED": 10}


def test_a_row_that_stands_twice_without_a_reference_comes_in_twice(site: lockside.Session) -> None:
    assert load(site, "task", "title\nPump\nPump\n").new == 2


def test_a_row_that_is_there_stays_as_it_is(site: lockside.Session) -> None:
    load(site, "ticket", "reference,title\nR-1,Leak\n")

    loaded = load(site, "ticket", "reference,title\nR-1,Changed\nR-2,New\n")

    assert (loaded.new, loaded.there) == (1, 1)
    assert rows_of(site, "ticket", "title") == [("Leak",), ("New",)]


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("more", ["", "R-3,More\nR-4,More\nR-5,More\n"])
@pytest.mark.parametrize("title", ["Leak", "Changed"])
def test_a_row_whose_reference_was_deleted_is_told_each_time(
    site: lockside.Session, title: str, more: str
) -> None:
    load(site, "ticket", "reference,title\nR-1,Leak\nR-2,Leak\n")
    site.records("ticket").delete(site.ids_by_reference("ticket", ["R-1"])["R-1"])
    text = f"reference,title\nR-1,{title}\nR-2,Leak\n{more}"
    fault = (2, "reference", "reference_deleted")

    assert [faults_of(site, "ticket", text) for _ in range(2)] == [[fault]] * 2
    again = load(site, "ticket", text)
    assert (again.new, again.there, again.bad) == (0, 1 + more.count("\n"), 1)


@pytest.mark.usefixtures("small_batches")
def test_what_was_bad_comes_in_once_it_fits(site: lockside.Session) -> None:
    text = "title,site\n" + "".join(f"T-{n},{'Nowhere' if n % 4 == 0 else ''}\n" for n in range(9))
    first = load(site, "task", text)
    site.records("site").create(name="Nowhere")

    second = load(site, "task", text)
    third = load(site, "task", text)

    assert (first.new, first.bad) == (6, 3)
    assert (second.new, second.there, second.bad) == (3, 6, 0)
    assert (third.new, third.there, third.bad) == (0, 9, 0)
    assert len(set(rows_of(site, "task", "title"))) == 9


def test_another_mapping_is_another_file(site: lockside.Session) -> None:
    text = "A,B\nPump,Leak\n"
    load(site, "task", text, columns={"A": "title", "B": "remarks"})

    again = load(site, "task", text, columns={"B": "title", "A": "remarks"})

    assert again.new == 1


def test_another_tenant_may_send_the_same_file(site: lockside.Session) -> None:
    load(site, "task", "title\nPump\n")
    site.act_as("other", "admin")

    assert load(site, "task", "title\nPump\n").new == 1


@pytest.mark.parametrize("header", ["reference,title", "remarks,title"])
def test_five_who_send_the_same_file_bring_it_in_once(site: lockside.Session, header: str) -> None:
    text = f"{header}\n" + "".join(f"R-{n},Same\n" for n in range(500))

    answers = at_once(*[lambda: load(site, "task", text)] * 5)

    assert [each for each in answers if not isinstance(each, Loaded)] == []
    assert sum(each.new for each in answers) == 500  # type: ignore[attr-defined]
    assert site.states("task") == {"ASSIGNED": 500}


class Ends(BytesIO):
    """A file whose reading is ended from outside, as by Ctrl-C."""

    def read1(self, _size: int | None = -1, /) -> bytes:
        piece = self.read(200)
        if not piece:
            raise KeyboardInterrupt
        return piece


@pytest.mark.usefixtures("small_batches")
def test_what_is_in_when_it_is_stopped_stays_and_the_same_again_goes_on(
    site: lockside.Session,
) -> None:
    text = "title,remarks\n" + "".join(f"Task {n},same\n" for n in range(100))
    told: list[int] = []
    half = Ends(text[: len(text) // 2].encode())
    with pytest.raises(KeyboardInterrupt):
        site.load("task", half, form="csv", on_progress=lambda each: told.append(each.new))
    stored = site.states("task")["ASSIGNED"]

    again = load(site, "task", text)

    assert 0 < stored == told[-1] < 100
    assert (again.there, again.new) == (stored, 100 - stored)


@pytest.mark.usefixtures("small_batches")
def test_a_batch_is_an_operation_that_says_what_it_brought(site: lockside.Session) -> None:
    load(site, "ticket", "title,priority\nA,LOW\nB,SOON\nC,LOW\nD,LOW\n")

    found = query(site, "SELECT verb, kind, total, state, reason, details FROM operation ORDER BY"
                        " total DESC")  # fmt: skip
    shared = {"verb": "import", "kind": "ticket", "state": "SUCCEEDED", "reason": "import"}
    first = {"file": "", "lines": [2, 4], "left_out": [1]}
    second = {"file": "", "lines": [5, 5], "left_out": []}
    assert found == [
        {**shared, "total": 2, "details": first},
        {**shared, "total": 1, "details": second},
    ]


def test_every_row_has_its_record(site: lockside.Session) -> None:
    load(site, "ticket", 'title,priority,state\n"a ""b"" \\ c",LOW,\nä€,,OPEN\n')
    write_records(site.platform)

    found = query(site, "SELECT event_type, version, reason, changes FROM audit_log"
                        " WHERE kind = 'ticket' ORDER BY entity_id")  # fmt: skip
    shared = {"event_type": "CREATED", "version": 1, "reason": "import"}
    assert found == [
        {**shared, "changes": changes('a "b" \\ c', "LOW", "NEW")},
        {**shared, "changes": changes("ä€", "MEDIUM", "OPEN")},
    ]


def changes(title: str, priority: str, state: str) -> dict[str, Any]:
    after = {"title": title, "priority": priority, "state": state}
    return {name: {"before": None, "after": value} for name, value in after.items()}


def test_rules_of_the_intake_are_judged(site: lockside.Session) -> None:
    site.records("site").create(name="Fenced", latitude=19.0, longitude=72.0, radius_m=100)
    header = "person_id,site,punchintime,ctzoffset,datefor,punchin_latitude,punchin_longitude\n"
    near, far = (
        f"admin,Fenced,2026-11-20T03:00:00Z,330,2026-11-20,{latitude},72.0\n"
        for latitude in (19.0, 20.0)
    )

    load(site, "attendance", header + near + far)

    warnings = [site.row("attendance", row)["warnings"] for row in site.ids("attendance")]
    assert [[each["code"] for each in row] for row in warnings] == [[], ["outside_geofence"]]


def test_who_may_not_import_is_refused(site: lockside.Session, says: Sentences) -> None:
    site.act_as("demo", "victor")

    with pytest.raises(PermissionDenied, check=says):
        load(site, "task", "title\nPump\n")


@pytest.mark.slow
def test_two_files_with_the_same_references_the_other_way_round_bring_each_row_once(
    site: lockside.Session,
) -> None:
    lines = [f"R-{n},Same\n" for n in range(3_000)]
    there, back = ("reference,title\n" + "".join(each) for each in (lines, reversed(lines)))

    answers = at_once(lambda: load(site, "task", there), lambda: load(site, "task", back))

    assert sum(each.new for each in answers) == 3_000  # type: ignore[attr-defined]
    assert site.states("task") == {"ASSIGNED": 3_000}
