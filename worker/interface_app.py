"""The Celery application of an interface, made for its first message only."""

import os
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
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._app: Celery | None = None
        self._lock = Lock()

    def __call__(self) -> "Celery":
        """Return the application of this process."""
        with self._own_lock():
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
        with self._own_lock():
            if self._app is not None:
                self._app.close()
                self._app = None

    def _own_lock(self) -> Lock:
        """Return the lock of this process; after a fork, the parent's application isn't ours."""
        if self._pid != os.getpid():
            # A thread of the parent may have held the lock, and there is no such thread here.
            self._begin()
        return self._lock
