"""A quick look: may a text hold anything personal? Most hold nothing, and are left at that."""

import re
from collections.abc import Iterable
from functools import lru_cache

from domain.redaction.folding import folded
from domain.redaction.words import CODE, SECRET

_SHORT, _LONG = 64, 4096

_DIGITS = re.compile(r"[0-9](?:[ ()./+-]{0,3}[0-9]){3}")
# Seven digits close together that are no date, no fraction and no WO-2026-..., or the end of a
# PAN. It looks back from its first digit: a pattern that begins with one is found much faster.
_MANY_DIGITS = re.compile(
    r"[0-9](?<![0-9]{2})(?<![0-9]\.[0-9])(?!(?<=[a-z]-[12])[09][0-9]{2}-)"
    r"(?![0-9]{3}-[0-9]{2}-[0-9]{2}(?:[t ]|\b)|[0-9]{0,2}\.[0-9]{3,}(?![.0-9]))"
    r"(?:(?:[ ()./+-]{0,3}[0-9]){6}|[0-9]{3}[ -]?[a-z](?![a-z0-9]))"
)

# How keys begin that tell themselves what they are; the ends of words that others glue before.
_KEYS = (
    *("akia", "asia", "abia", "acca", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat"),
    *("glpat", "gldt", "glrt", "glptt", "glcbt", "glsoat", "glft", "xox", "xapp", "sk_", "rk_"),
    *("pk_", "sk-", "aiza", "ya29", "1//0", "sg.", "npm_", "pypi-", "dop_v1", "shpat", "shpca"),
    *("shppa", "shpss", "hf_", "glsa_", "lin_api", "hvs.", "hvb.", "dapi", "whsec", "eaa", "key-"),
    *("age-secret", "eyj", "sq0", "sshpass", "mysql", "mariadb", "basic", "login", "creds"),
    *("cred", "hooks.slack", "pass"),
)


def is_suspect(text: str) -> bool:
    """Say whether a text may hold something personal; if not, it surely holds nothing."""
    return _short(text) if len(text) <= _SHORT else _looks_so(text)


@lru_cache(maxsize=8192)
def _short(text: str) -> bool:
    return _looks_so(text)


def _looks_so(text: str) -> bool:
    is_ascii = text.isascii()
    low = text.lower() if is_ascii else folded(text)
    if _has_piece(low) or _has_sign(low):
        return True
    if _DIGITS.search(low) is not None and _MANY_DIGITS.search(low) is not None:
        return True
    if len(low) > _LONG:
        # Many texts in one: they repeat their words, and each is looked at once.
        low = " ".join(set(low.split()))
    return _NAMES.search(low) is not None or (not is_ascii and _FREE.search(low) is not None)


# Chains instead of loops over words: most texts pass here, and most of the time went there.


def _has_piece(low: str) -> bool:
    """Say whether a word is there that others are glued before, or the beginning of a key."""
    return (
        "passw" in low
        or "secret" in low
        or "token" in low
        or "apikey" in low
        or "kennw" in low
        or "wachtw" in low
        or "://" in low
        or "-----begin" in low
        or " -u" in low
        or "--user" in low
    )


def _has_sign(low: str) -> bool:
    """Say whether an address may be there, hidden or not."""
    return (
        "@" in low
        or "%40" in low
        or "(at" in low
        or "[at" in low
        or "{at" in low
        or " dot " in low
        or "arroba" in low
        or " punto " in low
        or " ponto " in low
        or " punkt " in low
    )


def _stems() -> Iterable[str]:
    for phrase in f"{SECRET},{CODE}".replace("\n", ",").split(","):
        parts = folded(phrase.strip()).removesuffix("*").split()
        if parts:
            # One word of each that is there whenever the whole is.
            yield next(
                (each for each in ("key", "code", "pin") if each in parts), max(parts, key=len)
            )


def _tree(stems: Iterable[str]) -> str:
    """Return a pattern that looks at each letter of several words once."""
    heads: dict[str, list[str]] = {}
    for stem in stems:
        heads.setdefault(stem[0], []).append(stem[1:])
    parts = []
    for head, tails in sorted(heads.items()):
        inner = "" if "" in tails else _tree(tails)
        parts.append(re.escape(head) + inner)
    return parts[0] if len(parts) == 1 else f"(?:{'|'.join(parts)})"


_ALL = {*_stems(), *_KEYS}
_NAMES = re.compile(rf"(?<![a-z])(?:{_tree(each for each in _ALL if each.isascii())})")
_FREE = re.compile(_tree(each for each in _ALL if not each.isascii()))
