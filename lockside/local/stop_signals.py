"""Being asked to stop: Ctrl-C, SIGTERM, a closed terminal; once to stop, twice to hurry."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Stopping:
    """Turns signals into KeyboardInterrupt at first, and into hurry once the stopping began."""

    def __init__(self) -> None:
        """Start unasked."""
        self._asked = False
        self._held = False
        self._begun = False
        self._hurried = False

    def asked(self, _number: int, _frame: object) -> None:
        """Take a signal."""
        self._hurried = self._begun
        self._asked = True
        self.heed()

    def heed(self) -> None:
        """Raise KeyboardInterrupt if somebody asked and nothing was stopped yet."""
        if self._asked and not self._begun and not self._held:
            raise KeyboardInterrupt

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let the block end first: in the middle of a fork Python drops what is raised."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        self.heed()

    def begin(self) -> None:
        """Say that things are being stopped; from now on signals only hurry."""
        self._begun = True

    def is_hurried(self) -> bool:
        """Say whether somebody asked again."""
        return self._hurried


@contextmanager
def stop_signals() -> Iterator[Stopping]:
    """Take the signals that ask to stop while the block runs; in the main thread only."""
    stopping = Stopping()
    if threading.current_thread() is not threading.main_thread():
        yield stopping
        return
    # A shell ignores SIGINT for what it runs in the background; asked to stop, we stop.
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup means it
        numbers.append(signal.SIGHUP)
    earlier = {each: signal.signal(each, stopping.asked) for each in numbers}
    try:
        yield stopping
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
