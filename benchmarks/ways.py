"""Measured transitions: one for each kind of work, with the rows that its rules need."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg

import lockside


@dataclass(frozen=True, slots=True)
class Way:
    """The measured transition of a kind of work: its table, source and target state."""

    kind: str
    table: str
    source: str
    target: str


WAYS = {
    way.kind: way
    for way in (
        Way("work_order", "work_order", "SUBMITTED", "APPROVED"),  # a vendor
        Way("task", "field_task", "INPROGRESS", "COMPLETED"),  # the readings of its job
        Way("attendance", "attendance", "PENDING", "APPROVED"),  # payroll cutoff, geofence
        Way("ticket", "ticket", "INPROGRESS", "RESOLVED"),  # comments
    )
}

_PLACE = {"latitude": 52.52, "longitude": 13.405}
_PUNCH = {"punchin_latitude": 52.5201, "punchin_longitude": 13.4049}


def rows_of(site: lockside.Session, kind: str, count: int) -> Iterator[dict[str, Any]]:
    """Create what rows refer to, and yield rows that may take the transition of their kind."""
    state = WAYS[kind].source
    shared = {"state": state, **_refer(site, kind)}
    for number in range(count):
        yield shared if kind == "attendance" else {"title": f"Number {number}", **shared}


def add_children(db: "psycopg.Connection[Any]", kind: str) -> None:
    """Insert the child rows that the rules of a kind's transition count, in one statement."""
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
        # Overdue, so that the policy closes them; people may still complete them.
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
