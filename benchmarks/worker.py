"""The application of the workers that are measured: Lockside's own, and a task that does nothing.

The no-op stands for what Celery itself costs, on the same worker, broker and settings.
"""

from celery import Celery

from benchmarks.house import NOOP
from worker.app import make_app
from worker.settings import Settings
from worker.signals import connect


def add_noop(app: Celery) -> None:
    """Add the task that does nothing and whose result is stored."""

    @app.task(name=NOOP, ignore_result=False)
    def noop() -> None:
        return None


settings = Settings()
app = make_app(settings)
add_noop(app)
connect(app, settings)
