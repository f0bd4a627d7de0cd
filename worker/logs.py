"""Logs: one line an event, on stderr, with its fields; results and data have stdout."""

import logging
import sys
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from structlog.stdlib import ProcessorFormatter

_LOGGERS = ("engine", "reads", "tasks", "worker", "lockside")


def configure_logs(level: str = "INFO") -> None:
    """Send log lines of *level* and above to stderr.

    Only the platform's own: Celery and other libraries keep the handlers that they have.

    Args:
        level: A name that `logging` knows, such as `WARNING`.
    """
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(level)
        logger.propagate = False
        if not any(isinstance(handler, _Stderr) for handler in logger.handlers):
            logger.addHandler(_Stderr())


class _Stderr(logging.Handler):
    """Writes to the stderr of the moment, which Celery and tests replace."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(f"{_formatter().format(record)}\n")
            sys.stderr.flush()
        except (OSError, ValueError):  # stderr is closed, or its disk is full
            self.handleError(record)


@cache
def _formatter() -> "ProcessorFormatter":
    # Made for the first line: most calls of the command line never log one.
    import structlog  # noqa: PLC0415 -- as above

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0),
        ],
    )
