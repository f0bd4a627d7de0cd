"""Records are created, shown, listed, changed and deleted one at a time, and tell their story."""

from uuid import uuid4

import pytest
from sqlalchemy import text

import lockside
from engine.audit.writer import write_records
from tests.factories import tickets, work_orders
from tests.interfaces.commands import Answer, at_a_terminal, call
from tests.patience import PATIENCE_S
from worker.settings import Settings


def records(settings: Settings, *words: object) -> Answer:
    return call(settings, "records", *words)


def test_a_created_record_is_told_by_its_id(site: lockside.Session, settings: Settings) -> None:
    answer = records(settings, "create", "work-order", "title=Fix pump", "vendor=Acme Lifts")

    row = site.row("work_order", int(answer.out.split()[-1].strip(".")))
    vendors = site.add_named("vendor", ["Acme Lifts"])
    assert (answer.code, row["title"], row["state"]) == (0, "Fix pump", "DRAFT")
    assert row["vendor_id"] == vendors["Acme Lifts"]


def test_what_speaks_against_new_work_is_told(site: lockside.Session, settings: Settings) -> None:
    place = f"name={uuid4().hex}"
    fenced = records(
        settings, "create", "site", place, "latitude=52.5", "longitude=13.4", "radius_m=200"
    )
    punch = ("person=tomas", "datefor=2026-11-20", "punchintime=2026-11-20T08:00Z", "ctzoffset=60")

    answer = records(settings, "create", "attendance", place.replace("name", "site"), *punch)
    shown = records(settings, "show", "attendance", answer.out.split()[2].strip("."))

    assert (fenced.code, answer.code) == (0, 0)
    assert "(outside_geofence)" in answer.out
    assert "(outside_geofence)" in shown.out


def test_a_record_is_shown_with_its_parts(site: lockside.Session, settings: Settings) -> None:
    (row,) = work_orders(site, 1)
    records(settings, "create", "work-order-line", f"work_order={row}", "description=New seal")

    answer = records(settings, "show", "work-order", row)

    assert ["id", str(row)] in [line.split() for line in answer.out.splitlines()]
    assert "work order lines" in answer.out
    assert "New seal" in answer.out


def test_several_values_stand_with_commas_between_them(settings: Settings) -> None:
    made = records(
        settings, "create", "job", f"name={uuid4().hex}", "asks_for=pressure,panel clean"
    )
    row = made.out.split()[-1].strip(".")

    listed = records(settings, "list", "job", "--after", int(row) - 1)
    shown = records(settings, "show", "job", row)

    assert "pressure, panel clean" in listed.out
    assert "pressure, panel clean" in shown.out


def test_a_list_names_state_and_title(site: lockside.Session, settings: Settings) -> None:
    (row,) = tickets(site, 1, state="ONHOLD")

    answer = records(settings, "list", "ticket", "--after", row - 1)

    heading, line = (each.split() for each in answer.out.splitlines())
    assert heading[:3] == ["id", "state", "title"]
    assert line[:3] == [str(row), "ONHOLD", "Ticket"]


def test_ids_alone_go_through_a_pipe(site: lockside.Session, settings: Settings) -> None:
    before = tickets(site, 1, state="ONHOLD")
    ids = tickets(site, 3, state="ONHOLD") + tickets(site, 1)

    listed = records(settings, "list", "ticket", "--ids", "--state", "onhold", "--after", before[0])
    moved = call(settings, "submit", "resume", "ticket", "-", "--detach", stdin=listed.out)

    assert listed.out == "".join(f"{each}\n" for each in ids[:3])
    results = site.operation(moved.out.strip()).results()
    assert [int(each["id"]) for each in results] == ids[:3]


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_who_lists_less_than_there_is_learns_how_to_go_on(
    site: lockside.Session, settings: Settings, limit: int
) -> None:
    ids = tickets(site, 2)

    answer = records(settings, "list", "ticket", "--ids", "--after", ids[0] - 1, "--limit", limit)

    assert answer.out.split() == [str(each) for each in ids[:limit]]
    assert (f"--after {ids[0]}," in answer.err) == (limit < 2)


def test_a_list_of_many_is_read_in_pages(site: lockside.Session, settings: Settings) -> None:
    ids = tickets(site, 2_500)

    answer = records(settings, "list", "ticket", "--ids", "--after", ids[0] - 1, "--limit", 2_400)

    assert answer.out.split() == [str(each) for each in ids[:2_400]]


def test_an_empty_list_says_so(settings: Settings) -> None:
    answer = records(settings, "list", "payroll-period")

    assert (answer.code, answer.out, "No payroll-period" in answer.err) == (0, "", True)


def test_a_change_is_the_next_version(site: lockside.Session, settings: Settings) -> None:
    (row,) = tickets(site, 1, description="Wet carpet")

    answer = records(
        settings, "update", "ticket", row, "priority=high", "description=", "--expected-version", 1
    )

    now = site.row("ticket", row)
    assert (answer.code, "version 2" in answer.out) == (0, True)
    assert (now["version"], now["priority"], now["description"]) == (2, "HIGH", None)


