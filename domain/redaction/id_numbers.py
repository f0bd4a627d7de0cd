"""Cards, Aadhaar, PAN and social security numbers, told by their check digits and forms."""

import re
from collections.abc import Iterator

from stdnum import luhn
from stdnum.exceptions import ValidationError
from stdnum.in_ import aadhaar, pan
from stdnum.us import ssn

from domain.redaction.folding import Folded
from domain.redaction.harmless import blank_spans, blanked
from domain.redaction.labels import is_numbered
from domain.redaction.phones import digits_of, phones_in
from domain.redaction.secret_forms import Span
from domain.redaction.words import AADHAAR, PAN, SSN, words

_SSN_WORD, _PAN_WORD, _AADHAAR_WORD = words(f"{SSN}, ss#, tax id"), words(PAN), words(AADHAAR)
_NEAR = 60
_LEAST_OF_A_CARD = 14

_EDGE = r"(?<![A-Za-z0-9_])(?<![0-9][-.,/])"
_END = r"(?![A-Za-z0-9_]|[-/.,][0-9])"

_CARD = re.compile(
    _EDGE + r"(?:[2-69]\d{3}(?P<sep>[ .]|-| - )\d{4}(?P=sep)\d{4}(?P=sep)\d{4}(?:(?P=sep)\d{3})?"
    r"|3[47]\d\d(?P<s2>[ .-])\d{6}(?P=s2)\d{5}|3[0689]\d\d(?P<s3>[ .-])\d{6}(?P=s3)\d{4}"
    r"|[2-69]\d{12,18}|8[12]\d{14})(?![A-Za-z0-9_]|[-.,][0-9])"
)
_BRANDS = re.compile(
    r"4(?:\d{15}|\d{12}|\d{18})$|5[0-9]\d{14}$|2[2-7]\d{14}$|3[47]\d{13}$|3(?:0[0-59]|[689]\d)\d{11}$"
    r"|6[0-9]\d{14,17}$|35\d{14}$|9792\d{12}$|8[12]\d{14}$"
)
_SSN = re.compile(_EDGE + r"(?:\d{3}-\d\d-\d{4}|\d{3}(?P<sep>[ .])\d\d(?P=sep)\d{4}|\d{9})" + _END)
_PAN = re.compile(r"(?<![A-Za-z0-9_])[A-Za-z]{5}([ -]?)\d{4}\1[A-Za-z](?![A-Za-z0-9_])")
_AADHAAR = re.compile(
    _EDGE
    + r"[2-9]\d{3}(?P<sep>[ .]|-| - )\d{4}(?P=sep)\d{4}"
    + _END
    + "|"
    + _EDGE
    + r"[2-9]\d{11}"
    + _END
    + "|"
    + _EDGE
    + r"[2-9](?:[ .-]?\d){11}"
    + _END
)
_STAMP = re.compile(r"20\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])[0-5]\d$")


def numbers_in(text: Folded, plain: str, label: str = "") -> list[Span]:
    """Return the personal numbers of a folded text.

    Args:
        text: The text.
        plain: It without what is something else.
        label: What the key of the text says: `phone`, `id`, or nothing.
    """
    found: list[Span] = [*_cards(plain), *_identities(plain, text.low)]
    rest = blanked(blank_spans(plain, found))
    return found + [(*each, "phone") for each in phones_in(rest, text.low, label)]


def is_card(value: str) -> bool:
    """Say whether digits are a card's: a known brand, of its length, with its check digit."""
    return _BRANDS.match(value) is not None and luhn.is_valid(value)


def is_pan(value: str) -> bool:
    """Say whether this is a permanent account number of India."""
    return bool(pan.is_valid(value.upper()))


def _cards(plain: str) -> Iterator[Span]:
    for found in _CARD.finditer(plain):
        digits = digits_of(found[0])
        if is_card(digits) and len(digits) >= _LEAST_OF_A_CARD:
            yield (*found.span(), "card")


def _identities(plain: str, low: str) -> Iterator[Span]:
    for found in _SSN.finditer(plain):
        is_told = "-" in found[0] or _before(_SSN_WORD, low, found.start())
        if is_told and _is_ssn(digits_of(found[0])):
            yield (*found.span(), "ssn")
    for found in _PAN.finditer(plain):
        value = found[0].replace(" ", "").replace("-", "")
        is_told = (value.isupper() and not found[1]) or _before(_PAN_WORD, low, found.start())
        if is_told and is_pan(value):
            yield (*found.span(), "pan")
    for found in _AADHAAR.finditer(plain):
        if _is_aadhaar(found, low):
            yield (*found.span(), "aadhaar")


def _before(word: re.Pattern[str], low: str, at: int) -> bool:
    return word.search(low, max(0, at - _NEAR), at) is not None


def _is_ssn(digits: str) -> bool:
    try:
        ssn.validate(f"{digits[:3]}-{digits[3:5]}-{digits[5:]}")
    except ValidationError:
        return False
    return True


def _is_aadhaar(found: re.Match[str], low: str) -> bool:
    digits = digits_of(found[0])
    if not aadhaar.is_valid(digits):
        return False
    if _before(_AADHAAR_WORD, low, found.start()) or found["sep"] is not None:
        return True
    if found[0] != digits or _STAMP.match(digits) or digits.startswith(("91", "00")):
        return False
    return not is_numbered(low, found.start())
