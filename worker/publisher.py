"""Publishing: send messages through Celery; interfaces make its application at the first one."""

import logging
from collections.abc import Callable, Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any

from worker.settings import Settings

if TYPE_CHECKING:
    from celery import Celery

_log = logging.getLogger(__name__)


class InterfaceApp:
    """The Celery application of an interface, made at the first call; reading needs none.

    It gives up sooner than a worker's: the row is stored, and the sweeper sends the message.
    """

    def __init__(self, settings: Settings) -> None:
        """Store how to make it."""
        self._settings = settings
        self._app: Celery | None = None
        self._lock = Lock()

    def __call__(self) -> "Celery":
        """Return the application."""
        with self._lock:
            if self._app is None:
                # Celery takes longer to import than most commands take to run.
                from worker.app import make_app  # noqa: PLC0415 -- as above

                self._app = make_app(self._settings)
                self._app.conf.broker_transport_options |= {
                    "socket_timeout": 2,
                    "socket_connect_timeout": 1,
                }
            return self._app

    def close(self) -> None:
        """Close its connections, if there are any."""
        with self._lock:
            if self._app is not None:
                self._app.close()
                self._app = None


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
