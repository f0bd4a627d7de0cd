"""Personal data made unreadable before it is stored: by the key that holds it, and by its form.

A mask such as `[email]` tells what was there and nothing of it. Masking what is masked changes
nothing; whatever can't be told to be personal stays as it is.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from domain.redaction.addresses import addresses_in
from domain.redaction.folding import fold
from domain.redaction.harmless import blank_spans
from domain.redaction.id_numbers import is_card, is_pan, numbers_in
from domain.redaction.masks import MASK
from domain.redaction.prefilter import is_suspect
from domain.redaction.secret_forms import Span
from domain.redaction.secrets import secrets_in
from domain.redaction.sensitive_keys import Meaning, is_state, meaning_of

_NOTHING = Meaning()
_HOLDERS = (dict, list, tuple, set, frozenset, Mapping)

_LEAST_DIGITS = {"phone": 6, "card": 12, "ssn": 9, "aadhaar": 12}


def redact(value: Any) -> Any:
    """Return a value as JSON holds it with masks in the place of personal data.

    Mappings and sequences of any depth come back as new dicts and lists; what holds nothing
    personal comes back as it is.
    """
    if not isinstance(value, _HOLDERS):
        return _scalar(value, _NOTHING)
    made = _empty(value)
    # A list of what is left to do: a document may be deeper than Python's own stack.
    waiting = [(value, made, _NOTHING)]
    while waiting:
        given, target, meaning = waiting.pop()
        entries = (
            _entries(given, meaning) if isinstance(given, Mapping) else _members(given, meaning)
        )
        for place, each, told in entries:
            shown = _key(place, target) if isinstance(given, Mapping) else place
            if isinstance(each, _HOLDERS):
                target[shown] = inner = _empty(each)
                waiting.append((each, inner, told))
            else:
                target[shown] = _scalar(each, told)
    return made


def redact_text(text: str) -> str:
    """Return a free text with masks in the place of personal data."""
    return _text(text, "") if is_suspect(text) else text


def _empty(given: Any) -> Any:
    return {} if isinstance(given, Mapping) else [None] * len(given)


def _members(given: Iterable[Any], above: Meaning) -> Iterator[tuple[Any, Any, Meaning]]:
    return ((place, each, above) for place, each in enumerate(given))


def _entries(given: Mapping[Any, Any], above: Meaning) -> Iterator[tuple[Any, Any, Meaning]]:
    beside = _NOTHING
    for key, value in given.items():
        if isinstance(key, str) and isinstance(value, str) and meaning_of(key).is_name:
            beside = meaning_of(value)
            if beside.kind:
                break
    for key, value in given.items():
        meaning = meaning_of(key) if isinstance(key, str) else _NOTHING
        if not meaning.kind:
            if beside.kind and meaning.is_value:
                meaning = beside
            elif (above.is_id and meaning.is_value) or (above.kind and not is_state(str(key))):
                meaning = above
        yield key, value, meaning


def _key(key: Any, made: Mapping[Any, Any]) -> Any:
    if not isinstance(key, str) or meaning_of(key).is_word:
        return key
    shown = again = redact_text(key)
    number = 1
    while again != key and again in made:
        number += 1
        again = f"{shown} {number}"
    return again


def _scalar(value: Any, meaning: Meaning) -> Any:
    if value is None or value is True or value is False or value == "":
        return value
    if meaning.kind and (meaning.always or _fits(value, meaning)):
        return _masked(value, meaning.kind)
    if isinstance(value, str):
        if not is_suspect(value):
            return value
        return _text(value, "id" if meaning.is_id and _is_number(value) else "")
    if isinstance(value, int) and not meaning.is_id and is_card(str(value)):
        return "[card]"
    return value


def _is_number(value: str) -> bool:
    return not any(each.isalpha() for each in value)


def _fits(value: Any, meaning: Meaning) -> bool:
    """Say whether a value may be what its key says, or is a word about it."""
    kind = meaning.kind
    if kind == "secret":
        return isinstance(value, str | int | float | bytes)
    text = fold(str(value)).plain
    if kind == "email":
        return "@" in text
    if kind == "pan":
        return is_pan(re.sub(r"[\s-]", "", text)) or is_card(re.sub(r"\D", "", text))
    if isinstance(value, float):
        return False
    letters = sum(each.isalpha() for each in text)
    digits = sum(each.isdigit() for each in text)
    return digits >= _LEAST_DIGITS[kind] and letters <= digits


def _masked(value: Any, kind: str) -> str:
    text = value if isinstance(value, str) else str(value)
    if MASK.fullmatch(text):
        return text
    if kind == "pan" and is_card(re.sub(r"\D", "", fold(text).plain)):
        return "[card]"
    return f"[{kind}]"


def _text(text: str, label: str) -> str:
    """Mask again until nothing is left to mask: so that masking twice is masking once."""
    while (masked := _once(text, label)) != text:
        text = masked
    return text


def _once(text: str, label: str) -> str:
    folded = fold(text)
    spans: list[Span] = [(*each.span(), "") for each in MASK.finditer(folded.plain)]
    spans += secrets_in(folded)
    spans += addresses_in(folded, blank_spans(folded.plain, spans))
    spans += numbers_in(folded, blank_spans(folded.plain, spans), label)
    return _covered(text, ((*folded.span(start, end), kind) for start, end, kind in spans))


def _covered(text: str, spans: Iterable[Span]) -> str:
    """Return the text with masks over the spans; of two that overlap the first one's."""
    parts: list[str] = []
    at = 0
    for start, end, kind in sorted(spans, key=_order):
        if start < at:
            # What sticks out belongs to the mask before it.
            at = max(at, end) if kind else at
            continue
        parts += [text[at:start], f"[{kind}]" if kind else text[start:end]]
        at = end
    return "".join([*parts, text[at:]])


def _order(span: Span) -> tuple[int, bool, int]:
    start, end, kind = span
    return start, bool(kind), -end


def redact_all(texts: Sequence[str | None]) -> list[str | None]:
    """Return many free texts redacted; they are looked at together first."""
    if not is_suspect("\n".join(filter(None, texts))):
        return list(texts)
    known = {each: redact_text(each) for each in set(texts) if each is not None}
    return [None if each is None else known[each] for each in texts]
