"""Times: read times as people type them, with a zone or as a span back from now."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import rich_click as click

from domain.business_time.duration_text import from_now
from domain.errors import InvalidInput

_TIME = "a time with its zone such as 2026-11-22T09:30:00Z, or a span back from now such as 7d"


def read_time(field: str, text: str | None) -> datetime | None:
    """Return the time that was typed, or the time a span before now.

    Raises:
        InvalidInput: It is neither a time with a zone nor a span.
    """
    if text is None:
        return None
    try:
        back = from_now(text if text[:1] in "+-" else f"-{text}", datetime.now(UTC))
        moment = back or datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(field=field, got=text, expected=_TIME) from error
    if moment.tzinfo is None:
        raise InvalidInput(field=field, got=text, expected=_TIME)
    return moment


def span_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options `--since` and `--until` to a command."""
    for add in (
        click.option("--until", metavar="TIME", help="Before this time; now by default."),
        click.option(
            "--since", metavar="TIME", help="From this time on, with its zone, or 24h, 7d back."
        ),
    ):
        command = add(command)
    return command
