"""Logs: write one line an event with its fields to stderr; results and data go to stdout."""

import logging
import sys
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from structlog.stdlib import ProcessorFormatter

LOGGERS = ("engine", "reads", "tasks", "worker", "lockside")


def configure_logs(level: str = "INFO") -> None:
    """Send log lines of *level* and above to stderr.

    Only for the platform's own loggers: Celery and other libraries keep their handlers.

    Args:
        level: A name that `logging` knows, such as `WARNING`.
    """
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(level)
        logger.propagate = False
        if not any(isinstance(handler, _Stderr) for handler in logger.handlers):
            logger.addHandler(_Stderr())


class _Stderr(logging.Handler):
    """Writes to the present stderr, which Celery and tests replace."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(f"{_formatter().format(record)}\n")
            sys.stderr.flush()
        except Exception:  # noqa: BLE001 -- as every handler of logging: no line breaks the work
            self.handleError(record)


@cache
def _formatter() -> "ProcessorFormatter":
    # Made for the first line: most commands never log one.
    import structlog  # noqa: PLC0415 -- as above

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0),
        ],
    )
