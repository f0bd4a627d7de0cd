"""Celery application: make it from settings; docs/reference/celery.md explains each one."""

from collections.abc import Callable
from typing import Any

from celery import Celery
from kombu import Exchange, Queue

from beat_schedule import BEAT_SCHEDULE
from engine.ports.platform import Clock, database_clock, unobserved
from tasks import archives, audit, autoclose, bulk, upkeep
from worker.platform_per_process import PlatformPerProcess
from worker.publisher import Publisher
from worker.settings import Settings

QUEUES = ("interactive", "audit", "upkeep", "bulk")
"""The queues in the order in which a worker without options serves them: people first.

Bulk comes last because it alone has no end: behind it, records and the sweeper would wait
until the last of a million items is done.
"""


def make_app(
    settings: Settings,
    step: Callable[[str], None] = unobserved,
    clock: Clock = database_clock,
) -> Celery:
    """Return the application with its tasks; nothing is connected yet.

    Args:
        settings: Where the servers are, and how the work is paced.
        step: Called with each step of the protocol right after it, in the worker's processes.
        clock: Returns the time by which work is judged, in the worker's processes.

    Raises:
        Unavailable: No address is set, and no embedded servers run.
    """
    resolved = settings.resolved()
    app = Celery("lockside", set_as_current=False)
    app.conf.update(celery_settings(resolved))
    platform = PlatformPerProcess(resolved, Publisher(lambda: app), step, clock)
    for module in (bulk, audit, archives, autoclose, upkeep):
        module.register(app, platform)
    return app


def celery_settings(settings: Settings) -> dict[str, Any]:
    """Return Celery's settings; docs/reference/celery.md explains each one."""
    return {
        "broker_url": settings.redis_database(0),
        "result_backend": settings.redis_database(1),
        "broker_transport_options": {
            # Above the time limit plus the shutdown: a redelivery finds its chunk ended.
            "visibility_timeout": settings.visibility_timeout_s,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "unacked_mutex_expire": 30,
            "socket_timeout": 5,
            "socket_connect_timeout": 3,
            "socket_keepalive": True,
            "health_check_interval": 10,
            # Publishing gives up at once: kombu would try for 6 s to connect to a broker that is
            # away, for each dispatch message, and the sweeper sends it anyway. A worker's own
            # connection knows no such limit (broker_connection_max_retries).
            "max_retries": 0,
            "queue_order_strategy": "priority",
        },
        "task_queues": [Queue(name, Exchange(name), routing_key=name) for name in QUEUES],
        "task_default_queue": "upkeep",
        "task_create_missing_queues": False,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_acks_on_failure": True,
        "task_acks_on_timeout": True,
        "task_ignore_result": True,
        "task_time_limit": 300,
        "task_soft_time_limit": 270,
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        "task_send_sent_event": True,
        "worker_send_task_events": True,
        "worker_prefetch_multiplier": 1,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_soft_shutdown_timeout": 30.0,
        "worker_max_tasks_per_child": 1000,
        "worker_max_memory_per_child": 300_000,
        "worker_proc_alive_timeout": 30.0,
        "worker_hijack_root_logger": False,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_channel_error_retry": True,
        "broker_pool_acquire_timeout": 5,
        "result_backend_always_retry": False,
        "redis_socket_timeout": 5,
        "redis_socket_connect_timeout": 3,
        "redis_retry_on_timeout": True,
        "redis_backend_health_check_interval": 10,
        "beat_schedule": BEAT_SCHEDULE,
        "beat_scheduler": "worker.beat:HeartbeatScheduler",
        "lockside_heartbeat_file": settings.heartbeat_file and str(settings.heartbeat_file),
        "timezone": "UTC",
    }
