"""The Celery tasks that write records from the outbox, and pin their seals."""

from celery import Celery

from engine.anchors import PIN_SEALS, pin_seals
from engine.audit import write_some
from engine.hints import WRITE_AUDIT
from tasks.base import PlatformOf


def register(app: Celery, platform: PlatformOf) -> None:
    """Add `audit.write` and `audit.pin` to *app*."""

    @app.task(name=WRITE_AUDIT, shared=False)
    def write() -> str:
        return f"{write_some(platform())} outbox rows"

    @app.task(name=PIN_SEALS, shared=False)
    def pin() -> str:
        return f"{len(pin_seals(platform()))} chains"
