"""Rows for tests: each call says only what matters to its test."""

from typing import Any

import lockside


def work_orders(
    site: lockside.Site, count: int, *, state: str = "SUBMITTED", vendor: bool = True, **more: Any
) -> list[int]:
    """Bring work orders in, ready to be approved unless told otherwise; return their ids."""
    vendor_id = site.add_vendors(["Acme Lifts"])[0] if vendor else None
    return site.import_work(
        "work_order",
        [
            {"title": f"Work order {n}", "state": state, "vendor_id": vendor_id, **more}
            for n in range(count)
        ],
    )


def tickets(site: lockside.Site, count: int, *, state: str = "NEW", **more: Any) -> list[int]:
    """Bring tickets in; return their ids."""
    return site.import_work(
        "ticket", [{"title": f"Ticket {n}", "state": state, **more} for n in range(count)]
    )
