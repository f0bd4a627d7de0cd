"""Demo data: seed realistic work; the same start number gives the same rows, stored once."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from lockside.demo_data.choices import choices, some_time_ago
from lockside.demo_data.field_work import attendance_records, field_tasks
from lockside.demo_data.master_data import MasterData, Rows, add_master_data
from lockside.session.session import Session

BATCH = 5_000
_WITHOUT_VENDOR = 0.03
_DUE_DAYS = 45


def seed(
    site: Session,
    *,
    work_orders: int = 10_000,
    tasks: int = 4_000,
    attendance: int = 2_000,
    tickets: int = 4_000,
    start: int = 1,
    on_progress: Callable[[int, int], object] = lambda _done, _total: None,
) -> dict[str, int]:
    """Import demo work; rows that exist already, by their reference, don't change.

    A few rows of each kind are refused by a rule: 3 % of the submitted work orders have no
    vendor, 5 % of the tasks have no assignee or lack their readings, 5 % of the punches lie
    outside the fence of their site or in a month that is settled. Half of the tasks are overdue,
    and some are checkpoints of a tour. The sites, jobs, people, teams, vendors, categories and
    payroll periods that they need are created first.

    Args:
        site: The session; its tenant gets the rows.
        work_orders: How many work orders.
        tasks: How many field tasks.
        attendance: How many attendance records.
        tickets: How many tickets.
        start: The seed of the random choices; the same number gives the same rows.
        on_progress: Called after each batch with the rows that are in, and with all of them.

    Returns:
        How many rows of each kind are new.

    Raises:
        PermissionDenied: The actor may not do all this; an admin who is also a manager may.
    """
    now = datetime.now(UTC)
    base = add_master_data(site, now.date())
    plan = {
        "work_order": _work_orders(_chooser(start, "work_order"), work_orders, base, now),
        "task": field_tasks(_chooser(start, "task"), tasks, base, now),
        "attendance": attendance_records(_chooser(start, "attendance"), attendance, base, now),
        "ticket": _tickets(_chooser(start, "ticket"), tickets, base, now),
    }
    total = work_orders + tasks + attendance + tickets
    done = 0
    new = dict.fromkeys(plan, 0)
    for kind, rows in plan.items():
        for batch in _batches(rows):
            new[kind] += len(site.import_work(kind, batch))
            done += len(batch)
            on_progress(done, total)
    return new


def _chooser(start: int, kind: str) -> random.Random:
    # One for each kind: the number of rows of one kind mustn't change the rows of another.
    return random.Random(f"{start} {kind}")  # noqa: S311 -- chooses examples, no secret


def _work_orders(choose: random.Random, count: int, base: MasterData, now: datetime) -> Rows:
    demo = choices()
    sites = list(demo.sites)
    for number in range(1, count + 1):
        order = choose.choice(demo.orders)
        state = demo.weighted(choose, "order_state")
        lacks_vendor = state == "DRAFT" or (
            state == "SUBMITTED" and choose.random() < _WITHOUT_VENDOR
        )
        site = choose.choice(sites)
        yield {
            "reference": f"WO-{number:06}",
            "title": f"{order['title']}, {site}, {choose.choice(demo.places)}",
            "remarks": None,
            "vendor_id": None if lacks_vendor else base.vendors[order["vendor"]],
            "site_id": base.sites[site],
            "due_at": now + timedelta(days=choose.randint(-5, _DUE_DAYS)),
            "state": state,
            "state_since": some_time_ago(choose, now),
        }


def _tickets(choose: random.Random, count: int, base: MasterData, now: datetime) -> Rows:
    demo = choices()
    sites, teams = list(demo.sites), list(demo.teams)
    for number in range(1, count + 1):
        report = choose.choice(demo.reports)
        site, state = choose.choice(sites), demo.weighted(choose, "ticket_state")
        yield {
            "reference": f"TK-{number:06}",
            "title": f"{report['title']}, {site}, {choose.choice(demo.places)}",
            "description": report["description"],
            "priority": demo.weighted(choose, "ticket_priority"),
            "category_id": base.categories[report["category"]],
            "site_id": base.sites[site],
            "assigned_to_team": None if state == "NEW" else base.teams[choose.choice(teams)],
            "state": state,
            "state_since": some_time_ago(choose, now),
        }


def _batches(rows: Rows) -> Iterator[Sequence[Mapping[str, Any]]]:
    while batch := list(islice(rows, BATCH)):
        yield batch
