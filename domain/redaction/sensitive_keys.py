"""What the key of a value says about it: a password, a phone number, or nothing that matters."""

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from domain.redaction.folding import folded
from domain.redaction.number_words import ID, NOT_A_PHONE, PHONE
from domain.redaction.words import (
    AADHAAR,
    CARD,
    CODE,
    EMAIL,
    FLAGGED,
    PAN,
    SECRET,
    SSN,
    STATE,
    words,
)

LONGEST = 100
"""Characters of a key that are looked at; nobody names a field in more."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a key says.

    Attributes:
        kind: `secret`, `phone`, `email`, `card`, `ssn`, `pan`, `aadhaar`; empty for none.
        always: Whatever the value is, it is that: the key is one of those that everybody uses.
        is_id: The value numbers something: an order, a meter, a part.
        is_name: The value names another entry: `{"field": "phone", "old": ..., "new": ...}`.
        is_value: It is such another entry.
        is_word: The key is a word of a program, and holds nothing itself.
    """

    kind: str = ""
    always: bool = False
    is_id: bool = False
    is_name: bool = False
    is_value: bool = False
    is_word: bool = True


_ALWAYS = {
    **dict.fromkeys(
        (
            *("password", "passwords", "passwd", "pwd", "passphrase", "passcode", "secret"),
            *("secrets", "token", "api_key", "apikey", "api_keys", "authorization", "cookie"),
            *("cookies", "set_cookie", "cvv", "cvv2", "cvc", "client_secret", "access_token"),
            *("refresh_token", "auth_token", "id_token", "proxy_authorization", "private_key"),
            *("secret_key", "access_key"),
        ),
        "secret",
    ),
    **dict.fromkeys(("ssn", "social_security_number"), "ssn"),
    "pan": "pan",
    "pan_number": "pan",
    **dict.fromkeys(("aadhaar", "aadhar", "aadhaar_number", "aadhar_number"), "aadhaar"),
    **dict.fromkeys(("credit_card", "card_number", "creditcard", "cardnumber"), "card"),
    **dict.fromkeys(
        (
            *("mobno", "mobile", "phone", "phone_number", "mobile_number", "telephone"),
            *("mobile_no", "phone_no", "phonenumber", "mobilenumber"),
        ),
        "phone",
    ),
    **dict.fromkeys(("email", "email_address", "e_mail"), "email"),
}

_KINDS = {
    "ssn": words(SSN),
    "aadhaar": words(AADHAAR),
    "card": words(CARD),
    "pan": words(PAN),
    "secret": words(
        f"{SECRET}, {CODE}, db pass, user pass, smtp pass, admin pass, root pass, ftp pass,"
        "imap pass, mail pass, wifi pass, login pass, db pw, pass, pin, pins, api secret"
    ),
    "email": words(EMAIL),
    "phone": words(f"{PHONE}, portable, hp, n portable, fono, kontaktnummer, contact, lead no"),
}
# Words that others are glued behind: userpassword, dbpassword, contactphone.
_GLUED = re.compile(
    r"[a-z]{2,}(?P<secret>password|passwd|passwort|passphrase|wachtwoord|secret|apikey|token"
    r"|kennwort)s?$|[a-z]{2,}(?P<email>email|emailid)$"
    r"|(?<![a-z])(?!micro|head|ear|mega|saxo|xylo|smart|auto|snow|dicta|gramo)[a-z]{2,}"
    r"(?P<phone>phone|phones|phoneno|phonenumber|mobile|mobileno|mobilenumber|telefon|telefono"
    r"|telefone|telefoon|handy|rufnummer|celular|whatsapp)$"
)
_STATE, _FLAGGED, _ID = words(STATE), words(FLAGGED), words(ID)
_NOT_A_PHONE = words(NOT_A_PHONE)
# A number of something that has to do with phones: mobileOrderNo, callTicket.
_THING = words(
    "order*, ticket*, invoice*, bill*, receipt*, contract*, asset*, part, item*, batch*, account*"
)
# What a key of numbers may end in, however sensitive its first word sounds.
_NUMBERED = re.compile(
    r"(?:^|_)(?:tokens?|pass|pins?|claves?|senhas?)_(?:.*_)?(?:no|nr|num|number)s?$"
)
# Short words with other meanings: a pin has a diameter, and a bearer a load.
_SHORT = ("pass", "pin", "pins", "bearer")
_AT_END = re.compile(r"(?:_(?:code|token|value|plain|old|new|current|text|digits|key|\d+))*")
_ISSUED = re.compile(r"(?:^|_)(?:reset|verification|verify|request|invite)_token$")
_POSTAL = re.compile(r"(?:^|_)pin_?(?:code|codes)(?:_|$)|(?:^|_)pins_")
_NOT_MAIL = re.compile(r"(?:^|_)(?:mail_?room|mail_?box|mailing|post_?box)(?:_|$)")

