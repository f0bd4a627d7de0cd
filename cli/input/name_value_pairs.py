"""Name-value pairs: parse words of the form `name=value`."""

from collections.abc import Sequence

from domain.errors import InvalidInput


def read_pairs(words: Sequence[str], *, where: str, expected: str) -> dict[str, str]:
    """Return the values by their names; the first equals sign of each word separates them.

    Args:
        words: The words as they were typed.
        where: The name of the option or argument in an error.
        expected: The expected form in an error.

    Raises:
        InvalidInput: A word has no name or no equals sign, or a name is there twice.
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
