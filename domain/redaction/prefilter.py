"""Prefilter: decide quickly whether a text may hold personal data; most texts hold none."""

import re
from collections.abc import Iterable
from functools import cache, lru_cache

from domain.redaction.folding import folded
from domain.redaction.words import CODE, SECRET, terms

_SHORT, _LONG = 64, 4096

_DIGITS = re.compile(r"[0-9](?:[ ()./+-]{0,3}[0-9]){3}")
# Seven digits close together that are no date, no fraction and no WO-2026-..., or the end of a
# PAN. It looks back from its first digit: a search for a digit first is much faster.
_MANY_DIGITS = re.compile(
    r"[0-9](?<![0-9]{2})(?<![0-9]\.[0-9])(?!(?<=[a-z]-[12])[09][0-9]{2}-)"
    r"(?![0-9]{3}-[0-9]{2}-[0-9]{2}(?:[t ]|\b)|[0-9]{0,2}\.[0-9]{3,}(?![.0-9]))"
    r"(?:(?:[ ()./+-]{0,3}[0-9]){6}|[0-9]{3}[ -]?[a-z](?![a-z0-9]))"
)

# How the access keys of known services begin, and the ends of compound words.
_KEY_STEMS = (
    *("akia", "asia", "abia", "acca", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat"),
    *("glpat", "gldt", "glrt", "glptt", "glcbt", "glsoat", "glft", "xox", "xapp", "sk_", "rk_"),
    *("pk_", "sk-", "aiza", "ya29", "1//0", "sg.", "npm_", "pypi-", "dop_v1", "shpat", "shpca"),
    *("shppa", "shpss", "hf_", "glsa_", "lin_api", "hvs.", "hvb.", "dapi", "whsec", "eaa", "key-"),
    *("age-secret", "eyj", "sq0", "sshpass", "mysql", "mariadb", "basic", "login", "creds"),
    *("cred", "hooks.slack", "pass"),
)


def is_suspect(text: str) -> bool:
    """Say whether a text may hold personal data; if not, it certainly holds none."""
    return _is_short_suspect(text) if len(text) <= _SHORT else _has_clue(text)


@lru_cache(maxsize=8192)
def _is_short_suspect(text: str) -> bool:
    return _has_clue(text)


def _has_clue(text: str) -> bool:
    is_ascii = text.isascii()
    low = text.lower() if is_ascii else folded(text)
    if _has_piece(low) or _has_sign(low):
        return True
    if _DIGITS.search(low) is not None and _MANY_DIGITS.search(low) is not None:
        return True
    if len(low) > _LONG:
        # Many texts in one: they repeat their words, and each word is looked at once.
        low = " ".join(set(low.split()))
    return _ascii_stem().search(low) is not None or (
        not is_ascii and _other_stem().search(low) is not None
    )


# Chains of `in` instead of loops over words: every text passes here, and loops took most of the
# time.


def _has_piece(low: str) -> bool:
    """Say whether the text holds the end of a compound such as `dbpassword`, or starts a key."""
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
    """Say whether the text may hold an e-mail address, disguised or not."""
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
    """Yield one word of each phrase, which is in the text whenever the phrase is."""
    for phrase in terms(SECRET, CODE):
        parts = phrase.removesuffix("*").split()
        yield next(
            (common for common in ("key", "code", "pin") if common in parts), max(parts, key=len)
        )


@cache
def _ascii_stem() -> re.Pattern[str]:
    stems = {*_stems(), *_KEY_STEMS}
    return re.compile(rf"(?<![a-z])(?:{_tree(stem for stem in stems if stem.isascii())})")


@cache
def _other_stem() -> re.Pattern[str]:
    return re.compile(_tree(stem for stem in set(_stems()) if not stem.isascii()))


def _tree(stems: Iterable[str]) -> str:
    """Return a pattern of several words as a prefix tree: each letter is compared once."""
    heads: dict[str, list[str]] = {}
    for stem in stems:
        heads.setdefault(stem[0], []).append(stem[1:])
    parts = []
    for head, tails in sorted(heads.items()):
        inner = "" if "" in tails else _tree(tails)
        parts.append(re.escape(head) + inner)
    return parts[0] if len(parts) == 1 else f"(?:{'|'.join(parts)})"
