"""What people rather look at than read: bars and spans; and the times that they type."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import rich_click as click

from domain.business_time.span import from_now
from domain.errors import InvalidInput

_BLOCKS = " ▏▎▍▌▋▊▉█"
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_TIME = "a time with its zone such as 2026-11-22T09:30:00Z, or a span back from now such as 7d"


def bar(share: float, width: int = 20) -> str:
    """Return a bar that is filled to a share of its width, to an eighth of a letter."""
    eighths = max(round(share * width * 8), 1 if share > 0 else 0)
    return ("█" * (eighths // 8) + _BLOCKS[eighths % 8]).rstrip()


def how_long(seconds: float) -> str:
    """Return a span by its two largest units: `3 d 4 h`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    left = round(seconds)
    told: list[str] = []
    for size, unit in _UNITS:
        if left >= size and len(told) < 2:  # noqa: PLR2004 -- two units say enough
            told.append(f"{left // size} {unit}")
        left %= size
    return " ".join(told)


def read_time(field: str, text: str | None) -> datetime | None:
    """Return a time, or how far back a span is from now.

    Raises:
        InvalidInput: It is neither.
    """
    if text is None:
        return None
    try:
        back = from_now(text if text[:1] in "+-" else f"-{text}", datetime.now(UTC))
        found = back or datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(field=field, got=text, expected=_TIME) from error
    if found.tzinfo is None:
        raise InvalidInput(field=field, got=text, expected=_TIME)
    return found


def span_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Let a command take `--since` and `--until`."""
    for add in (
        click.option("--until", metavar="TIME", help="Before this time; now by default."),
        click.option(
            "--since", metavar="TIME", help="From this time on, with its zone, or 24h, 7d back."
        ),
    ):
        command = add(command)
    return command
