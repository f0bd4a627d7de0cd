"""What the words beside a number say of it: a phone, perhaps one, or the number of a thing."""

import re

from domain.redaction.number_words import ID, NOT_A_PHONE, PHONE, PHONE_WEAK
from domain.redaction.words import pattern_of, words

_WINDOW = 60

_PHONE_WORD, _WEAK_WORD, _NOT = words(PHONE), words(PHONE_WEAK), words(NOT_A_PHONE)
_FILL = (
    r"(?:n[°º]|n|no|nos|nr|num|number|numbers|numero|nummer|numer|nomor|id|ids|code|ref|is|was|of"
    r"|ist|es|est|ka|ki|of the|es el|er|на|№|رقم|नंबर|नं|संख्या|番号|号|書|书|번호|เลขที่|c|so|br|бр|nº)"
)
# What is put together with a word for a number is numbered, unless it is somebody's phone.
_NUMBERED = (
    r"(?<![a-z])(?!tele|tel|handy|mobil|ruf|ruck|rueck|not|fax|durchwahl|servic|hotline|stor|konta"
    r"|priv|dienst|buro|buero|festnetz|natel|nood|vakt|jour|gsm|what|direkt|haupt|zentral|alarm"
    r"|bereit|hausm|mieter|monteur|techn|puhelin|kannyk|matkapuh|paivyst|yhteys|call|phone|cell|contact|svar|vaxel|mobile)"
    r"[a-z]{3,}(?:nummer|nummeret|nr|numero)(?![a-z])"
    r"|(?<![a-z])[a-z]+(?:vertrag|auftrag|rechnung|schein|bestellung|faktura|factuur|order|ordre"
    r"|bon)(?![a-z])|[\u4e00-\u9fff](?<![話帯先線絡者])番号|[가-힣](?<![화폰처대락])번호"
)
# Not what was requested or ordered: then somebody's number may follow.
_ID_BEFORE = re.compile(
    rf"(?:{pattern_of(ID)}(?<![a-z]ed)|{_NUMBERED})(?:[\W_]*{_FILL}(?![a-z]))*[\W_]*$"
)
_PHONE_AFTER = re.compile(
    r"\s*[(\[,-]?\s*(?:is |hai |= ?)?(?:my |his |her |the |a |our |son |sa |mein |meine )?"
    + pattern_of(PHONE)
)
# In small letters it is "number" in Vietnamese.
_SALES_ORDER = re.compile(r"\bSO[\W_]*$")
_BREAK = re.compile(r"[;!?\n\x01]|(?<=[^\W\d_]{5})\.\s|,\s*(?=[^\W\d_])|\d")
_HAN = re.compile("[\u4e00-\u9fff]")


def is_numbered(low: str, at: int) -> bool:
    """Say whether the words before a number say that it numbers a thing: an order, a meter."""
    return _ID_BEFORE.search(low, max(0, at - _WINDOW), at) is not None


def label_of(low: str, plain: str, start: int, end: int) -> str:
    """Return what the words beside a number say: `phone`, `weak`, `id` or nothing."""
    begin = max(0, start - _WINDOW)
    for each in _BREAK.finditer(plain, begin, start):
        begin = each.end()
    window = low[begin:start]
    if window.endswith("#"):
        return "phone" if _PHONE_WORD.search(window) else "id"
    if _ID_BEFORE.search(window) or _SALES_ORDER.search(plain, begin, start):
        return "id"
    window = _NOT.sub("", window)
    if _PHONE_WORD.search(window):
        return "phone"
    if _PHONE_AFTER.match(low, end):
        return "phone"
    is_weak = _WEAK_WORD.search(window) or _HAN.search(plain, max(0, start - 6), end + 6)
    return "weak" if is_weak else ""
