"""Rows for tests: each call says only what matters to its test."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import lockside

DAY = date(2026, 11, 20)
"""The day of attendance, unless a test says another."""


def work_orders(
    site: lockside.Session,
    count: int,
    *,
    state: str = "SUBMITTED",
    vendor: bool = True,
    **more: Any,
) -> list[int]:
    """Bring work orders in, ready to be approved unless told otherwise; return their ids."""
    vendor_id = site.add_named("vendor", ["Acme Lifts"])["Acme Lifts"] if vendor else None
    return site.import_work(
        "work_order",
        [
            {"title": f"Work order {n}", "state": state, "vendor_id": vendor_id, **more}
            for n in range(count)
        ],
    )


def tickets(site: lockside.Session, count: int, *, state: str = "NEW", **more: Any) -> list[int]:
    """Bring tickets in; return their ids."""
    return site.import_work(
        "ticket", [{"title": f"Ticket {n}", "state": state, **more} for n in range(count)]
    )


def tasks(
    site: lockside.Session,
    count: int,
    *,
    state: str = "ASSIGNED",
    assigned: bool = True,
    **more: Any,
) -> list[int]:
    """Bring field tasks in, ready to be started unless told otherwise; return their ids."""
    return site.import_work(
        "task",
        [
            {
                "title": f"Task {n}",
                "state": state,
                "assigned_to_user": "tomas" if assigned else None,
                **more,
            }
            for n in range(count)
        ],
    )


def attendance(
    site: lockside.Session, count: int, *, state: str = "PENDING", **more: Any
) -> list[int]:
    """Bring attendance in, at no site and so within every fence; return the ids.

    Tomas came at nine by his own clock, five and a half hours east of UTC.
    """
    punch = {
        "person_id": "tomas",
        "datefor": DAY,
        "punchintime": datetime(DAY.year, DAY.month, DAY.day, 3, 30, tzinfo=UTC),
        "ctzoffset": 330,
    }
    return site.import_work("attendance", [punch | {"state": state} | more for _ in range(count)])


MAKERS: dict[str, Callable[..., list[int]]] = {
    "work_order": work_orders,
    "task": tasks,
    "attendance": attendance,
    "ticket": tickets,
}
"""How rows of each kind are brought in: `MAKERS[kind](site, count, state=...)`."""
