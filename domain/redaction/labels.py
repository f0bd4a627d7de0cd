"""Labels: decide from the words beside a number whether it is a phone number or an identifier."""

import re
from functools import cache

from domain.redaction.words import ID, NOT_A_PHONE, PHONE, PHONE_WEAK, pattern_of, words

_CONTEXT = 60
"""So many characters before a number are looked at."""

_FILLER_WORDS = (
    r"(?:n[°º]|n|no|nos|nr|num|number|numbers|numero|nummer|numer|nomor|id|ids|code|ref|is|was|of"
    r"|ist|es|est|ka|ki|of the|es el|er|на|№|رقم|नंबर|नं|संख्या|番号|号|書|书|번호|เลขที่|c|so|br|бр|nº)"
)
# A compound that ends in a word for a number is an identifier, unless it begins with a phone's.
_NUMBER_COMPOUND = (
    r"(?<![a-z])(?!tele|tel|handy|mobil|ruf|ruck|rueck|not|fax|durchwahl|servic|hotline|stor|konta"
    r"|priv|dienst|buro|buero|festnetz|natel|nood|vakt|jour|gsm|what|direkt|haupt|zentral|alarm"
    r"|bereit|hausm|mieter|monteur|techn|puhelin|kannyk|matkapuh|paivyst|yhteys|call|phone|cell|contact|svar|vaxel|mobile)"
    r"[a-z]{3,}(?:nummer|nummeret|nr|numero)(?![a-z])"
    r"|(?<![a-z])[a-z]+(?:vertrag|auftrag|rechnung|schein|bestellung|faktura|factuur|order|ordre"
    r"|bon)(?![a-z])|[\u4e00-\u9fff](?<![話帯先線絡者])番号|[가-힣](?<![화폰처대락])번호"
)
# In small letters it is "number" in Vietnamese.
_SALES_ORDER = re.compile(r"\bSO[\W_]*$")
_BREAK = re.compile(r"[;!?\n\x01]|(?<=[^\W\d_]{5})\.\s|,\s*(?=[^\W\d_])|\d")
_HAN = re.compile("[\u4e00-\u9fff]")


@cache
def _id_before() -> re.Pattern[str]:
    # Not "requested" or "ordered": a person's number may follow these.
    return re.compile(
        rf"(?:{pattern_of(ID)}(?<![a-z]ed)|{_NUMBER_COMPOUND})"
        rf"(?:[\W_]*{_FILLER_WORDS}(?![a-z]))*[\W_]*$"
    )


@cache
def _phone_after() -> re.Pattern[str]:
    return re.compile(
        r"\s*[(\[,-]?\s*(?:is |hai |= ?)?(?:my |his |her |the |a |our |son |sa |mein |meine )?"
        + pattern_of(PHONE)
    )


def is_identifier(low: str, at: int) -> bool:
    """Say whether the words before a number make it the identifier of an order, a meter, etc."""
    return _id_before().search(low, max(0, at - _CONTEXT), at) is not None


def label_of(low: str, plain: str, start: int, end: int) -> str:
    """Return what the words beside a number say: `phone`, `weak`, `id` or an empty text.

    `weak` means that it may be a phone number, if its digits are grouped like one.
    """
    begin = max(0, start - _CONTEXT)
    for pause in _BREAK.finditer(plain, begin, start):
        begin = pause.end()
    before = low[begin:start]
    if before.endswith("#"):
        return "phone" if words(PHONE).search(before) else "id"
    if _id_before().search(before) or _SALES_ORDER.search(plain, begin, start):
        return "id"
    before = words(NOT_A_PHONE).sub("", before)
    if words(PHONE).search(before):
        return "phone"
    if _phone_after().match(low, end):
        return "phone"
    is_weak = words(PHONE_WEAK).search(before) or _HAN.search(plain, max(0, start - 6), end + 6)
    return "weak" if is_weak else ""
