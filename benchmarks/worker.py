"""The application of the workers that are measured: Lockside's own, and its rivals' tasks.

The no-op stands for what Celery itself costs, on the same worker, broker and settings.
"""

from celery import Celery

from benchmarks.house import NOOP, ONE_ITEM
from benchmarks.one_by_one import move_one
from worker.app import make_app
from worker.processes import PlatformPerProcess
from worker.publisher import Publisher
from worker.settings import Settings
from worker.signals import connect_signals


def add_noop(app: Celery) -> None:
    """Add the task that does nothing and whose result is stored."""

    @app.task(name=NOOP, ignore_result=False)
    def noop() -> None:
        return None


def add_one_item(app: Celery, platform: PlatformPerProcess) -> None:
    """Add the task that moves one row, as a Celery group would do it a thousand times."""

    @app.task(name=ONE_ITEM, ignore_result=False)
    def one_item(tenant_id: int, actor_id: int, row_id: int) -> bool:
        return move_one(platform(), tenant_id, actor_id, row_id)


settings = Settings()
app = make_app(settings)
add_noop(app)
add_one_item(app, PlatformPerProcess(settings.resolved(), Publisher(lambda: app)))
connect_signals(app, settings)
