"""Policies and rows whose time is over, for the tests of the clock."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import lockside
from engine.policies.runs import Run
from engine.ports.platform import Platform
from engine.scheduling.autoclose import tick
from tests.engine.steps import drain, query
from tests.engine.works import clock_at
from tests.factories import tasks

NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)
"""A Wednesday."""

HOUR = timedelta(hours=1)
OPEN = "state in (ASSIGNED, INPROGRESS, WORKING, STANDBY, MAINTENANCE)"


def alone(site: lockside.Session, **more: Any) -> str:
    """Turn every other policy off and make one that closes overdue tasks; return its name."""
    for each in site.autoclose.policies():
        site.autoclose.set_mode(each["name"], "off")
    return policy(site, **more)


def policy(site: lockside.Session, **more: Any) -> str:
    """Make a policy that closes overdue tasks unless told otherwise; return its name."""
    closing = {
        "name": "closing",
        "kind": "task",
        "selection": OPEN,
        "clock": "overdue",
        "after": "0m",
        "target_state": "AUTOCLOSED",
        "comments": "Auto-closed by system - {ticket_category}",
        "mode": "on",
        "every_minutes": 60,
    }
    values = {name: each for name, each in (closing | more).items() if each is not None}
    made = site.records("policy").create(**values)
    return str(made["name"])


def overdue(
    site: lockside.Session, count: int = 1, *, by: timedelta = HOUR, **more: Any
) -> list[int]:
    """Bring in tasks that were due so long before noon; return their ids."""
    return tasks(site, count, due_at=NOON - by, **more)


def run_at(
    site: lockside.Session, now: datetime = NOON, *, on: Platform | None = None
) -> list[Run]:
    """Let the clock tick at a moment, and what it begins end; return the runs."""
    platform = on or clock_at(site, now)
    runs = tick_at(site, now, on=platform)
    for each in runs:
        if each.operation_id is not None:
            drain(site, each.operation_id, platform)
    for hook in query(site, "SELECT id FROM operation WHERE verb = 'hook' AND result IS NULL"):
        drain(site, hook["id"], platform)
    return runs


def tick_at(
    site: lockside.Session, now: datetime = NOON, *, on: Platform | None = None
) -> list[Run]:
    """Let the clock tick at a moment; return the runs of the site's own tenant."""
    runs = tick(on or clock_at(site, now))
    return [each for each in runs if each.policy["tenant_id"] == site.actor.tenant_id]


def end(site: lockside.Session, run: Run, *, on: Platform | None = None) -> dict[str, Any]:
    """Let the operation of a run end; return its result."""
    assert run.operation_id is not None
    return drain(site, run.operation_id, on or clock_at(site, NOON))


def undo(site: lockside.Session, run: Run) -> dict[str, Any]:
    """Undo a run; return the result."""
    undone = site.operation(str(run.operation_id)).undo()
    return drain(site, UUID(undone.id))


def states(site: lockside.Session, kind: str, ids: Sequence[int]) -> list[str]:
    """Return the states of rows, in the order of *ids*."""
    return [site.row(kind, each)["state"] for each in ids]
