"""Sensitive keys: tell from the key of a value what kind of personal data the value is."""

import re
from dataclasses import dataclass, replace
from functools import cache, lru_cache

from domain.redaction.folding import folded
from domain.redaction.words import (
    AADHAAR,
    CARD,
    CODE,
    EMAIL,
    FLAGGED,
    ID,
    NOT_A_PHONE,
    PAN,
    PHONE,
    SECRET,
    SSN,
    STATE,
    words,
)

LONGEST = 100
"""Characters of a key that are looked at; no field name is longer."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a key says about its value.

    Attributes:
        kind: `secret`, `phone`, `email`, `card`, `ssn`, `pan`, `aadhaar`; empty for none.
        always: The value is of this kind whatever it looks like: the key is a common name for it.
        is_id: The value identifies a thing: an order, a meter, a part.
        is_name: The value names another entry: `{"field": "phone", "old": ..., "new": ...}`.
        is_value: The value is such an entry, named by another one.
        is_word: The key is an identifier of a program, and holds no personal data itself.
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

_MORE_SECRETS = (
    "db pass, user pass, smtp pass, admin pass, root pass, ftp pass,"
    "imap pass, mail pass, wifi pass, login pass, db pw, pass, pin, pins, api secret"
)
_MORE_PHONES = "portable, hp, n portable, fono, kontaktnummer, contact, lead no"
# Compounds that end in such a word: userpassword, dbpassword, contactphone.
_COMPOUND = re.compile(
    r"[a-z]{2,}(?P<secret>password|passwd|passwort|passphrase|wachtwoord|secret|apikey|token"
    r"|kennwort)s?$|[a-z]{2,}(?P<email>email|emailid)$"
    r"|(?<![a-z])(?!micro|head|ear|mega|saxo|xylo|smart|auto|snow|dicta|gramo)[a-z]{2,}"
    r"(?P<phone>phone|phones|phoneno|phonenumber|mobile|mobileno|mobilenumber|telefon|telefono"
    r"|telefone|telefoon|handy|rufnummer|celular|whatsapp)$"
)
# The identifier of a thing that has to do with phones: mobileOrderNo, callTicket.
_THINGS = (
    "order*, ticket*, invoice*, bill*, receipt*, contract*, asset*, part, item*, batch*, account*"
)
# The key of an identifier, however sensitive its first word sounds: token_no.
_NUMBERED = re.compile(
    r"(?:^|_)(?:tokens?|pass|pins?|claves?|senhas?)_(?:.*_)?(?:no|nr|num|number)s?$"
)
# Short words with other meanings: pin_diameter, bearer_load.
_AMBIGUOUS = ("pass", "pin", "pins", "bearer")
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
    """Return what a key says about its value, in any spelling and language."""
    return _meaning(key) if len(key) <= LONGEST else _meaning(key[:LONGEST])


@lru_cache(maxsize=4096)
def _meaning(key: str) -> Meaning:
    name = _HUMPS.sub("_", key).lower()
    return replace(
        _meaning_of_words(key),
        is_name=name in _NAMES,
        is_value=name in _VALUES,
        is_word=_WORD.fullmatch(key) is not None,
    )


def _meaning_of_words(key: str) -> Meaning:
    name = _JOINTS.sub("_", folded(_HUMPS.sub("_", key))).strip("_")
    bare = re.sub(r"_\d+$", "", name)
    if bare in _ALWAYS:
        return Meaning(_ALWAYS[bare], always=True)
    is_id = words(ID).search(name) is not None
    for kind, pattern in _kinds().items():
        match = pattern.search(name)
        if match is not None and _keeps_meaning(kind, name, match.start(), match.end()):
            return Meaning(kind, is_id=is_id)
    compound = _COMPOUND.search(name)
    if compound is not None and not words(FLAGGED).search(name[: compound.start()]):
        return Meaning(str(compound.lastgroup))
    return Meaning(is_id=is_id)


@cache
def _kinds() -> dict[str, re.Pattern[str]]:
    return {
        "ssn": words(SSN),
        "aadhaar": words(AADHAAR),
        "card": words(CARD),
        "pan": words(PAN),
        "secret": words(SECRET, CODE, more=_MORE_SECRETS),
        "email": words(EMAIL),
        "phone": words(PHONE, more=_MORE_PHONES),
    }


def _keeps_meaning(kind: str, name: str, start: int, end: int) -> bool:
    """Say whether the rest of a key leaves a word its meaning: `token`, not `token_expires`."""
    if kind == "secret" and _ISSUED.search(name):
        return True
    if name[start:end] in _AMBIGUOUS and _AT_END.fullmatch(name, end) is None:
        return False
    if words(STATE).search(name, end) or words(FLAGGED).search(name[:start]):
        # The access key id of AWS (AKIA...) is issued with the secret, and masked like it.
        # And in Indian English an "email id" is an address.
        return name.endswith(("access_key_id", "secret_id", "email_id", "emailid", "mail_id"))
    if kind == "phone":
        is_thing = words(more=_THINGS).search(name, end) is not None
        return words(NOT_A_PHONE).search(name) is None and not is_thing
    if kind == "secret":
        return not (_NUMBERED.search(name) or _POSTAL.search(name))
    return kind != "email" or _NOT_MAIL.search(name) is None


def is_state(key: str) -> bool:
    """Say whether a key inside a sensitive one holds a state of it: its expiry, its type."""
    name = _JOINTS.sub("_", folded(_HUMPS.sub("_", key[:LONGEST])))
    return words(STATE).search(name) is not None or words(FLAGGED).match(name) is not None
