"""What is seeded looks like work, is the same each time, and is brought in once."""

import pytest

import lockside
from domain.ticket import TICKET
from domain.work_order import WORK_ORDER
from lockside.seed import seed
from tests.doors.commands import call
from worker.settings import Settings

ROWS = 2_000


@pytest.fixture(scope="module")
def seeded(settings: Settings) -> dict[str, int]:
    """Seed the module's database."""
    with lockside.connect(settings=settings) as site:
        return seed(site, work_orders=ROWS, tickets=ROWS)


def test_all_rows_are_new_at_first(seeded: dict[str, int]) -> None:
    assert seeded == {"work_order": ROWS, "ticket": ROWS}


@pytest.mark.usefixtures("seeded")
def test_seeding_again_adds_nothing(site: lockside.Site) -> None:
    assert seed(site, work_orders=ROWS, tickets=ROWS) == {"work_order": 0, "ticket": 0}


@pytest.mark.usefixtures("seeded")
def test_more_rows_add_only_what_is_more(settings: Settings) -> None:
    answer = call(settings, "seed", "--work-orders", ROWS + 5, "--tickets", 0, "--json")

    assert answer.json["new"] == {"work_order": 5, "ticket": 0}


@pytest.mark.usefixtures("seeded")
def test_another_tenant_gets_the_same_rows(site: lockside.Site) -> None:
    mine = site.row("ticket", site.ids_by_reference("ticket", ["TK-000007"])["TK-000007"])
    site.act_as("other", "admin")
    seed(site, work_orders=0, tickets=7)

    theirs = site.row("ticket", site.ids_by_reference("ticket", ["TK-000007"])["TK-000007"])

    same = ("title", "description", "priority", "state")
    assert theirs["tenant_id"] != mine["tenant_id"]
    assert [theirs[name] for name in same] == [mine[name] for name in same]


@pytest.mark.usefixtures("seeded")
def test_work_stands_in_several_states(site: lockside.Site) -> None:
    assert len(site.states("work_order").keys() & set(WORK_ORDER.states)) >= 4
    assert len(site.states("ticket").keys() & set(TICKET.states)) >= 5


@pytest.mark.usefixtures("seeded")
def test_a_few_of_those_to_be_approved_have_no_vendor(site: lockside.Site) -> None:
    ids = site.ids("work_order", state="SUBMITTED")

    told = site.explain("work_order", ids, to="APPROVED")

    (blocked,) = told["blocked_by"]
    assert blocked["code"] == "vendor_missing"
    assert 0.01 < blocked["items"] / len(ids) < 0.06


def test_progress_is_told_up_to_the_end(site: lockside.Site) -> None:
    told: list[tuple[int, int]] = []

    seed(site, work_orders=3, tickets=4, on_progress=lambda done, total: told.append((done, total)))

    assert told == [(3, 7), (7, 7)]
