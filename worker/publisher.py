"""Publishing through Celery; a broker that is away is logged and left to the sweeper."""

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from celery import Celery

_log = logging.getLogger(__name__)


class Publisher:
    """Sends messages through Celery; a broker that is away is logged and left to the sweeper."""

    def __init__(self, app: "Callable[[], Celery]") -> None:
        """Publish through the application that *app* returns."""
        self._app = app

    def __call__(
        self,
        name: str,
        arguments: Mapping[str, Any],
        *,
        queue: str,
        countdown_s: float = 0.0,
        expires_s: float | None = None,
    ) -> bool:
        """Return whether the broker took the message."""
        from kombu.exceptions import OperationalError  # noqa: PLC0415 -- comes with the application

        try:
            self._app().send_task(
                name,
                kwargs=dict(arguments),
                queue=queue,
                countdown=countdown_s or None,
                expires=expires_s,
                retry=False,
                ignore_result=True,
            )
        except (OperationalError, OSError) as error:
            _log.warning("broker_away", extra={"message_name": name, "error": str(error)})
            return False
        return True
