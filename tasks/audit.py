"""Audit tasks: write records from the outbox, pin their seals and count them, by Celery."""

from celery import Celery

from engine.audit.anchors import PIN_SEALS, pin_seals
from engine.audit.rollup import roll_up
from engine.audit.wake import WRITE_AUDIT
from engine.audit.writer import write_some
from tasks.base import PlatformOf

ROLL_UP = "audit.roll_up"


def register(app: Celery, platform: PlatformOf) -> None:
    """Add `audit.write`, `audit.pin` and `audit.roll_up` to *app*."""

    @app.task(name=WRITE_AUDIT, shared=False)
    def write() -> str:
        return f"{write_some(platform())} outbox rows"

    @app.task(name=PIN_SEALS, shared=False)
    def pin() -> str:
        return f"{len(pin_seals(platform()))} chains"

    @app.task(name=ROLL_UP, shared=False)
    def count_hours() -> str:
        return f"{roll_up(platform())} seals"
