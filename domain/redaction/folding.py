"""Folding: normalize digits, blanks, dashes, quotes and accents of a text, keeping positions."""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

_ASCII = 0x80
_WIDE, _WIDE_END, _NARROW = 0xFF01, 0xFF5E, 0xFEE0

# Invisible characters: soft hyphens, zero widths, directions, and accents that are dropped anyway.
_INVISIBLE = re.compile(
    "[\u00ad\u0300-\u036f\u0640\u064b-\u0655\u093c\u200b-\u200f\u202a-\u202e\u2060-\u2064"
    "\u2066-\u2069\u3099\u309a\ufe0e\ufe0f\ufeff]"
)

_LONG_VOWEL = re.compile("(?<=[0-9])\u30fc(?=[0-9])")

_ALIKE = {
    # Letters without a decomposition that are written without their stroke as well.
    **str.maketrans("ıłŁøØđĐßæÆ", "ilLoOdDsaA"),
    # Arabic and Persian spellings of the same letters.
    **str.maketrans("ةىیک", "هييك"),
    # Quotes, dots, and signs that stand for a dash between digits.
    **str.maketrans("“”„‟«»「」『』", '"' * 10),
    **str.maketrans("‘’‚‹›", "'" * 5),
    **str.maketrans("·•−。", "..-."),
}


@dataclass(frozen=True, slots=True)
class Folded:
    """A text in plain characters.

    Attributes:
        plain: The text folded; as long as the text without its invisible characters.
        low: The same in small letters, as long as `plain`.
        places: The position of each character in the text; None if no position has changed.
    """

    plain: str
    low: str
    places: list[int] | None = None

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the span in the original text of a span of the folded text."""
        if self.places is None:
            return start, end
        return self.places[start], self.places[end - 1] + 1


def fold(text: str) -> Folded:
    """Return *text* with Unicode's digits, blanks, dashes, quotes and accents made plain."""
    if text.isascii():
        return Folded(text, text.lower())
    places = None
    if _INVISIBLE.search(text) is not None:
        places = [at for at, char in enumerate(text) if _INVISIBLE.match(char) is None]
        text = "".join([text[at] for at in places])
    # Between digits the Japanese sign for a long vowel is typed in place of a dash.
    plain = _LONG_VOWEL.sub("-", text.translate(_TABLE))
    low = plain.lower()
    if len(low) != len(plain):
        low = "".join([char if len(small := char.lower()) != 1 else small for char in plain])
    return Folded(plain, low, places)


def folded(text: str) -> str:
    """Return *text* folded, in small letters."""
    return fold(text).low


class _Table(dict[int, str]):
    def __missing__(self, code: int) -> str:
        return _plain(code)


@cache
def _plain(code: int) -> str:
    char = chr(code)
    if code < _ASCII:
        return char
    if code in _ALIKE:
        return chr(_ALIKE[code])
    if _WIDE <= code <= _WIDE_END:
        return chr(code - _NARROW)
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    return _by_category(char)


def _by_category(char: str) -> str:
    category = unicodedata.category(char)
    if category == "Zs":
        return " "
    if category == "Pd":
        return "-"
    parts = unicodedata.normalize("NFD", char)
    base, marks = parts[0], parts[1:]
    # Accents are dropped from a letter; a character composed of several letters stays.
    return base if all(unicodedata.category(mark) == "Mn" for mark in marks) else char


_TABLE = _Table()
