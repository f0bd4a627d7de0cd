"""What the platform says about itself: one line an event, on stderr, with fields."""

import logging
import sys

import structlog


def configure_logs(level: str = "INFO") -> None:
    """Send log lines of *level* and above to stderr; results and data have stdout to themselves.

    Args:
        level: A name that `logging` knows, such as `WARNING`.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=_on_stderr,
        cache_logger_on_first_use=False,
    )


def _on_stderr(*_: object) -> structlog.PrintLogger:
    # Asked for at each line, so that a replaced or redirected stderr is the one that is used.
    return structlog.PrintLogger(sys.stderr)
