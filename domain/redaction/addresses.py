"""E-mail addresses: find them in free text, plain or disguised (`name at site dot com`)."""

import re
from collections.abc import Iterator

from domain.redaction.folding import Folded
from domain.redaction.secret_forms import Span

_DOMAIN = r"(?:[A-Za-z0-9][A-Za-z0-9-]{0,63}\.)+[A-Za-z]{2,24}"
_PLAIN = re.compile(
    rf"(?<![A-Za-z0-9_.+%'!#$^{{|}}~-])([A-Za-z0-9_.+%'!#$^{{|}}~-]++)@{_DOMAIN}"
    rf"|(?<![A-Za-z0-9_.+-])([A-Za-z0-9_.+-]++)%40{_DOMAIN}"
)
_QUOTED = re.compile(rf"\"[^\"\n@\x01]{{1,64}}\"@{_DOMAIN}")
# Letters of any script, where the pattern for ASCII doesn't match.
_NOT_ASCII = re.compile(r"(?<![\w.+-])[\w.+-]++@(?:[\w-]{1,63}\.)+[^\W\d_]{2,24}")

_AT = r"\s?[\[({<]\s?(?:at|@|arroba|ed|chez|kukac|malpa|zavinac|chiocciola)\s?[\])}>]\s?"
_DOT = r"\s?(?:\.|[\[({<]\s?(?:dot|\.|punto|ponto|punkt|point|kropka|tecka)\s?[\])}>])\s?"
_WORD_DOT = r"\s(?:dot|punto|ponto|punkt|point)\s"
_NAME = r"(?<![A-Za-z0-9_.+-])[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}"
_HIDDEN = re.compile(
    rf"{_NAME}{_AT}[A-Za-z0-9-]{{1,63}}(?:(?:{_DOT}|{_WORD_DOT})[A-Za-z0-9-]{{1,63}}){{1,5}}"
    rf"|{_NAME}(?:{_WORD_DOT}[A-Za-z0-9-]{{1,63}}){{0,2}}\s(?:at|arroba)\s[A-Za-z0-9-]{{1,63}}"
    rf"(?:{_WORD_DOT}[A-Za-z0-9-]{{1,63}}){{1,5}}",
    re.IGNORECASE,
)
_SPACED = re.compile(
    rf"{_NAME}(?: {{1,2}}@ {{0,2}}|@ {{1,2}})(?:[A-Za-z][A-Za-z0-9-]{{0,63}} ?\. ?){{1,5}}"
    r"(?:com|org|net|edu|gov|info|io|example|in|de|fr|es|pt|br|it|nl|be|ch|at|pl|tr|ru|jp|cn|kr|uk|us"
    r"|ca|au|nz|za|ke|ng|mx|ar|sg|ae|sa|co)(?![A-Za-z0-9-])"
)


def addresses_in(text: Folded, plain: str) -> Iterator[Span]:
    """Yield the span of every e-mail address of a folded text.

    Args:
        text: The text.
        plain: The text with everything that was recognized before blanked.
    """
    if "@" in plain or "%40" in plain:
        at_signs = set()
        for match in _PLAIN.finditer(plain):
            group = 1 if match[1] is not None else 2
            local = match[group].lstrip(".+%'!#$^{|}~-")
            at_signs.add(match.end(group))
            if local and not _is_git_remote(plain, local, match.end()):
                yield match.end(group) - len(local), match.end(), "email"
        yield from ((*match.span(), "email") for match in _QUOTED.finditer(plain))
        if not plain.isascii():
            for match in _NOT_ASCII.finditer(plain):
                if plain.index("@", match.start()) not in at_signs:
                    yield (*match.span(), "email")
        yield from ((*match.span(), "email") for match in _SPACED.finditer(plain))
    if any(clue in text.low for clue in ("at", "arroba", "(", "[", "{")):
        yield from ((*match.span(), "email") for match in _HIDDEN.finditer(plain))


def _is_git_remote(plain: str, local: str, end: int) -> bool:
    # git@github.com:owner/name names a repository.
    return local == "git" and plain[end : end + 1] in (":", "/")
