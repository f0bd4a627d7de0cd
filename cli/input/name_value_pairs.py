"""Words of the form `name=value`."""

from collections.abc import Sequence

from domain.errors import InvalidInput


def read_pairs(words: Sequence[str], *, where: str, expected: str) -> dict[str, str]:
    """Return what stands before and behind the first equals sign of each word.

    Args:
        words: As they were typed.
        where: What an error calls them.
        expected: What an error says that they should be.

    Raises:
        InvalidInput: A word has no name or no equals sign, or a name stands twice.
    """
    pairs: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise InvalidInput(field=where, got=word, expected=expected)
        if name in pairs:
            raise InvalidInput(field=where, got=f"{name} twice", expected="every name once")
        pairs[name] = value
    return pairs
