"""Word lists: read them from `word_lists/` and compile them into patterns over folded text.

Latin, Cyrillic and Greek words stand by themselves, and a `*` lets one continue; the other scripts
join words, so theirs are found anywhere. The lists serve keys (`mot_de_passe`) and text alike.
A list is read, and a pattern is compiled, when it is first used.
"""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from domain.redaction.folding import folded

SECRET, CODE = "secret", "code"
EMAIL, CARD, SSN, PAN, AADHAAR = "email", "card", "ssn", "pan", "aadhaar"
PHONE, PHONE_WEAK, NOT_A_PHONE, ID = "phone", "phone_weak", "not_a_phone", "id"
STATE, FLAGGED, PROSE = "state", "flagged", "prose"
"""The lists: each is a file of this name, and its first line says what it holds."""

_FOLDER = Path(__file__).with_name("word_lists")
_LETTER = "a-z\u03b1-\u03c9\u0430-\u044f\u0454-\u0457"


@cache
def words(*lists: str, more: str = "") -> re.Pattern[str]:
    """Return a pattern that finds any word of the lists in folded text.

    Args:
        lists: Names of lists, such as `PHONE`.
        more: Further words, with commas between them.
    """
    return re.compile(pattern_of(*lists, more=more))


def pattern_of(*lists: str, more: str = "") -> str:
    """Return the pattern of `words` as text, to build others with; a blank may be any joint."""
    every = terms(*lists, more=more)
    bound = [word for word in every if _is_bound(word)]
    free = [word for word in every if not _is_bound(word)]
    parts = []
    if bound:
        parts.append(f"(?<![{_LETTER}])(?:{_any_of(bound)})(?![{_LETTER}])")
    if free:
        parts.append(_any_of(free))
    return f"(?:{'|'.join(parts)})"


def terms(*lists: str, more: str = "") -> list[str]:
    """Return the words of the lists, and *more* words with commas between them, all folded."""
    written = [word for name in lists for word in _read(name)]
    written += [word.strip() for word in more.split(",") if word.strip()]
    return [folded(word) for word in written]


@cache
def _read(name: str) -> tuple[str, ...]:
    lines = (_FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


def _is_bound(word: str) -> bool:
    return re.match(f"[{_LETTER}#]", word) is not None


def _any_of(alternatives: Iterable[str]) -> str:
    # The longest first: an alternation takes the first that fits.
    ranked = sorted(set(alternatives), key=lambda word: (-len(word), word))
    joined = "|".join(re.escape(word) for word in ranked)
    return joined.replace(r"\ ", r"[\s_'-]{0,2}").replace(r"\*", f"[{_LETTER}]*")
