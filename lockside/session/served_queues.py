"""Served queues: count the workers of each queue, by asking them over the broker."""

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from domain.errors import Unavailable
from worker.app import QUEUES


def served_queues(app: Celery, *, within_s: float = 1.0) -> dict[str, int]:
    """Return how many workers serve each queue; takes the full *within_s* to collect answers.

    Raises:
        Unavailable: The broker doesn't answer.
    """
    try:
        answers = app.control.inspect(timeout=within_s).active_queues() or {}
    except (OperationalError, RedisError, OSError) as error:
        raise Unavailable(message=f"Redis doesn't answer: {error}") from error
    names = [queue["name"] for queues in answers.values() for queue in queues]
    return {queue: names.count(queue) for queue in QUEUES}
