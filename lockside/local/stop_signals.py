"""Stop signals: turn Ctrl-C, SIGTERM and a closed terminal into a stop; a second one hurries it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Stopping:
    """Raises KeyboardInterrupt for the first signal, and notes further ones while stopping."""

    def __init__(self) -> None:
        """Start without any signal received."""
        self._is_requested = False
        self._is_deferred = False
        self._has_begun = False
        self._is_hurried = False

    def receive(self, _number: int, _frame: object) -> None:
        """Handle a signal."""
        self._is_hurried = self._has_begun
        self._is_requested = True
        self.raise_if_requested()

    def raise_if_requested(self) -> None:
        """Raise KeyboardInterrupt if a stop was requested and hasn't begun."""
        if self._is_requested and not self._has_begun and not self._is_deferred:
            raise KeyboardInterrupt

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Defer a stop to the end of the block: during a fork Python drops exceptions."""
        self._is_deferred = True
        try:
            yield
        finally:
            self._is_deferred = False
        self.raise_if_requested()

    def begin(self) -> None:
        """Note that the stop has begun; from now on signals only hurry it."""
        self._has_begun = True

    def is_hurried(self) -> bool:
        """Say whether a signal came after the stop had begun."""
        return self._is_hurried


@contextmanager
def stop_signals() -> Iterator[Stopping]:
    """Handle the stop signals while the block runs; only in the main thread."""
    stopping = Stopping()
    if threading.current_thread() is not threading.main_thread():
        yield stopping
        return
    # A shell ignores SIGINT for background jobs; it is handled all the same.
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup means it
        numbers.append(signal.SIGHUP)
    earlier = {number: signal.signal(number, stopping.receive) for number in numbers}
    try:
        yield stopping
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
