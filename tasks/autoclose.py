"""Auto-closure task: run the policies whose period has come, by Celery."""

from celery import Celery

from engine.scheduling.autoclose import tick
from tasks.base import PlatformOf

TICK = "autoclose.tick"


def register(app: Celery, platform: PlatformOf) -> None:
    """Add `autoclose.tick` to *app*."""

    @app.task(name=TICK, shared=False)
    def tick_once() -> str:
        runs = tick(platform())
        return "; ".join(f"{run.policy['name']}: {run.outcome}, {run.taken:,}" for run in runs)
