"""Upkeep tasks: sweep, make partitions and delete what has expired, by Celery."""

from dataclasses import asdict

from celery import Celery

from engine.audit.writer import make_partitions
from engine.operations.sweeper import sweep
from engine.retention.forget import forget
from tasks.base import PlatformOf

SWEEP = "upkeep.sweep"
PARTITIONS = "upkeep.partitions"
FORGET = "upkeep.forget"


def register(app: Celery, platform: PlatformOf) -> None:
    """Add `upkeep.sweep`, `upkeep.partitions` and `upkeep.forget` to *app*."""

    @app.task(name=SWEEP, shared=False)
    def sweep_once() -> str:
        return str(asdict(sweep(platform())))

    @app.task(name=PARTITIONS, shared=False)
    def partitions() -> None:
        make_partitions(platform())

    @app.task(name=FORGET, shared=False)
    def forget_old() -> str:
        return str(asdict(forget(platform())))
