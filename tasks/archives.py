"""Archive tasks: move old records out of their tables, and drop old archives, by Celery."""

from dataclasses import asdict

from celery import Celery

from engine.retention.archive import archive_records
from engine.retention.restore import drop_archives
from tasks.base import PlatformOf

ARCHIVE = "audit.archive"
DROP = "audit.drop"

_LONGEST_S = 6 * 3600
"""A month of many millions takes hours; a second worker with the same task sees it is done."""


def register(app: Celery, platform: PlatformOf) -> None:
    """Add `audit.archive` and `audit.drop` to *app*."""

    @app.task(name=ARCHIVE, shared=False, time_limit=_LONGEST_S, soft_time_limit=_LONGEST_S - 30)
    def archive() -> str:
        return str(asdict(archive_records(platform())))

    @app.task(name=DROP, shared=False)
    def drop() -> str:
        return str(asdict(drop_archives(platform())))
