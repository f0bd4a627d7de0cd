"""A TCP proxy that swallows the reply to some requests, and the connection with it."""

import re
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from tests.breaking.observer import LOOPBACK

_PIECE = 65_536


class Proxy:
    """Stands before the server of *url*; the server gets every request, once.

    Attributes:
        swallowed: How many replies were swallowed so far, of the *times* asked for.
    """

    def __init__(self, url: str, request: str, times: int) -> None:
        self._url = urlsplit(url)
        self._request = re.compile(request.encode())
        self._times = times
        self._turn = threading.Lock()
        self._open: list[socket.socket] = []
        self._listener = socket.create_server((LOOPBACK, 0))
        self.swallowed = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _close(self._listener, *self._open)

    @property
    def url(self) -> str:
        """Return the server's address by way of this proxy."""
        where = f"{LOOPBACK}:{self._listener.getsockname()[1]}"
        return urlunsplit(self._url._replace(netloc=self._url.netloc.split("@")[0] + "@" + where))

    def _accept(self) -> None:
        with suppress(OSError):  # closed: the test is over
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((LOOPBACK, self._url.port or 0))
                self._open += [client, server]
                doomed = threading.Event()
                for pump in (self._requests, self._replies):
                    threading.Thread(
                        target=pump, args=(client, server, doomed), daemon=True
                    ).start()

    def _requests(
        self, client: socket.socket, server: socket.socket, doomed: threading.Event
    ) -> None:
        with suppress(OSError):
            while piece := client.recv(_PIECE):
                if self._request.search(piece) and self._takes_one():
                    doomed.set()
                server.sendall(piece)
        _close(client, server)

    def _replies(
        self, client: socket.socket, server: socket.socket, doomed: threading.Event
    ) -> None:
        with suppress(OSError):
            while (piece := server.recv(_PIECE)) and not doomed.is_set():
                client.sendall(piece)
        _close(client, server)

    def _takes_one(self) -> bool:
        with self._turn:
            takes = self.swallowed < self._times
            self.swallowed += takes
            return takes


def _close(*sockets: socket.socket) -> None:
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
