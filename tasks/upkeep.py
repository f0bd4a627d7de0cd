"""The Celery tasks that keep the house in order."""

from dataclasses import asdict

from celery import Celery

from engine.audit import make_partitions
from engine.rescue import sweep
from engine.rollup import roll_up
from tasks.base import PlatformOf

SWEEP = "upkeep.sweep"
PARTITIONS = "upkeep.partitions"
ROLL_UP = "audit.roll_up"


def register(app: Celery, platform: PlatformOf) -> None:
    """Add `upkeep.sweep`, `upkeep.partitions` and `audit.roll_up` to *app*."""

    @app.task(name=SWEEP, shared=False)
    def sweep_once() -> str:
        return str(asdict(sweep(platform())))

    @app.task(name=PARTITIONS, shared=False)
    def partitions() -> None:
        make_partitions(platform())

    @app.task(name=ROLL_UP, shared=False)
    def count_hours() -> str:
        return f"{roll_up(platform())} seals"
