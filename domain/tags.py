"""Tags: the words that people put on work, to find it by."""

from collections.abc import Iterable
from typing import Any

EXPECTED = "words such as hold,vip with commas between them"
_MOST = 100
_LONGEST = 100


def parse_tags(given: Any) -> list[str]:
    """Return tags without the blanks around them, each once, in the order that they came in.

    Raises:
        ValueError: One is no text that can be stored, is empty, too long or holds a comma; or
            there are too many.
        TypeError: They are neither text nor a list.
    """
    parts: Iterable[Any] = given.split(",") if isinstance(given, str) else given
    if not isinstance(parts, list | tuple):
        raise TypeError
    tags = list(dict.fromkeys(map(_tag, parts)))
    if len(tags) > _MOST:
        raise ValueError
    return tags


def _tag(given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError
    tag = given.strip()
    if not 0 < len(tag) <= _LONGEST or "," in tag or "\x00" in tag:
        raise ValueError
    tag.encode()
    return tag
