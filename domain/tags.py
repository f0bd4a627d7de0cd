"""Tags: parse and check the words that people attach to work to find it again."""

from collections.abc import Iterable
from typing import Any

EXPECTED = "words such as hold,vip with commas between them"
_MOST = 100
_LONGEST = 100


def parse_tags(tags: Any) -> list[str]:
    """Return tags without the blanks around them, without duplicates, in their order.

    Args:
        tags: A text with commas between the tags, or a list of texts.

    Raises:
        ValueError: A tag can't be stored as text, is empty, too long or contains a comma; or
            there are too many.
        TypeError: They are neither text nor a list.
    """
    words: Iterable[Any] = tags.split(",") if isinstance(tags, str) else tags
    if not isinstance(words, list | tuple):
        raise TypeError
    unique = list(dict.fromkeys(map(_tag, words)))
    if len(unique) > _MOST:
        raise ValueError
    return unique


def _tag(word: Any) -> str:
    if not isinstance(word, str):
        raise TypeError
    tag = word.strip()
    if not 0 < len(tag) <= _LONGEST or "," in tag or "\x00" in tag:
        raise ValueError
    tag.encode()
    return tag
