"""Benchmark worker: the Celery application of the measured workers, with the rivals' tasks added.

The no-op shows what Celery itself costs, on the same worker, broker and settings.
"""

from celery import Celery

from benchmarks.house import NOOP, ONE_ITEM
from benchmarks.one_by_one import move_one
from worker.app import make_app
from worker.platform_per_process import PlatformPerProcess
from worker.publisher import Publisher
from worker.settings import Settings
from worker.signals import connect_signals


def add_noop(app: Celery) -> None:
    """Add the task that does nothing and whose result is stored."""

    @app.task(name=NOOP, ignore_result=False)
    def noop() -> None:
        return None


def add_one_item(app: Celery, platform: PlatformPerProcess) -> None:
    """Add the task that moves one row, of which a Celery group has one for each item."""

    @app.task(name=ONE_ITEM, ignore_result=False)
    def one_item(tenant_id: int, actor_id: int, row_id: int) -> bool:
        return move_one(platform(), tenant_id, actor_id, row_id)


settings = Settings()
app = make_app(settings)
add_noop(app)
add_one_item(app, PlatformPerProcess(settings.resolved(), Publisher(lambda: app)))
connect_signals(app, settings)