_WORD = re.compile(r"\w*", re.ASCII)
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[a-z]{3})(?=\d+$)")
_JOINTS = re.compile(r"[\s_\-./:;,()\[\]\"'#]+")


_NAMES = frozenset(
    [
        "field",
        "name",
        "key",
        "attribute",
        "attr",
        "column",
        "param",
        "parameter",
        "header",
        "property",
        "type",
        "label",
        "id_type",
        "campo",
        "feld",
        "champ",
        "nombre",
        "clave",
        "document_type",
        "doc_type",
        "doctype",
    ]
)
_VALUES = frozenset(
    [
        "value",
        "values",
        "old",
        "new",
        "before",
        "after",
        "from",
        "to",
        "old_value",
        "new_value",
        "current",
        "previous",
        "data",
        "content",
        "number",
        "id_number",
        "doc_number",
        "document_number",
        "text",
        "val",
        "valor",
        "wert",
        "valeur",
    ]
)


def meaning_of(key: str) -> Meaning:
    """Return what a key says, in whatever way and language it is written."""
    return _meaning(key) if len(key) <= LONGEST else _meaning(key[:LONGEST])


@lru_cache(maxsize=4096)
def _meaning(key: str) -> Meaning:
    told = _told(key)
    name = _HUMPS.sub("_", key).lower()
    return replace(
        told,
        is_name=name in _NAMES,
        is_value=name in _VALUES,
        is_word=_WORD.fullmatch(key) is not None,
    )


def _told(key: str) -> Meaning:
    name = _JOINTS.sub("_", folded(_HUMPS.sub("_", key))).strip("_")
    bare = re.sub(r"_\d+$", "", name)
    if bare in _ALWAYS:
        return Meaning(_ALWAYS[bare], always=True)
    is_id = _ID.search(name) is not None
    for kind, pattern in _KINDS.items():
        found = pattern.search(name)
        if found is not None and _holds(kind, name, found.start(), found.end()):
            return Meaning(kind, is_id=is_id)
    glued = _GLUED.search(name)
    if glued is not None and not _FLAGGED.search(name[: glued.start()]):
        return Meaning(str(glued.lastgroup))
    return Meaning(is_id=is_id)


def _holds(kind: str, name: str, start: int, end: int) -> bool:
    """Say whether what follows leaves the word its meaning: a token, not when it expires."""
    if kind == "secret" and _ISSUED.search(name):
        return True
    if name[start:end] in _SHORT and _AT_END.fullmatch(name, end) is None:
        return False
    if _STATE.search(name, end) or _FLAGGED.search(name[:start]):
        # AKIA...: what AWS calls an id is handed out beside the secret, and hidden like it.
        # And an email id is an address, wherever English is spoken in India.
        return name.endswith(("access_key_id", "secret_id", "email_id", "emailid", "mail_id"))
    if kind == "phone":
        return _NOT_A_PHONE.search(name) is None and _THING.search(name, end) is None
    if kind == "secret":
        return not (_NUMBERED.search(name) or _POSTAL.search(name))
    return kind != "email" or _NOT_MAIL.search(name) is None


def is_state(key: str) -> bool:
    """Say whether a key below a sensitive one holds a state of it: when it expires, its type."""
    name = _JOINTS.sub("_", folded(_HUMPS.sub("_", key[:LONGEST])))
    return _STATE.search(name) is not None or _FLAGGED.match(name) is not None
