"""Redaction: mask personal data before it is stored, by the key that holds it and by its form.

A mask such as `[email]` says what kind of data was there and nothing else. Masking is idempotent;
what isn't recognized as personal data stays as it is.
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

_NO_MEANING = Meaning()
_CONTAINERS = (dict, list, tuple, set, frozenset, Mapping)

_LEAST_DIGITS = {"phone": 6, "card": 12, "ssn": 9, "aadhaar": 12}


def redact(value: Any) -> Any:
    """Return a value of JSON with masks in the place of personal data.

    Mappings and sequences of any depth come back as new dicts and lists; a value without
    personal data comes back unchanged.
    """
    if not isinstance(value, _CONTAINERS):
        return _redact_scalar(value, _NO_MEANING)
    redacted = _empty_copy(value)
    # A list of open containers, no recursion: a document may be deeper than Python's own stack.
    waiting = [(value, redacted, _NO_MEANING)]
    while waiting:
        source, target, meaning = waiting.pop()
        entries = (
            _entries(source, meaning) if isinstance(source, Mapping) else _members(source, meaning)
        )
        for key, member, member_meaning in entries:
            place = _redact_key(key, target) if isinstance(source, Mapping) else key
            if isinstance(member, _CONTAINERS):
                target[place] = inner = _empty_copy(member)
                waiting.append((member, inner, member_meaning))
            else:
                target[place] = _redact_scalar(member, member_meaning)
    return redacted


def redact_text(text: str) -> str:
    """Return a free text with masks in the place of personal data."""
    return _mask_all(text, "") if is_suspect(text) else text


def _empty_copy(container: Any) -> Any:
    return {} if isinstance(container, Mapping) else [None] * len(container)


def _members(sequence: Iterable[Any], parent: Meaning) -> Iterator[tuple[Any, Any, Meaning]]:
    return ((index, member, parent) for index, member in enumerate(sequence))


def _entries(mapping: Mapping[Any, Any], parent: Meaning) -> Iterator[tuple[Any, Any, Meaning]]:
    # `{"field": "phone", "old": ...}`: one entry names what the entries beside it hold.
    sibling = _NO_MEANING
    for key, value in mapping.items():
        if isinstance(key, str) and isinstance(value, str) and meaning_of(key).is_name:
            sibling = meaning_of(value)
            if sibling.kind:
                break
    for key, value in mapping.items():
        meaning = meaning_of(key) if isinstance(key, str) else _NO_MEANING
        if not meaning.kind:
            if sibling.kind and meaning.is_value:
                meaning = sibling
            elif (parent.is_id and meaning.is_value) or (parent.kind and not is_state(str(key))):
                meaning = parent
        yield key, value, meaning


def _redact_key(key: Any, target: Mapping[Any, Any]) -> Any:
    """Return a key without personal data that *target* doesn't have yet."""
    if not isinstance(key, str) or meaning_of(key).is_word:
        return key
    masked = unique = redact_text(key)
    number = 1
    while unique != key and unique in target:
        number += 1
        unique = f"{masked} {number}"
    return unique


def _redact_scalar(value: Any, meaning: Meaning) -> Any:
    if value is None or value is True or value is False or value == "":
        return value
    if meaning.kind and (meaning.always or _fits(value, meaning)):
        return _mask_of(value, meaning.kind)
    if isinstance(value, str):
        if not is_suspect(value):
            return value
        return _mask_all(value, "id" if meaning.is_id and _is_number(value) else "")
    if isinstance(value, int) and not meaning.is_id and is_card(str(value)):
        return "[card]"
    return value


def _is_number(value: str) -> bool:
    return not any(char.isalpha() for char in value)


def _fits(value: Any, meaning: Meaning) -> bool:
    """Say whether a value may be of the kind that its key says, and not a word about it."""
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
    letters = sum(char.isalpha() for char in text)
    digits = sum(char.isdigit() for char in text)
    return digits >= _LEAST_DIGITS[kind] and letters <= digits


def _mask_of(value: Any, kind: str) -> str:
    text = value if isinstance(value, str) else str(value)
    if MASK.fullmatch(text):
        return text
    if kind == "pan" and is_card(re.sub(r"\D", "", fold(text).plain)):
        return "[card]"
    return f"[{kind}]"


def _mask_all(text: str, label: str) -> str:
    """Mask a text until nothing is left to mask, so that masking is idempotent."""
    while (masked := _mask_once(text, label)) != text:
        text = masked
    return text


def _mask_once(text: str, label: str) -> str:
    folded = fold(text)
    spans: list[Span] = [(*match.span(), "") for match in MASK.finditer(folded.plain)]
    spans += secrets_in(folded)
    spans += addresses_in(folded, blank_spans(folded.plain, spans))
    spans += numbers_in(folded, blank_spans(folded.plain, spans), label)
    return _cover(text, ((*folded.span(start, end), kind) for start, end, kind in spans))


def _cover(text: str, spans: Iterable[Span]) -> str:
    """Return the text with a mask over each span; of two that overlap, with the first one's."""
    parts: list[str] = []
    at = 0
    for start, end, kind in sorted(spans, key=_sort_key):
        if start < at:
            # The mask before this one covers the rest of it as well.
            at = max(at, end) if kind else at
            continue
        parts += [text[at:start], f"[{kind}]" if kind else text[start:end]]
        at = end
    return "".join([*parts, text[at:]])


def _sort_key(span: Span) -> tuple[int, bool, int]:
    start, end, kind = span
    return start, bool(kind), -end


def redact_all(texts: Sequence[str | None]) -> list[str | None]:
    """Return many free texts redacted; a single prefilter run over all of them comes first."""
    if not is_suspect("\n".join(filter(None, texts))):
        return list(texts)
    redacted = {text: redact_text(text) for text in set(texts) if text is not None}
    return [None if text is None else redacted[text] for text in texts]
