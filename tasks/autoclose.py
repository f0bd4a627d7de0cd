"""The Celery task that asks the clock which policies are due."""

from celery import Celery

from engine.scheduling.autoclose import tick
from tasks.base import PlatformOf

TICK = "autoclose.tick"


def register(app: Celery, platform: PlatformOf) -> None:
    """Add `autoclose.tick` to *app*."""

    @app.task(name=TICK, shared=False)
    def tick_once() -> str:
        runs = tick(platform())
        return "; ".join(f"{each.policy['name']}: {each.outcome}, {each.taken:,}" for each in runs)
