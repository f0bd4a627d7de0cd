"""The Celery task that writes records from the outbox."""

from celery import Celery

from engine.audit import write_records
from engine.hints import WRITE_AUDIT
from tasks.base import PlatformOf


def register(app: Celery, platform: PlatformOf) -> None:
    """Add `audit.write` to *app*."""

    @app.task(name=WRITE_AUDIT, shared=False)
    def write() -> str:
        return f"{write_records(platform())} outbox rows"
