"""What is seeded looks like work, is the same each time, and is brought in once."""

import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any

import pytest

import lockside
from lockside.demo_data.master_data import Month
from lockside.demo_data.seed import seed
from models.base import kinds
from tests.interfaces.commands import call
from tests.workers import PROJECT
from worker.settings import Settings

pytestmark = pytest.mark.slow

ROWS = 1_000

_KINDS = "|".join(kinds()).replace("_", "-")
_CHOICE = re.compile(rf"^.*lockside .*?({_KINDS}) .*--where '([^']+)'", re.MULTILINE)
SHOWN = [
    found
    for page in (
        "README.md",
        "docs/how-to/change-many-rows.md",
        "docs/how-to/bring-data-in-and-out.md",
        "docs/reference/cli.md",
    )
    for found in _CHOICE.findall((PROJECT / page).read_text())
]
"""The filters of all examples, with the kind of work that they choose of."""


def seed_all(site: lockside.Session) -> dict[str, int]:
    return seed(site, work_orders=ROWS, tasks=ROWS, attendance=ROWS, tickets=ROWS)


@pytest.fixture(scope="module")
def seeded(settings: Settings) -> dict[str, int]:
    """Seed the module's database."""
    with lockside.connect(settings=settings) as site:
        return seed_all(site)


def test_all_rows_are_new_at_first(seeded: dict[str, int]) -> None:
    assert seeded == dict.fromkeys(kinds(), ROWS)


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize(("kind", "where"), sorted(set(SHOWN)))
def test_a_filter_that_is_shown_finds_seeded_rows(
    site: lockside.Session, kind: str, where: str
) -> None:
    assert site.count(kind, where) > 0


@pytest.mark.usefixtures("seeded")
def test_seeding_again_adds_nothing(site: lockside.Session) -> None:
    assert seed_all(site) == dict.fromkeys(kinds(), 0)


@pytest.mark.usefixtures("seeded")
def test_more_rows_add_only_what_is_more(settings: Settings) -> None:
    none = ("--tasks", 0, "--attendance", 0, "--tickets", 0)
    answer = call(settings, "seed", "--work-orders", ROWS + 5, *none, "--json")

    assert answer.json["new"] == dict.fromkeys(kinds(), 0) | {"work_order": 5}


@pytest.mark.usefixtures("seeded")
def test_a_vendor_that_is_called_like_the_id_of_another_is_in_nobodys_way(
    site: lockside.Session,
) -> None:
    site.open_tenant("numbers", {"zoe": ["admin", "manager"]})
    site.act_as("numbers", "zoe")
    lifts = site.records("vendor").create(name="Acme Lifts")["id"]
    site.records("vendor").create(name=str(lifts))

    assert seed(site, work_orders=50, tasks=0, attendance=0, tickets=0)["work_order"] == 50


@pytest.mark.usefixtures("seeded")
def test_another_tenant_gets_the_same_rows(site: lockside.Session) -> None:
    mine = site.row("ticket", site.ids_by_reference("ticket", ["TK-000007"])["TK-000007"])
    site.act_as("other", "admin")
    seed(site, work_orders=0, tasks=0, attendance=0, tickets=7)

    theirs = site.row("ticket", site.ids_by_reference("ticket", ["TK-000007"])["TK-000007"])

    same = ("title", "description", "priority", "state")
    assert theirs["id"] != mine["id"]
    assert [theirs[name] for name in same] == [mine[name] for name in same]


@pytest.mark.usefixtures("seeded")
def test_work_stands_in_several_states(site: lockside.Session) -> None:
    assert {kind: len(site.states(kind)) >= 4 for kind in kinds()} == dict.fromkeys(kinds(), True)


@pytest.mark.usefixtures("seeded")
def test_a_few_of_those_to_be_approved_have_no_vendor(site: lockside.Session) -> None:
    ids = site.ids("work_order", state="SUBMITTED")

    told = site.explain("work_order", ids, to="APPROVED")

    (blocked,) = told["blocked_by"]
    assert blocked["code"] == "vendor_missing"
    assert 0.01 < blocked["items"] / len(ids) < 0.06


@pytest.mark.usefixtures("seeded")
def test_a_few_tasks_belong_to_nobody(site: lockside.Session) -> None:
    told = site.explain("task", site.ids("task", state="ASSIGNED"), to="INPROGRESS")

    (blocked,) = told["blocked_by"]
    assert blocked["code"] == "assignee_missing"
    assert 0.01 < blocked["items"] / told["total"] < 0.1


@pytest.mark.usefixtures("seeded")
def test_a_few_tasks_lack_readings(site: lockside.Session) -> None:
    told = site.explain("task", site.ids("task", state="WORKING"), to="COMPLETED")

    assert set(blocked_by(told)) <= {"readings_missing"}
    assert sum(blocked_by(told).values()) / told["total"] < 0.2


@pytest.mark.usefixtures("seeded")
def test_a_few_punches_lie_outside_the_fence_or_in_a_settled_month(site: lockside.Session) -> None:
    told = site.explain("attendance", site.ids("attendance", state="PENDING"), to="APPROVED")

    assert set(blocked_by(told)) <= {"outside_geofence", "after_cutoff"}
    assert 0 < sum(blocked_by(told).values()) / told["total"] < 0.5


def blocked_by(told: Mapping[str, Any]) -> dict[str, int]:
    return {each["code"]: each["items"] for each in told["blocked_by"]}


@pytest.mark.usefixtures("seeded")
def test_a_tour_has_its_checkpoints(site: lockside.Session) -> None:
    rows = list(site.export("task", fields=["reference", "parent"], names=True))

    tours = Counter(row["parent"] for row in rows if row["parent"])
    assert len(tours) == ROWS // 25 - 1  # the last one is cut off
    assert {int(tour[3:]) % 25 for tour in tours} == {0}
    assert tours["FT-000025"] == 4


@pytest.mark.usefixtures("seeded")
def test_some_tasks_are_overdue(site: lockside.Session) -> None:
    due = [row["due_at"] for row in site.export("task", state="ASSIGNED", fields=["due_at"])]

    overdue = sum(each < datetime.now(UTC) for each in due)
    assert 0.2 < overdue / len(due) < 0.8


@pytest.mark.usefixtures("seeded")
def test_every_day_of_attendance_is_paid_once(site: lockside.Session) -> None:
    days = {row["datefor"] for row in site.export("attendance", fields=["datefor"])}

    periods = list(site.records("payroll_period").each())
    assert len(periods) == 3
    assert all(
        sum(each["starts_on"] <= day <= each["ends_on"] for each in periods) == 1 for day in days
    )


@pytest.mark.parametrize(
    "day", [date(2026, 1, 1), date(2026, 3, 31), date(2028, 2, 29), date(2026, 12, 31)]
)
def test_months_that_are_paid_follow_each_other(day: date) -> None:
    months = Month.until(day)

    assert [each.starts_on.day for each in months] == [1, 1, 1]
    assert months[0].starts_on <= day <= months[0].ends_on
    assert all((newer.starts_on - older.ends_on).days == 1 for newer, older in pairwise(months))


def test_progress_is_told_up_to_the_end(site: lockside.Session) -> None:
    told: list[tuple[int, int]] = []

    def note(done: int, total: int) -> None:
        told.append((done, total))

    seed(site, work_orders=3, tasks=2, attendance=1, tickets=4, on_progress=note)

    assert told == [(3, 10), (5, 10), (6, 10), (10, 10)]
