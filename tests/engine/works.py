"""Rows of the kinds whose rules look at other tables, and what was told of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import lockside
from engine.audit.writer import write_records
from engine.operations.request import Submission
from engine.operations.submit import submit
from engine.ports.platform import Platform
from tests.engine.steps import drain, query

DAY = date(2026, 11, 20)
PUNCHED = datetime(2026, 11, 20, 3, 30, tzinfo=UTC)
OFFICE: dict[str, Any] = {"latitude": 19.0760, "longitude": 72.8777, "radius_m": 150.0}
NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)
"""On a Wednesday: an hour that adds nothing to the risk of a denial."""
AT_THE_OFFICE: dict[str, Any] = {"punchin_latitude": 19.0761, "punchin_longitude": 72.8776}
ELSEWHERE: dict[str, Any] = {"punchin_latitude": 28.6139, "punchin_longitude": 77.2090}

_number = count(1)


def task(
    site: lockside.Session, *, state: str = "INPROGRESS", asks: Sequence[str] = (), **more: Any
) -> int:
    """Bring in a task, of a job that asks for readings if any are named; return its id."""
    if asks:
        job = site.records("job").create(name=f"Round {next(_number)}", asks_for=list(asks))
        more["job_id"] = job["id"]
    return site.import_work("task", [{"title": "Check the pump", "state": state, **more}])[0]


def attended(site: lockside.Session, *, state: str = "PENDING", **more: Any) -> int:
    """Bring in a punch of the administrator's own; return its id."""
    row = {
        "person_id": site.actor.person_id,
        "datefor": DAY,
        "punchintime": PUNCHED,
        "ctzoffset": 330,
        "state": state,
    }
    return site.import_work("attendance", [row | more])[0]


def ordered(
    site: lockside.Session, *, state: str = "SUBMITTED", lines: int = 0, **more: Any
) -> int:
    """Bring in a work order with so many lines; return its id."""
    found = site.import_work("work_order", [{"title": "Descale", "state": state, **more}])
    for number in range(lines):
        site.records("work_order_line").create(work_order_id=found[0], description=f"Part {number}")
    return found[0]


def read(site: lockside.Session, task_id: int, name: str, value: str = "4.2") -> int:
    """Record a reading of a task; return the reading's id."""
    taken = site.records("reading").create(task_id=task_id, name=name, value=value)
    found: int = taken["id"]
    return found


def period(site: lockside.Session, **more: Any) -> dict[str, Any]:
    """Make the payroll period of November."""
    days = {"starts_on": date(2026, 11, 1), "ends_on": date(2026, 11, 30)}
    return site.records("payroll_period").create(name="November", **days | more)


def clock_at(site: lockside.Session, now: datetime) -> Platform:
    """Return the platform of a process for which it is always this time."""
    return replace(site.platform, clock=lambda _: now)


def clock_from(site: lockside.Session, begin: datetime) -> Platform:
    """Return the platform of a process whose clock begins here, and ticks when it is read."""
    ticks = count()
    return replace(site.platform, clock=lambda _: begin + timedelta(milliseconds=next(ticks)))


def do(site: lockside.Session, kind: str, ids: int | Sequence[int], **options: Any) -> UUID:
    """Submit what is asked for rows; return the operation's id."""
    rows = [ids] if isinstance(ids, int) else list(ids)
    return submit(site.platform, site.actor, Submission(kind=kind, ids=rows, **options))


def move(
    site: lockside.Session,
    kind: str,
    row_id: int,
    to: str,
    *,
    platform: Platform | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Take one row to a state, with comments; return the operation's result."""
    given = {"comments": "Because", "target": to} | options
    return drain(site, do(site, kind, row_id, **given), platform)


def why(told: Mapping[str, Any]) -> list[str]:
    """Return the codes with which items failed; none if all went well."""
    return sorted(told["failure_codes"])


def denials(site: lockside.Session) -> list[dict[str, Any]]:
    """Return every denial on record, oldest first."""
    write_records(site.platform)
    return query(site, "SELECT * FROM permission_denial_audit ORDER BY occurred_at")
