"""Records that are old: written as of another time, archived as of a later one."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

import lockside
from domain.verification import Verified
from engine.archive import Archived, archive_records
from engine.audit import write_records
from engine.platform import Platform
from reads.archived import Shelf
from reads.verification import verify_seals
from tests.engine.steps import ask, drain, query
from tests.factories import work_orders

MAY = datetime(2026, 5, 15, 12, tzinfo=UTC)
COLD = datetime(2026, 9, 15, tzinfo=UTC)
"""When May is cold, to its last record."""

GONE = datetime(2028, 6, 15, tzinfo=UTC)
"""When May is older than anything is kept."""


def at(platform: Platform, now: datetime) -> Platform:
    """Return a platform whose clock says another time."""

    def clock(_: Connection) -> datetime:
        return now

    return replace(platform, clock=clock)


def record(
    site: lockside.Site, when: datetime = MAY, count: int = 5, comments: str | None = "Checked"
) -> list[int]:
    """Write and seal the records of so many transitions, as of then; return the rows."""
    ids = work_orders(site, count)
    drain(site, ask(site, ids, comments=comments))
    query(site, "UPDATE outbox SET occurred_at = :at", at=when)
    write_records(at(site.platform, when + timedelta(seconds=30)))
    return ids


def verified(site: lockside.Site, now: datetime = COLD, **more: Any) -> Verified:
    """Return what a verification of the tenant's seals and archives finds at a time."""
    known = site.platform
    shelf = Shelf(known.archives, known.retention, now)
    with known.database.connect() as db:
        *_, seen = verify_seals(db, site.actor.tenant_id, shelf=shelf, **more)
    return seen


def found(site: lockside.Site, now: datetime = COLD, **more: Any) -> list[str]:
    """Return the codes of what a verification finds."""
    return [each.code for each in verified(site, now, **more).findings]


def archive(site: lockside.Site, now: datetime = COLD, **more: Any) -> Archived:
    """Archive what is cold at a time."""
    return archive_records(at(site.platform, now), **more)
