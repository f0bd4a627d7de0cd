"""Identity numbers: find cards, Aadhaar, PAN and SSN by their form and their check digits."""

import re
from collections.abc import Iterator

from stdnum import luhn
from stdnum.exceptions import ValidationError
from stdnum.in_ import aadhaar, pan
from stdnum.us import ssn

from domain.redaction.folding import Folded
from domain.redaction.harmless import blank_harmless, blank_spans
from domain.redaction.labels import is_identifier
from domain.redaction.phones import digits_of, phones_in
from domain.redaction.secret_forms import Span
from domain.redaction.words import AADHAAR, PAN, SSN, words

_NEAR = 60
"""So many characters before a number are searched for a word that names it."""

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
        plain: The text with everything that was recognized before blanked.
        label: What the key of the text says: `phone`, `id`, or an empty text.
    """
    spans: list[Span] = [*_cards(plain), *_identities(plain, text.low)]
    rest = blank_harmless(blank_spans(plain, spans))
    return spans + [(*place, "phone") for place in phones_in(rest, text.low, label)]


def is_card(value: str) -> bool:
    """Say whether digits are a card number: a known brand, its length, a valid check digit."""
    return _BRANDS.match(value) is not None and luhn.is_valid(value)


def is_pan(value: str) -> bool:
    """Say whether this is a permanent account number of India."""
    return bool(pan.is_valid(value.upper()))


def _cards(plain: str) -> Iterator[Span]:
    for match in _CARD.finditer(plain):
        digits = digits_of(match[0])
        if is_card(digits) and len(digits) >= _LEAST_OF_A_CARD:
            yield (*match.span(), "card")


def _identities(plain: str, low: str) -> Iterator[Span]:
    for match in _SSN.finditer(plain):
        is_likely = "-" in match[0] or _follows(_ssn_word(), low, match.start())
        if is_likely and _is_ssn(digits_of(match[0])):
            yield (*match.span(), "ssn")
    for match in _PAN.finditer(plain):
        value = match[0].replace(" ", "").replace("-", "")
        is_compact = value.isupper() and not match[1]
        is_likely = is_compact or _follows(words(PAN), low, match.start())
        if is_likely and is_pan(value):
            yield (*match.span(), "pan")
    for match in _AADHAAR.finditer(plain):
        if _is_aadhaar(match, low):
            yield (*match.span(), "aadhaar")


def _ssn_word() -> re.Pattern[str]:
    return words(SSN, more="ss#, tax id")


def _follows(word: re.Pattern[str], low: str, at: int) -> bool:
    return word.search(low, max(0, at - _NEAR), at) is not None


def _is_ssn(digits: str) -> bool:
    try:
        ssn.validate(f"{digits[:3]}-{digits[3:5]}-{digits[5:]}")
    except ValidationError:
        return False
    return True


def _is_aadhaar(match: re.Match[str], low: str) -> bool:
    digits = digits_of(match[0])
    if not aadhaar.is_valid(digits):
        return False
    if _follows(words(AADHAAR), low, match.start()) or match["sep"] is not None:
        return True
    if match[0] != digits or _STAMP.match(digits) or digits.startswith(("91", "00")):
        return False
    return not is_identifier(low, match.start())
