"""The Celery tasks that keep the house in order."""

from dataclasses import asdict

from celery import Celery

from engine.rescue import sweep
from tasks.base import PlatformOf

SWEEP = "upkeep.sweep"


def register(app: Celery, platform: PlatformOf) -> None:
    """Add `upkeep.sweep` to *app*."""

    @app.task(name=SWEEP, shared=False)
    def sweep_once() -> str:
        return str(asdict(sweep(platform())))
