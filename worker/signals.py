"""Worker signals: ask for sweeps, and touch the heartbeat file."""

from typing import Any

from celery import Celery
from celery.signals import worker_ready

from tasks.upkeep import SWEEP
from worker.publisher import Publisher
from worker.settings import Settings

_HEARTBEAT_S = 5.0


def connect_signals(app: Celery, settings: Settings) -> None:
    """Have each worker of *app* ask for a sweep regularly, so that sweeps don't need beat."""
    publish = Publisher(lambda: app)

    def ask_for_sweep() -> None:
        publish(SWEEP, {}, queue="upkeep", expires_s=settings.sweep_every_s)

    def beat() -> None:
        if settings.heartbeat_file is not None:
            settings.heartbeat_file.touch()

    def start(sender: Any, **_: Any) -> None:
        ask_for_sweep()
        beat()
        sender.timer.call_repeatedly(settings.sweep_every_s, ask_for_sweep)
        sender.timer.call_repeatedly(_HEARTBEAT_S, beat)

    worker_ready.connect(start, weak=False)
