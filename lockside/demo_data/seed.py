"""Realistic work to try Lockside on: the same rows each time, however often they are sent."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from lockside.demo_data.field_work import attended, rounds
from lockside.demo_data.master_data import (
    CATEGORIES,
    PLACES,
    SITES,
    TEAMS,
    VENDORS,
    MasterData,
    Rows,
    furnish,
    some_time_ago,
    weighted_choice,
)
from lockside.session.session import Session

BATCH = 5_000

# What is ordered, and the vendor whose trade it is.
_ORDERS = (
    ("Quarterly inspection of the passenger elevator", 0),
    ("Replace door rollers of elevator 2", 0),
    ("Deep cleaning of carpets", 1),
    ("Window cleaning, outside", 1),
    ("Replace filters of air handling unit", 2),
    ("Refill refrigerant of chiller", 2),
    ("Balance airflow after refit", 2),
    ("Annual test of sprinklers", 3),
    ("Renew fire extinguishers", 3),
    ("Cut hedges and clear gutters", 4),
    ("Repair leaking circulation pump", 5),
    ("Descale water heater", 5),
    ("Unblock floor drain", 5),
    ("Replace lighting with LED", 6),
    ("Thermographic check of distribution board", 6),
    ("Swap batteries of the UPS", 6),
    ("Move badge reader", 7),
    ("Adjust automatic sliding door", 8),
    ("Replace dock leveller hydraulics", 8),
    ("Rodent control, monthly round", 9),
)

# What is reported, what the caller says about it, and the category that it is.
_REPORTS = (
    ("Elevator stuck between floors", "Doors stay closed, nobody inside. Display shows E-47.", 0),
    ("Elevator makes a grinding noise", "Worse on the way down, since this morning.", 0),
    ("Air conditioning blows warm", "Thermostat set to 21, room is at 27.", 1),
    ("Meeting room far too cold", "Radiator cold although the valve is open.", 1),
    ("Water leaking from the ceiling", "Bucket is under it, carpet is wet already.", 2),
    ("Toilet blocked", "Second cubicle from the left.", 2),
    ("Hot water pump is loud", "Rattles every few minutes and then stops.", 2),
    ("Lights flicker", "Whole row above the desks.", 3),
    ("Emergency light out", "Found on the weekly round.", 3),
    ("Socket without power", "Breaker is on. Tried two devices.", 3),
    ("Access card not accepted", "Works at the main door, not at this one.", 4),
    ("Automatic door does not close", "Wind pushes it open again.", 4),
    ("Bins overflowing", "Missed two collections.", 5),
    ("Spill on the floor", "Coffee, slippery, sign is up.", 5),
    ("Smell of burning", "Near the printer, no smoke seen.", 6),
    ("Fire door wedged open", "Wedge removed, closer is broken.", 6),
    ("Mice seen", "Droppings behind the vending machine.", 7),
    ("Broken window pane", "Cracked from corner to corner, taped.", 8),
)

_PRIORITIES = (("LOW", 25), ("MEDIUM", 45), ("HIGH", 22), ("CRITICAL", 8))

# Most work waits to be approved: that is what a bulk operation is for.
_ORDER_STATES = (("SUBMITTED", 80), ("DRAFT", 10), ("APPROVED", 6), ("IN_PROGRESS", 4))
_TICKET_STATES = (("NEW", 40), ("OPEN", 25), ("INPROGRESS", 20), ("ONHOLD", 5), ("RESOLVED", 10))
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
    """Bring work in; what is there already, by its reference, stays.

    A few rows of each kind are stopped by a rule: 3 % of the submitted work orders have no
    vendor, 5 % of the tasks nobody who does them or readings that are missing, 5 % of the
    punches lie outside the fence of their site or in a month that is settled. Half of the tasks
    are overdue, and some are checkpoints of a tour. The sites, jobs, people, teams, vendors,
    categories and payroll periods that they need come with them.

    Args:
        site: Whose tenant gets the rows.
        work_orders: How many work orders.
        tasks: How many field tasks.
        attendance: How many attendance records.
        tickets: How many tickets.
        start: Where the random choices begin; the same number chooses the same.
        on_progress: Told how many rows are in, and of how many, after each batch.

    Returns:
        How many rows of each kind are new.

    Raises:
        PermissionDenied: The actor may not do all this; an administrator who is a manager may.
    """
    now = datetime.now(UTC)
    base = furnish(site, now.date())
    plan = {
        "work_order": _work_orders(_chooser(start, "work_order"), work_orders, base, now),
        "task": rounds(_chooser(start, "task"), tasks, base, now),
        "attendance": attended(_chooser(start, "attendance"), attendance, base, now),
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
    # One for each kind: how many there are of one mustn't change the others.
    return random.Random(f"{start} {kind}")  # noqa: S311 -- chooses examples, no secret


def _work_orders(choose: random.Random, count: int, base: MasterData, now: datetime) -> Rows:
    for number in range(1, count + 1):
        what, trade = choose.choice(_ORDERS)
        state = weighted_choice(choose, _ORDER_STATES)
        lacks_vendor = state == "DRAFT" or (
            state == "SUBMITTED" and choose.random() < _WITHOUT_VENDOR
        )
        place = choose.choice(SITES)
        yield {
            "reference": f"WO-{number:06}",
            "title": f"{what}, {place}, {choose.choice(PLACES)}",
            "remarks": None,
            "vendor_id": None if lacks_vendor else base.vendors[VENDORS[trade]],
            "site_id": base.sites[place],
            "due_at": now + timedelta(days=choose.randint(-5, _DUE_DAYS)),
            "state": state,
            "state_since": some_time_ago(choose, now),
        }


def _tickets(choose: random.Random, count: int, base: MasterData, now: datetime) -> Rows:
    teams = list(TEAMS)
    for number in range(1, count + 1):
        title, description, category = choose.choice(_REPORTS)
        place, state = choose.choice(SITES), weighted_choice(choose, _TICKET_STATES)
        yield {
            "reference": f"TK-{number:06}",
            "title": f"{title}, {place}, {choose.choice(PLACES)}",
            "description": description,
            "priority": weighted_choice(choose, _PRIORITIES),
            "category_id": base.categories[CATEGORIES[category]],
            "site_id": base.sites[place],
            "assigned_to_team": None if state == "NEW" else base.teams[choose.choice(teams)],
            "state": state,
            "state_since": some_time_ago(choose, now),
        }


def _batches(rows: Rows) -> Iterator[Sequence[Mapping[str, Any]]]:
    while batch := list(islice(rows, BATCH)):
        yield batch
