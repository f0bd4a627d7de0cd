"""Records that are old: written as of another time, archived as of a later one."""

import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text
from zstandard import ZstdCompressor, ZstdDecompressor

import lockside
from domain.audit.retention import month_of, span_of
from domain.audit.verification import Verified
from engine.audit.writer import write_records
from engine.ports.platform import Platform
from engine.retention.archive import Archived, archive_records
from models.seal import TABLES
from reads.audit.archived_records import ArchiveStore
from reads.audit.verification import verify_seals
from tests.engine.steps import Row, ask, drain, query
from tests.factories import work_orders

MAY = datetime(2026, 5, 15, 12, tzinfo=UTC)
AUGUST = datetime(2026, 8, 15, 12, tzinfo=UTC)

COLD = datetime(2026, 9, 15, tzinfo=UTC)
"""When May is cold, to its last record, and August isn't."""

GONE = datetime(2028, 6, 15, tzinfo=UTC)
"""When May is older than anything is kept, and August isn't."""


def at(platform: Platform, now: datetime) -> Platform:
    """Return a platform whose clock says another time."""

    def clock(_: Connection) -> datetime:
        return now

    return replace(platform, clock=clock)


def make_months(site: lockside.Session, *months: datetime) -> None:
    """Make partitions for months that are over."""
    for month in map(month_of, months):
        since, until = span_of(month)
        for table in TABLES:
            query(
                site,
                f"CREATE TABLE {table}_{month:%Y_%m} PARTITION OF {table}"
                f" FOR VALUES FROM ('{since}') TO ('{until}')",
            )


def record(
    site: lockside.Session, when: datetime = MAY, count: int = 5, comments: str | None = "Checked"
) -> list[int]:
    """Write and seal the records of so many transitions, as of then; return the rows."""
    ids = work_orders(site, count)
    tenant = {"tenant_id": site.actor.tenant_id}
    begin = "INSERT INTO audit_chain (tenant_id) VALUES (:tenant_id) ON CONFLICT DO NOTHING"
    query(site, begin, **tenant)
    # A worker's writer passes by a tenant whose chain is held.
    with site.platform.database.begin() as db:
        db.execute(text("SELECT FROM audit_chain WHERE tenant_id = :tenant_id FOR UPDATE"), tenant)
        drain(site, ask(site, ids, comments=comments))
        db.execute(text("UPDATE outbox SET occurred_at = :at"), {"at": when})
    write_records(at(site.platform, when + timedelta(seconds=30)))
    return ids


def archive(site: lockside.Session, now: datetime = COLD, **more: Any) -> Archived:
    """Archive what is cold at a time."""
    return archive_records(at(site.platform, now), **more)


def verified(site: lockside.Session, now: datetime = COLD, **more: Any) -> Verified:
    """Return what a verification of the tenant's seals and archives finds at a time."""
    known = site.platform
    more.setdefault("store", ArchiveStore(known.archives, known.retention, now))
    with known.database.connect() as db:
        *_, seen = verify_seals(db, site.actor.tenant_id, **more)
    return seen


def found(site: lockside.Session, now: datetime = COLD, **more: Any) -> list[str]:
    """Return the codes of what a verification finds, but for erasures: here they are made up."""
    told = [each.code for each in verified(site, now, **more).findings]
    return [each for each in told if each != "erasure_differs"]


def stored(site: lockside.Session) -> dict[str, list[Row]]:
    """Return all records that are in their tables, by table."""
    return {each: query(site, f"SELECT * FROM {each} ORDER BY event_id") for each in TABLES}


def archives(site: lockside.Session) -> list[Row]:
    """Return the archives as they are stored, in the order in which they were made."""
    return query(site, "SELECT * FROM audit_archive ORDER BY id")


def files(site: lockside.Session) -> list[str]:
    """Return all files of the archive folder, whatever they are."""
    folder = site.platform.archives
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file())


def named(site: lockside.Session) -> list[str]:
    """Return the files that the archives name."""
    return sorted(each["path"] for each in archives(site) if each["path"])


def file_of(site: lockside.Session, table: str = "state_transition_audit") -> Path:
    """Return the one archive of a table."""
    (name,) = (each["path"] for each in archives(site) if each["record"] == table and each["path"])
    return site.platform.archives / str(name)


def read(path: Path) -> list[bytes]:
    """Return the lines of an archive."""
    with path.open("rb") as file:
        return ZstdDecompressor().stream_reader(file).read().splitlines()


def rewrite(
    site: lockside.Session,
    change: Callable[[list[bytes]], list[bytes]],
    *,
    table: str = "state_transition_audit",
    is_noted: bool = False,
) -> None:
    """Change the lines of an archive, as somebody would who knows how; and note it, too."""
    path = file_of(site, table)
    path.write_bytes(
        ZstdCompressor().compress(b"".join(b"%s\n" % each for each in change(read(path))))
    )
    if is_noted:
        digest = sha256(path.read_bytes()).digest()
        query(site, "UPDATE audit_archive SET sha256 = :d WHERE record = :r", d=digest, r=table)


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Let a folder take no more than 4 KiB: as a file system, or who may not mount as a limit."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode == 0:
        try:
            yield
        finally:
            subprocess.run(["umount", str(folder)], check=True)
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
