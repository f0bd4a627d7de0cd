"""Restoring archives: put records back for some days, hold archives, drop those too old."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from domain.audit.retention import month_of, span_of
from domain.errors import InvalidInput, LockBusy, NotFound, RuleRefused
from domain.permissions import Actor
from engine.audit.outbox import log_entities
from engine.input.database_errors import refusal_of_database_error
from engine.ports.platform import Platform
from engine.retention.archive_lines import SAME_EVERYWHERE, Compared, insert_lines
from engine.retention.archive_rows import (
    check_folder,
    is_partition,
    lock_month,
    partition_of,
    remove_gone,
)
from models.archive_file import batches, read_verified
from models.seal import TABLES

_KIND = "audit_archive"

_ARCHIVES = text("""
SELECT id, record, dropped_at FROM audit_archive
 WHERE tenant_id = :tenant_id AND month = :month AND record = ANY(:records)
   AND replaced_at IS NULL
 ORDER BY record, id
""")

_ARCHIVE = text("""
SELECT id, path, sha256, records, restored_until FROM audit_archive
 WHERE id = :id AND dropped_at IS NULL AND replaced_at IS NULL FOR UPDATE
""")

_HAS_DEFAULT_ROWS = """
SELECT EXISTS (SELECT 1 FROM {table}_default WHERE occurred_at >= :since AND occurred_at < :until)
"""

_CREATE_PARTITION = (
    "CREATE TABLE {part} PARTITION OF {table} FOR VALUES FROM ('{since}') TO ('{until}')"
)

_RESTORED = text("""
UPDATE audit_archive SET restored_until = greatest(restored_until, :until), version = version + 1
 WHERE id = :id RETURNING id, version
""")

_HOLD = text("""
UPDATE audit_archive a SET held_because = :reason, version = a.version + 1
  FROM audit_archive former
 WHERE former.id = a.id AND a.tenant_id = :tenant_id AND a.month = :month
   AND a.record = ANY(:records) AND a.replaced_at IS NULL AND a.dropped_at IS NULL
   AND a.held_because IS DISTINCT FROM :reason
RETURNING a.id, a.version, former.held_because
""")

# A month is dropped when the seal of its last record is too old as well: verification needs it.
_DROP = text("""
UPDATE audit_archive a SET dropped_at = :now, version = version + 1
 WHERE dropped_at IS NULL AND replaced_at IS NULL AND restored_until IS NULL
   AND held_because IS NULL AND month < :before
   AND (last_seal IS NULL OR EXISTS (
     SELECT 1 FROM audit_seal s
      WHERE s.tenant_id = a.tenant_id AND s.seal_no = a.last_seal AND s.sealed_at < :gone_before))
RETURNING id, version, tenant_id, records
""")

# The hourly counts of records that old go with them.
_DROP_HOURS = text("DELETE FROM audit_rollup WHERE hour < :gone_before")


@dataclass(slots=True)
class ArchiveTotals:
    """How many archives were restored or dropped, and how many records are in them."""

    archives: int = 0
    records: int = 0


def restore(
    platform: Platform,
    actor: Actor,
    month: date,
    *,
    records: Sequence[str] = TABLES,
    days: int | None = None,
) -> ArchiveTotals:
    """Put a tenant's archived records of a month back into their tables; safe to repeat.

    They stay for *days*, or the default of the settings, and are then archived again. The files
    stay in the folder.

    Raises:
        NotFound: There is no archive of that month.
        RuleRefused: All of them were dropped, or a file isn't as it was written.
        Unavailable: A file is missing or can't be read.
        LockBusy: The month is being archived, or somebody reads its table for long.
    """
    done = ArchiveTotals()
    stay = timedelta(days=platform.retention.restored_days if days is None else days)
    for archive in _read_archives(platform, actor, month, records):
        _make_partition(platform, archive.record, month)
        done.records += _restore_one(platform, actor, archive, month, stay)
        done.archives += 1
    return done


def _restore_one(
    platform: Platform, actor: Actor, chosen: Row[Any], month: date, stay: timedelta
) -> int:
    """Put the records of one archive back, unless they are back; return how many there are."""
    with platform.database.begin() as db:
        if not lock_month(db, chosen.record, month):
            raise LockBusy(message=f"{month:%Y-%m} is being archived; try again in a moment.")
        db.execute(SAME_EVERYWHERE)
        archive = db.execute(_ARCHIVE, {"id": chosen.id}).first()
        if archive is None:
            return 0  # it was dropped or replaced since it was read
        now = platform.clock(db)
        if archive.restored_until is None:
            _insert_all(platform, db, actor.tenant_id, chosen.record, archive)
        until = now + stay
        row = db.execute(_RESTORED, {"id": archive.id, "until": until}).one()
        change = {"restored_until": _before_after(archive.restored_until, until)}
        _log(db, actor, [row], [change], reason="restored", now=now)
        platform.step("records_restored")
    return int(archive.records)


def _insert_all(
    platform: Platform, db: Connection, tenant_id: int, record: str, archive: Row[Any]
) -> None:
    path = platform.archives / archive.path
    compared, inserted = Compared(), 0
    for lines in batches(read_verified(path, archive.sha256)):
        compared.add(db, record, tenant_id, lines)
        try:
            inserted += insert_lines(db, record, lines)
        except IntegrityError as error:
            raise RuleRefused(
                message=f"Records of {path} are in their table already: verify them first."
            ) from error
    if compared.differing or inserted != archive.records:
        raise RuleRefused(
            message=f"{compared.differing:,} of {inserted:,} records of {path} aren't as they were "
            "sealed: verify them first."
        )


def _make_partition(platform: Platform, table: str, month: date) -> None:
    """Make a month's partition again, so that it can be dropped whole; not if late rows are in."""
    since, until = span_of(month)
    with platform.database.connect() as db:
        part = partition_of(db, table, month)
        span = {"since": since, "until": until}
        if is_partition(part) or db.scalar(text(_HAS_DEFAULT_ROWS.format(table=table)), span):
            return
    part = f"{table}_{month:%Y_%m}"
    try:
        with platform.database.begin() as db:
            db.execute(
                text(_CREATE_PARTITION.format(part=part, table=table, since=since, until=until))
            )
            platform.step("room_made")
    except DBAPIError as error:
        refusal = refusal_of_database_error(error)
        if isinstance(refusal, LockBusy):
            raise LockBusy(message=f"Somebody reads {table}; try again in a moment.") from error
        with platform.database.connect() as db:
            # Somebody else made it, or a record of that month came: both are fine.
            if not is_partition(partition_of(db, table, month)) and refusal is None:
                raise


