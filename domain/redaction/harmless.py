"""Harmless numbers: blank out dates, amounts, network addresses and identifiers before searching.

What is blanked here can't be mistaken for a phone number or another number of a person.
"""

import re
from collections.abc import Iterable
from functools import cache

from domain.redaction.secret_forms import Span
from domain.redaction.words import ID, PHONE, pattern_of, words

FILLER = "\x01"
"""What a blanked character becomes: it ends a number and a label, and is part of neither."""

_YEAR = r"(?:19|20)\d\d"
_MONTH, _DAY = r"(?:0?[1-9]|1[0-2])", r"(?:0?[1-9]|[12]\d|3[01])"
_TIME = r"[T ]{1,2}\d{1,2}:\d\d(?::\d\d)?(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"
_DATE = rf"(?:{_DAY}[-/.]{_MONTH}[-/.]{_YEAR}|{_YEAR}[-/.]{_MONTH}[-/.]{_DAY})"
_PARTS = (
    rf"(?<!\d){_DATE} ?[-/] ?{_DATE}(?!\d)",
    r"https?://(?!wa\.me|api\.whatsapp)[^\s\x01]+",
    r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Fa-f])",
    rf"(?<![\d./-]){_YEAR}(?P<j1>[-/.]){_MONTH}(?P=j1){_DAY}(?!\d)(?:{_TIME})?",
    rf"(?<![\d./-])(?:{_DAY}(?P<j2>[-/.]){_MONTH}|{_MONTH}(?P<j3>[-/.]){_DAY})(?:(?P=j2)|(?P=j3)){_YEAR}"
    rf"(?![\d]|[-/.]\d)(?:{_TIME})?",
    r"(?<![\d+])(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[T_.-]?\d{1,6})?(?![\d])",
    rf"(?<![\d./+-]){_YEAR} ?[-/] ?{_YEAR}(?![\d]|[-/.]\d)",
    r"(?<![\d:])\d{1,2}(?:[:h]\d\d){1,2}(?:[.,]\d{1,6})?(?![\d:])",
    r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?::\d{1,5}|/\d{1,2})?(?![\d]|\.\d)",
    r"(?<![0-9A-Fa-f:])(?:[0-9A-Fa-f]{2}:){3,}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:])",
    r"(?<![\d,])\d{1,3}(?:,\d{2,3})+(?:\.\d+)?(?![\d,])",
    r"(?<![\d.,])\d{1,3}(?:[. ']\d{3}){0,6},\d{1,3}(?!\d)",
    r"(?<![\d.])(?!0\d)\d{1,7}\.\d{1,9}(?![\d.]|[ -]\d{2})",
    r"(?:[$€£¥₹₦₺₩฿₽₱₫₪]|(?<![A-Za-z])(?:Rs|INR|USD|EUR|GBP|KES|NGN|AED|SAR|QAR|OMR|CHF|MXN|BRL|R|S/))"
    r"\.? ?\d[\d.,' ]*",
    r"#\d{1,9}(?!\d)",
    r"(?<![A-Za-z])[NSEW] ?\d{1,3}[° ] ?\d{1,2}(?:\.\d+|['′ ]{1,2}\d{1,2}(?:\.\d+)?)",
)
_HARMLESS = re.compile("|".join(f"(?:{part})" for part in _PARTS))

# Letters and digits in one: WO-2026-0001234, HS-2201, E280116060000209A1B2C3D4.
_IDENTIFIER = re.compile(r"(?<![A-Za-z0-9_])[A-Za-z0-9_]++(?:[-/#.][A-Za-z0-9_]++)*+")
_CARRIER = re.compile(r"(?<![a-zA-Z0-9])0[xX][xX](?=\d\d)")
_AREA = re.compile(
    r"(?<![\dA-Za-z])(0\d{1,4}|(?:\+|00)\d{1,3}[ (]{1,2}\(?\d{1,5}\)?) / "
    r"(?=[1-9](?:[ -]?\d){4,8}(?!\d))"
)
_PERSON_PREFIX = re.compile(r"[A-Za-z][a-z]{2,20}[-/.](?=\d)")
_SUFFIX = re.compile(r"(?<=\d{4})(?:[xX]\d{1,6}|ext\.?\d{1,6}|[-/.][A-Z]?[a-z]{3,20})$")


@cache
def _phone_prefix() -> re.Pattern[str]:
    return re.compile(
        rf"(?:{pattern_of(PHONE)}|no|m|p|t|c|h|r|o|h/p)"
        r"(?:[-/.#]?(?:no|nr|num))?[-/.#]?(?=0?\d)|wa\.me/",
        re.I,
    )


def blank_harmless(plain: str) -> str:
    """Return a folded text, as long as before, with its harmless numbers blanked."""
    plain = _AREA.sub(r"\1 - ", _CARRIER.sub("0  ", plain))
    return _IDENTIFIER.sub(_blank_identifier, _HARMLESS.sub(_blank, plain))


def blank_spans(plain: str, spans: Iterable[Span]) -> str:
    """Return a folded text, as long as before, with some spans of it blanked."""
    parts, at = [], 0
    for start, end, _ in sorted(spans):
        if start >= at:
            parts += [plain[at:start], FILLER * (end - start)]
        elif end > at:
            parts.append(FILLER * (end - at))
        at = max(at, end)
    return "".join([*parts, plain[at:]])


def _blank(match: re.Match[str]) -> str:
    return FILLER * len(match[0])


def _blank_identifier(match: re.Match[str]) -> str:
    name = match[0]
    if name.isalpha() or name.isdigit():
        return name
    kept = _SUFFIX.sub("", name)
    label = _phone_prefix().match(kept) or _PERSON_PREFIX.match(kept)
    if label is not None and words(ID).search(label[0].lower()):
        label = None
    number = kept[label.end() :] if label else kept
    if not number[-1].isdigit() or any(char.isalpha() or char == "_" for char in number):
        has_digit = any(char.isdigit() for char in name)
        return FILLER * len(name) if has_digit else name
    # A label or a person's name joined to a number: ph-98450, Mob9820412357, Lata/9820412357.
    return f"{' ' * (len(kept) - len(number))}{number}{FILLER * (len(name) - len(kept))}"
