"""The Celery application of an interface, made for its first message only."""

from threading import Lock
from typing import TYPE_CHECKING

from worker.settings import Settings

if TYPE_CHECKING:
    from celery import Celery


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
        """Close its connections, if there are any; a later call makes another application."""
        with self._lock:
            if self._app is not None:
                self._app.close()
                self._app = None
