"""Bars and durations: draw shares as bars and write durations for people."""

_BLOCKS = " ▏▎▍▌▋▊▉█"

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def bar(share: float, width: int = 20) -> str:
    """Return a bar that fills a share of its width, to an eighth of a character."""
    eighths = max(round(share * width * 8), 1 if share > 0 else 0)
    return ("█" * (eighths // 8) + _BLOCKS[eighths % 8]).rstrip()


def how_long(seconds: float) -> str:
    """Return a duration in its two largest units, such as `3 d 4 h`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    left = round(seconds)
    parts: list[str] = []
    for size, unit in _UNITS:
        if left >= size and len(parts) < 2:  # noqa: PLR2004 -- two units say enough
            parts.append(f"{left // size} {unit}")
        left %= size
    return " ".join(parts)