def hold_archives(
    platform: Platform,
    actor: Actor,
    month: date,
    *,
    because: str,
    records: Sequence[str] = TABLES,
) -> int:
    """Keep a tenant's archives of a month from being dropped; return how many weren't held yet.

    Raises:
        NotFound: There is no archive of that month.
        RuleRefused: All of them were dropped.
        InvalidInput: There is no reason.
    """
    if not because.strip():
        raise InvalidInput(field="because", got=because, expected="why, in a few words")
    return _hold(platform, actor, month, records, because.strip())


def release_archives(
    platform: Platform, actor: Actor, month: date, *, records: Sequence[str] = TABLES
) -> int:
    """Let archives be dropped when they are too old; return how many were held. As `hold`."""
    return _hold(platform, actor, month, records, None)


def _hold(
    platform: Platform, actor: Actor, month: date, records: Sequence[str], reason: str | None
) -> int:
    _read_archives(platform, actor, month, records)
    names = {"tenant_id": actor.tenant_id, "month": month, "records": list(records)}
    with platform.database.begin() as db:
        rows = db.execute(_HOLD, {**names, "reason": reason}).all()
        if rows:
            changes = [{"held_because": _before_after(row.held_because, reason)} for row in rows]
            verb = "released" if reason is None else "held"
            _log(db, actor, rows, changes, reason=verb, now=platform.clock(db))
        platform.step("archives_held")
    return len(rows)


def drop_archives(platform: Platform) -> ArchiveTotals:
    """Drop every archive that is older than archives are kept and isn't held; safe to repeat.

    The hourly counts of records that old go with them.

    The row is changed before the file is removed: after a crash between the two, the next call
    removes the file.

    Raises:
        Unavailable: The archive folder isn't there.
    """
    done = ArchiveTotals()
    check_folder(platform)
    with platform.database.begin() as db:
        now = platform.clock(db)
        gone_before = platform.retention.gone_before(now)
        names = {"now": now, "gone_before": gone_before, "before": month_of(gone_before)}
        rows = db.execute(_DROP, names).all()
        db.execute(_DROP_HOURS, names)
        for tenant_id in sorted({row.tenant_id for row in rows}):
            tenant_rows = [row for row in rows if row.tenant_id == tenant_id]
            changes = [{"records": _before_after(row.records, None)} for row in tenant_rows]
            system = Actor(tenant_id, None)
            _log(
                db, system, tenant_rows, changes, event_type="DELETED", reason="retention", now=now
            )
        platform.step("drop_noted")
    platform.step("archives_dropped")
    done.archives = len(rows)
    done.records = sum(row.records for row in rows)
    remove_gone(platform)
    return done


def _read_archives(
    platform: Platform, actor: Actor, month: date, records: Sequence[str]
) -> list[Row[Any]]:
    names = {"tenant_id": actor.tenant_id, "month": month, "records": list(records)}
    with platform.database.connect() as db:
        archives = db.execute(_ARCHIVES, names).all()
    if not archives:
        raise NotFound(what="archive of", got=f"{month:%Y-%m}")
    kept = [archive for archive in archives if archive.dropped_at is None]
    if not kept:
        dropped_on = f"{month:%Y-%m} were dropped on {archives[0].dropped_at:%Y-%m-%d}"
        raise RuleRefused(message=f"The archives of {dropped_on}: they were too old to be kept.")
    return kept


def _before_after(before: object, after: object) -> dict[str, object]:
    return {"before": before, "after": after}


def _log(
    db: Connection,
    actor: Actor,
    rows: Sequence[Row[Any]],
    changes: Sequence[Any],
    *,
    event_type: str = "UPDATED",
    reason: str,
    now: datetime,
) -> None:
    log_entities(
        db,
        event_type=event_type,
        kind=_KIND,
        tenant_id=actor.tenant_id,
        actor_id=actor.person_id,
        correlation_id=None,
        reason=reason,
        ids=[row.id for row in rows],
        versions=[row.version for row in rows],
        changes=[json.dumps(change, default=str) for change in changes],
        now=now,
    )
