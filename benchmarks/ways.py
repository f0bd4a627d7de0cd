"""The way through its machine that each kind of work is measured on, with rules to hold."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg

import lockside


@dataclass(frozen=True, slots=True)
class Way:
    """From where to where, and what the rules of that arrow look at."""

    kind: str
    table: str
    source: str
    target: str


WAYS = {
    each.kind: each
    for each in (
        Way("work_order", "work_order", "SUBMITTED", "APPROVED"),  # a vendor
        Way("task", "field_task", "INPROGRESS", "COMPLETED"),  # the readings of its job
        Way("attendance", "attendance", "PENDING", "APPROVED"),  # payroll cutoff, geofence
        Way("ticket", "ticket", "INPROGRESS", "RESOLVED"),  # comments
    )
}

_PLACE = {"latitude": 52.52, "longitude": 13.405}
_PUNCH = {"punchin_latitude": 52.5201, "punchin_longitude": 13.4049}


def rows_of(site: lockside.Session, kind: str, count: int) -> Iterator[dict[str, Any]]:
    """Yield rows that may go their kind's way; what they refer to is made first."""
    state = WAYS[kind].source
    shared = {"state": state, **_refer(site, kind)}
    for number in range(count):
        yield shared if kind == "attendance" else {"title": f"Number {number}", **shared}


def add_parts(db: "psycopg.Connection[Any]", kind: str) -> None:
    """Add what the rules of a kind's way count, set-based."""
    if kind == "task":
        db.execute(
            "INSERT INTO field_task_reading (tenant_id, task_id, name, value)"
            " SELECT tenant_id, id, 'Temperature', '21.5' FROM field_task"
        )


def _refer(site: lockside.Session, kind: str) -> dict[str, Any]:
    if kind == "work_order":
        return {"vendor_id": site.add_named("vendor", ["Acme Lifts"])["Acme Lifts"]}
    if kind == "task":
        job = site.records("job").create(name="Round", asks_for=["Temperature"])
        # Overdue, for what the clock closes; people may still complete them.
        return {"job_id": job["id"], "due_at": datetime.now(UTC) - timedelta(days=1)}
    if kind == "attendance":
        today = datetime.now(UTC).date()
        place = site.records("site").create(name="Tower", radius_m=200.0, **_PLACE)
        site.records("payroll_period").create(
            name="Year", starts_on=date(today.year, 1, 1), ends_on=date(today.year, 12, 31)
        )
        person = site.add_named("person", ["admin"])["admin"]
        punch = {"punchintime": datetime.now(UTC), "ctzoffset": 60, **_PUNCH}
        return {"site_id": place["id"], "person_id": person, "datefor": today, **punch}
    return {}
