"""Celery's entry for these tests: the product's own, watched step by step.

LOCKSIDE_TEST_GATE          the port of the gate that stops processes at steps
LOCKSIDE_TEST_COPIES        how often each message is sent
LOCKSIDE_TEST_TICK_S        how often beat ticks
LOCKSIDE_TEST_CLOCK         a clock that runs fast; see tests/breaking/clock.py
LOCKSIDE_TEST_LOSES         `messages`: a killed process takes its message with it, as Redis may
LOCKSIDE_TEST_SOFT_STOP_S   how long a soft shutdown lasts
"""

import os
from typing import Any

from tests.breaking.clock import clock_of
from tests.breaking.observer import Observer
from worker.app import make_app
from worker.settings import Settings
from worker.signals import connect_signals

observer = Observer()
observer.follow_celery()
settings = Settings()
app = make_app(settings, step=observer, clock=clock_of(os.environ))
connect_signals(app, settings)

_COPIES = int(os.environ.get("LOCKSIDE_TEST_COPIES", "1"))
_TICK_S = os.environ.get("LOCKSIDE_TEST_TICK_S")
_send = app.send_task


def send_copies(*words: Any, **options: Any) -> Any:
    """Send a message as often as the environment says."""
    return [_send(*words, **options) for _ in range(_COPIES)][-1]


app.send_task = send_copies  # type: ignore[method-assign]  # every dispatch message passes here
app.conf.worker_soft_shutdown_timeout = float(os.environ.get("LOCKSIDE_TEST_SOFT_STOP_S", "30"))
app.conf.task_reject_on_worker_lost = os.environ.get("LOCKSIDE_TEST_LOSES") != "messages"
if _TICK_S is not None:
    for entry in app.conf.beat_schedule.values():
        entry["schedule"] = float(_TICK_S)
