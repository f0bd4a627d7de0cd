"""Realistic work to try Lockside on: the same rows each time, however often they are sent."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from lockside.site import Site

BATCH = 5_000

VENDORS = (
    "Acme Lifts", "Bright Clean", "Coldwell HVAC", "Delta Fire Safety", "Evergreen Grounds",
    "Fulton Plumbing", "Gridline Electric", "Harbor Security", "Ironside Doors", "Juno Pests",
)  # fmt: skip

_SITES = (
    "Riverside Tower", "North Campus", "Harbor Mall", "City Hospital", "Airport Cargo Hall",
    "Tech Park B", "Central Station", "Hillside School", "Data Center East", "Old Mill Offices",
)  # fmt: skip
_PLACES = (
    "lobby", "floor 1", "floor 2", "floor 3", "floor 7", "floor 12", "roof", "basement",
    "parking level P2", "loading dock", "canteen", "server room", "east stairwell", "reception",
)  # fmt: skip

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

# What is reported, with what the caller says about it.
_REPORTS = (
    ("Elevator stuck between floors", "Doors stay closed, nobody inside. Display shows E-47."),
    ("Elevator makes a grinding noise", "Worse on the way down, since this morning."),
    ("Air conditioning blows warm", "Thermostat set to 21, room is at 27."),
    ("Meeting room far too cold", "Radiator cold although the valve is open."),
    ("Water leaking from the ceiling", "Bucket is under it, carpet is wet already."),
    ("Toilet blocked", "Second cubicle from the left."),
    ("Hot water pump is loud", "Rattles every few minutes and then stops."),
    ("Lights flicker", "Whole row above the desks."),
    ("Emergency light out", "Found on the weekly round."),
    ("Socket without power", "Breaker is on. Tried two devices."),
    ("Access card not accepted", "Works at the main door, not at this one."),
    ("Automatic door does not close", "Wind pushes it open again."),
    ("Bins overflowing", "Missed two collections."),
    ("Spill on the floor", "Coffee, slippery, sign is up."),
    ("Smell of burning", "Near the printer, no smoke seen."),
    ("Fire door wedged open", "Wedge removed, closer is broken."),
    ("Mice seen", "Droppings behind the vending machine."),
    ("Broken window pane", "Cracked from corner to corner, taped."),
)
_PRIORITIES = (("LOW", 25), ("MEDIUM", 45), ("HIGH", 22), ("CRITICAL", 8))

# Most work waits to be approved: that is what a bulk operation is for.
_ORDER_STATES = (("SUBMITTED", 80), ("DRAFT", 10), ("APPROVED", 6), ("IN_PROGRESS", 4))
_TICKET_STATES = (("NEW", 40), ("OPEN", 25), ("INPROGRESS", 20), ("ONHOLD", 5), ("RESOLVED", 10))
_WITHOUT_VENDOR = 0.03
_OLDEST_DAYS = 90
_DUE_DAYS = 45

Rows = Iterator[dict[str, Any]]


def seed(
    site: Site,
    *,
    work_orders: int = 10_000,
    tickets: int = 10_000,
    start: int = 1,
    on_progress: Callable[[int, int], object] = lambda _done, _total: None,
) -> dict[str, int]:
    """Bring work orders and tickets in; what is there already, by its reference, stays.

    About 3 % of the submitted work orders have no vendor, so that approving them fails.

    Args:
        site: Whose tenant gets the rows.
        work_orders: How many work orders.
        tickets: How many tickets.
        start: Where the random choices begin; the same number chooses the same.
        on_progress: Told how many rows are in, and of how many, after each batch.

    Returns:
        How many rows of each kind are new.
    """
    vendors = site.add_vendors(VENDORS)
    now = datetime.now(UTC)
    plan = {
        "work_order": _work_orders(_chooser(start, "work_order"), work_orders, vendors, now),
        "ticket": _tickets(_chooser(start, "ticket"), tickets, now),
    }
    total = work_orders + tickets
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


def _work_orders(choose: random.Random, count: int, vendors: Sequence[int], now: datetime) -> Rows:
    for number in range(1, count + 1):
        what, trade = choose.choice(_ORDERS)
        state = _one_of(choose, _ORDER_STATES)
        lacks_vendor = state == "DRAFT" or (
            state == "SUBMITTED" and choose.random() < _WITHOUT_VENDOR
        )
        yield {
            "reference": f"WO-{number:06}",
            "title": f"{what}, {choose.choice(_SITES)}, {choose.choice(_PLACES)}",
            "remarks": None,
            "vendor_id": None if lacks_vendor else vendors[trade],
            "due_at": now + timedelta(days=choose.randint(-5, _DUE_DAYS)),
            "state": state,
            "state_since": _some_time_ago(choose, now),
        }


def _tickets(choose: random.Random, count: int, now: datetime) -> Rows:
    for number in range(1, count + 1):
        title, description = choose.choice(_REPORTS)
        yield {
            "reference": f"TK-{number:06}",
            "title": f"{title}, {choose.choice(_SITES)}, {choose.choice(_PLACES)}",
            "description": description,
            "priority": _one_of(choose, _PRIORITIES),
            "state": _one_of(choose, _TICKET_STATES),
            "state_since": _some_time_ago(choose, now),
        }


def _one_of(choose: random.Random, weighted: Sequence[tuple[str, int]]) -> str:
    names, weights = zip(*weighted, strict=True)
    return str(choose.choices(names, weights)[0])


def _some_time_ago(choose: random.Random, now: datetime) -> datetime:
    return now - timedelta(minutes=choose.randint(5, _OLDEST_DAYS * 24 * 60))


def _batches(rows: Rows) -> Iterator[Sequence[Mapping[str, Any]]]:
    while batch := list(islice(rows, BATCH)):
        yield batch
