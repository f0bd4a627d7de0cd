"""Secrets: find passwords, codes and tokens in free text, by the words before them or by form."""

import re
from collections.abc import Iterator
from functools import cache

from domain.redaction.folding import Folded
from domain.redaction.secret_forms import Span, forms_in
from domain.redaction.sensitive_keys import meaning_of
from domain.redaction.words import CODE, PROSE, SECRET, pattern_of, terms

_PAIR = re.compile(
    r"(?:credentials?|creds?|user(?:name)?(?:/| and )pass(?:word)?|login(?: id)?/pass(?:word)?"
    r"|id/pass(?:word)?|login|logins)(?: (?:is|are|for [a-z]{2,20}))?\s?[:=]?\s"
    r"[\w.@-]{2,64} ?/ ?([^\s/,;]{4,128})"
)

_JOINED = re.compile(r"[a-z0-9_.-]")
_NAME_TAIL = re.compile(r"[\w-]{0,64}(?:\.[a-z_]\w{0,32})?")
_SCHEME = re.compile(
    r"(?:bearer|basic|token|digest|apikey|api-key|negotiate|hmac|aws4-hmac-sha256)[ :]+", re.I
)
# Signs between the word and its value.
_SIGN = re.compile(r"\s{0,3}[\"'`\])>]{0,3}\\?\"?\s{0,3}(?:=>|:=|->|==?|:|>)\s{0,5}")
_PHRASE = re.compile(
    r"(?:\s{1,2}[^\W\d_]{1,16}\.?|\s?\([^()\n:=]{1,30}\)){1,4}\s{0,2}(?:=>|:=|->|=|:)\s{0,3}"
)
_COPULA = re.compile(
    r"(?:\s+[^\W\d_]{1,12}){0,2}?\s*(?:\b(?:is|was|are|now|to|as|ist|war|lautet|lauten|est|sera"
    r"|es|era|e|eh|fue|is:|er|ar|är|to|je|jest|on|hai|tha|adalah|ialah|zijn|var|este|eno|ni)\b"
    r"(?:\s+(?:now|still|currently|set to|changed to|jetzt|neu|maintenant|ahora|agora|adesso"
    r"|teraz|simdi)\b)?"
    r"|は|が|是|为|為|은|는|이|가|है|था|هي|هو|คือ|—|-{1,2}|–|-)[\s:]{1,3}|\s{1,2}"
    r"|(?<=[^\x00-\x7f])(?:は|が|是|为|為|은|는)?"
)
# Its purpose, and then the value without any sign: that has to look like a secret itself.
_PURPOSE = re.compile(
    r"(?:\s+(?:for|of|to|from|on|fur|vom|zum|pour|du|de|del|de la|do|da|para|per|voor|van|od|do|от"
    r"|для|icin))?"
    r"(?:\s+[^\W\d_]{2,16}){1,3}?(?:\s+(?:is|ist|est|es|e|jest))?\s+(?=[^\s]*\d)"
)
_QUOTED = re.compile(r"\\?([\"'`])([^\"'`\n]{1,1024}?)\\?\1")
_VALUE = re.compile(r"[^\s,;\x00\u0600-\u060c\u3001\u3002\u300c\u300d]{1,16384}")
_NOT_ASCII_RUN = re.compile("[\u0e00-\u0eff\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_NEXT_PAIR = re.compile(r"&[\w.-]{1,40}=|<|[|]")

_POSTAL_PIN_DIGITS = 6

_ARTICLES = frozenset(
    terms(more="for, of, the, a, an, in, on, at, to, new, old, same, our, my, his, her")
)
# The least length of a value, from the clearest context to the one that says least.
_LEAST, _LEAST_LABELLED, _LEAST_LOOSE, _LEAST_TOKEN, _LEAST_TICKET = 3, 4, 5, 8, 10


@cache
def _word() -> re.Pattern[str]:
    return re.compile(
        pattern_of(SECRET, more="pass")
        + r"|(?:password|passwd|passwort|kennwort|wachtwoord|secret|apikey|token)s?(?![a-z])"
    )


@cache
def _code() -> re.Pattern[str]:
    return re.compile(
        pattern_of(CODE) + r"[\"'\])]{0,2}\s{0,2}"
        r"(?:(?:(?:no|number|nr|code|kod|is|was|ist|lautet|est|es|e|hai)(?![a-z-])"
        r"|-\s|->|[:=#/]|は|是|为)\s{0,2}){0,3}[\"']?(?<![\d.])"
        r"(\d{3,8}(?:[a-z](?![a-z0-9]))?|\d{1,3}[a-z]\d{1,4})"
        r"(?![\d:/%-]|[.,]\d|\s?[°%]|\s\d)(?![a-z_])"
    )


@cache
def _prose() -> frozenset[str]:
    return frozenset(terms(PROSE))


def secrets_in(text: Folded) -> Iterator[Span]:
    """Yield the span of every secret of a folded text; spans may overlap."""
    yield from forms_in(text)
    for match in _code().finditer(text.low):
        if _is_code(match):
            yield (*match.span(1), "secret")
    for match in _PAIR.finditer(text.low):
        if _is_strong(text.plain[slice(*match.span(1))], _LEAST_LABELLED):
            yield (*match.span(1), "secret")
    yield from _labelled_secrets(text)


def _is_code(match: re.Match[str]) -> bool:
    # A PIN of six digits is a postal code in India.
    return not (match[0].startswith(("pin", "पिन")) and len(match[1]) == _POSTAL_PIN_DIGITS)


def _labelled_secrets(text: Folded) -> Iterator[Span]:
    """Yield the values behind words such as `password`."""
    plain, low = text.plain, text.low
    at = 0
    while (match := _word().search(low, at)) is not None:
        begin, end = _whole_name(low, match.start(), match.end())
        at = max(end, match.end())
        name = plain[begin:end]
        if meaning_of(name).kind != "secret":
            continue
        if low[match.start() : end].startswith(("cookie", "set-cookie")):
            yield from _cookies(plain, low, end)
            continue
        value = _value_after(plain, low, match[0], end)
        if value is not None:
            yield (*value, "secret")
            at = max(at, value[1])


def _whole_name(low: str, start: int, end: int) -> tuple[int, int]:
    begin = start
    while low[start].isascii() and begin > max(0, start - 64) and _JOINED.match(low, begin - 1):
        begin -= 1
    after = _NAME_TAIL.match(low, end) if low[end - 1 : end].isascii() else None
    # What continues in another script is a particle, not a part of the name.
    tail = after.end() if after is not None and low[end : after.end()].isascii() else end
    while begin < start and low[begin] in ".-":
        begin += 1
    return begin, tail


def _cookies(plain: str, low: str, at: int) -> Iterator[Span]:
    sign = re.compile(r"[\"']?\s{0,2}[:=]\s{0,3}[\"']?").match(low, at)
    if sign is None:
        return
    pair = re.compile(r"\s{0,3}([\w.$!-]{1,64})=([^;,\s\"']{1,4096});?")
    kept = ("path", "domain", "expires", "max-age", "samesite", "secure", "httponly", "version")
    at, first = sign.end(), True
    while (match := pair.match(plain, at)) is not None:
        if match[1].lower() not in kept:
            yield (*match.span(2), "secret")
        at, first = match.end(), False
    value = _VALUE.match(plain, at)
    if first and value is not None and _is_strong(value[0], _LEAST_TOKEN):
        yield (*value.span(), "secret")


def _value_after(plain: str, low: str, word: str, end: int) -> tuple[int, int] | None:
    sign = _SIGN.match(low, end)
    if sign is not None:
        return _take(plain, low, sign.end(), word, sure="=" in sign[0] or '"' in sign[0])
    for search in (_behind_phrase, _behind_purpose, _behind_copula):
        span = search(plain, low, word, end)
        if span is not None:
            return span
    return None


def _behind_phrase(plain: str, low: str, word: str, end: int) -> tuple[int, int] | None:
    """Return the span of the value behind `password for the gate:`."""
    phrase = _PHRASE.match(low, end)
    span = phrase and _take(plain, low, phrase.end(), word, sure=False)
    if not phrase or not span:
        return None
    value = plain[slice(*span)]
    is_state = _is_about_state(low[end : phrase.end()])
    is_likely = not is_state and _is_strong(value, _LEAST_LABELLED)
    return span if _is_surely_secret(value) or is_likely else None


def _behind_purpose(plain: str, low: str, word: str, end: int) -> tuple[int, int] | None:
    """Return the span of the value behind `password for the gate`, without a sign."""
    purpose = _PURPOSE.match(low, end)
    if purpose is None or _is_about_state(low[end : purpose.end()]):
        return None
    span = _take(plain, low, purpose.end(), word, sure=False)
    return span if span is not None and _is_surely_secret(plain[slice(*span)]) else None


def _behind_copula(plain: str, low: str, word: str, end: int) -> tuple[int, int] | None:
    """Return the span of the value behind `password is`, or directly behind the word."""
    copula = _COPULA.match(low, end)
    span = copula and _take(plain, low, copula.end(), word, sure=False)
    if not span:
        return None
    value = plain[slice(*span)]
    if word == "pass":
        return span if _is_surely_secret(value) else None
    # The tokens of a waiting queue are numbered, and here they are more frequent than secrets.
    least = (
        _LEAST_TICKET if word.startswith(("token", "jeton", "senha", "bearer")) else _LEAST_LOOSE
    )
    is_quoted = plain[span[0] - 1] in "\"'`"
    return span if is_quoted or _is_strong(value, least) else None


def _is_about_state(between: str) -> bool:
    names = re.findall(r"[^\W\d_]+", between)
    return any(name in _prose() for name in names if name not in _ARTICLES)


def _take(plain: str, low: str, at: int, word: str, *, sure: bool) -> tuple[int, int] | None:
    scheme = _SCHEME.match(low, at)
    if scheme is not None:
        at, sure = scheme.end(), sure or "authorization" in word
    quoted = _QUOTED.match(plain, at)
    if quoted is not None:
        return quoted.span(2)
    match = _VALUE.match(plain, at)
    if match is None:
        return None
    start, value = match.start(), _trimmed(match[0])
    if not _may_be(value, word, sure=sure):
        return None
    return start, start + len(value)


def _trimmed(value: str) -> str:
    if value[0].isascii() and (other := _NOT_ASCII_RUN.search(value)) is not None:
        value = value[: other.start()]
    if (following := _NEXT_PAIR.search(value)) is not None and following.start():
        value = value[: following.start()]
    value = value.rstrip(".:\"'`\\}]")
    return value[:-1] if value.endswith(")") and "(" not in value else value


def _may_be(value: str, word: str, *, sure: bool) -> bool:
    if not value or value.lower() in _prose() or value.startswith(("[", "<", "${", "{{", "*")):
        return False
    if word.startswith(("token", "jeton", "clave", "pass", "authorization")) and not sure:
        # These words also name numbered things: the token of a queue, a gate pass, a catalogue's
        # clave.
        has_letter = any(char.isalpha() for char in value)
        return len(value) >= _LEAST_LOOSE + 1 and (has_letter or len(value) >= _LEAST_TOKEN)
    return len(value) >= _LEAST


def _is_surely_secret(value: str) -> bool:
    """Say whether a value can hardly be anything but a password."""
    if not _is_strong(value, _LEAST_TOKEN):
        return False
    has_both = not value.isupper() and not value.islower()
    return any(char in "#@!$_*&%^" for char in value) or (has_both and value[1:].isalnum())


def _is_strong(value: str, least: int) -> bool:
    """Say whether a value is no plain word: it has letters, and digits, signs or mixed case."""
    body = value.strip(".,:;!?)(")
    if len(body) < least or "://" in body:
        return False
    has_digit = any(char.isdigit() for char in body)
    has_letter = any(char.isalpha() for char in body)
    has_sign = any(not char.isalnum() and char not in "-'.’/()" for char in body)
    has_hump = any(char.isupper() for char in body[1:]) and any(char.islower() for char in body)
    return has_letter and (has_digit or has_sign or has_hump)