def test_a_value_holds_equals_signs_and_spaces(site: lockside.Session, settings: Settings) -> None:
    (row,) = tickets(site, 1)

    records(settings, "update", "ticket", row, "title= a = b ")

    assert site.row("ticket", row)["title"] == " a = b "


def test_4_not_allowed(site: lockside.Session, settings: Settings) -> None:
    (row,) = tickets(site, 1)

    answer = records(settings, "update", "ticket", row, "title=x", "--actor", "victor")

    assert (answer.code, "ticket.update" in answer.err) == (4, True)


@pytest.mark.parametrize("words", [("update", "title=x"), ("delete",)], ids=lambda each: each[0])
def test_5_work_in_a_final_state_changes_no_more(
    site: lockside.Session, settings: Settings, words: tuple[str, ...]
) -> None:
    (row,) = tickets(site, 1, state="CLOSED")
    verb, *values = words

    answer = records(settings, verb, "ticket", row, *values)

    assert (answer.code, "CLOSED is final" in answer.err) == (5, True)


@pytest.mark.parametrize("words", [("update", "title=x"), ("delete",)], ids=lambda each: each[0])
def test_7_another_version(
    site: lockside.Session, settings: Settings, words: tuple[str, ...]
) -> None:
    (row,) = tickets(site, 1)
    verb, *values = words

    answer = records(settings, verb, "ticket", row, *values, "--expected-version", 9)

    assert (answer.code, site.row("ticket", row)["version"]) == (7, 1)


def test_what_is_deleted_is_gone_and_its_history_stays(
    site: lockside.Session, settings: Settings
) -> None:
    (row,) = tickets(site, 1)

    deleted = records(settings, "delete", "ticket", row)
    shown = records(settings, "show", "ticket", row)
    write_records(site.platform)
    told = records(settings, "history", "ticket", row)

    assert (deleted.code, shown.code, told.code) == (0, 6, 0)
    assert [line.split()[:2] for line in told.out.splitlines()[1:]] == [
        ["1", "created"],
        ["2", "deleted"],
    ]


def test_a_history_tells_what_changed_and_who_did(
    site: lockside.Session, settings: Settings
) -> None:
    (row,) = tickets(site, 1)
    records(settings, "update", "ticket", row, "priority=high", "--actor", "dora")
    write_records(site.platform)

    answer = records(settings, "history", "ticket", row)

    _, created, updated = answer.out.splitlines()
    assert ("created" in created, "admin" in created) == (True, True)
    assert ("priority: MEDIUM → HIGH" in updated, "dora" in updated) == (True, True)


@pytest.mark.slow
@pytest.mark.usefixtures("worker")
def test_a_history_tells_who_approved(site: lockside.Session, settings: Settings) -> None:
    (row,) = work_orders(site, 1)
    words = ("submit", "approve", "work-order", row, "--actor", "samuel", "--approved-by", "asha")
    call(settings, *words)
    write_records(site.platform)

    answer = records(settings, "history", "work-order", row)

    assert "samuel, approved by asha" in answer.out.splitlines()[2]


def test_other_records_are_told_by_their_names(site: lockside.Session, settings: Settings) -> None:
    (row,) = work_orders(site, 1)
    line = ("work_order_line", f"work_order={row}", "description=New seal")
    records(settings, "create", *line)

    listed = records(settings, "list", "work-order", "--after", row - 1, "--names", "--json")
    shown = records(settings, "show", "work-order", row, "--names", "--json")

    (first, *_) = listed.json
    assert (first["id"], first["vendor"], first["created_by"]) == (row, "Acme Lifts", "admin")
    assert "vendor_id" not in first
    assert shown.json["vendor"] == "Acme Lifts"
    assert [each["created_by"] for each in shown.json["work_order_lines"]] == ["admin"]


@pytest.mark.slow
@pytest.mark.usefixtures("worker")
def test_a_narrow_terminal_breaks_a_history_between_words(
    site: lockside.Session, settings: Settings
) -> None:
    (row,) = work_orders(site, 1, state="DRAFT")
    comments = "Everything that was promised to the neighbours upstairs"
    site.transition("work_order", to="SUBMITTED", ids=row, comments=comments).wait(PATIENCE_S)
    write_records(site.platform)

    screens = {
        columns: at_a_terminal(
            settings, "records", "history", "work-order", row, columns=columns
        ).out
        for columns in (64, 30)
    }

    said = {"DRAFT", "SUBMITTED", "user_action", *comments.split()}
    for columns, screen in screens.items():
        assert said <= set(screen.replace(",", " ").split())
        assert max(map(len, screen.splitlines())) <= columns


def test_a_history_that_is_not_written_yet_says_so(
    site: lockside.Session, settings: Settings
) -> None:
    with site.platform.database.begin() as db:
        # Whoever writes records waits.
        db.execute(text("LOCK TABLE audit_chain IN EXCLUSIVE MODE"))
        (row,) = tickets(site, 1)
        answer = records(settings, "history", "ticket", row)

    assert (answer.code, answer.out) == (0, "")
    assert "in a moment" in answer.err
