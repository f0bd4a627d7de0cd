"""Outbox redaction: remove personal data from what goes into the outbox.

A chunk that holds none is checked as one text.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from domain.redaction.prefilter import is_suspect
from domain.redaction.redact import redact, redact_all
from domain.redaction.sensitive_keys import meaning_of
from engine.input.record_types import table_of
from models.base import records

# Fields that the platform fills itself: no personal data, and long lists of ids among them.
_PLATFORM_FIELDS = frozenset(
    {
        *("kind", "event_type", "correlation_id", "actor_id", "approved_by", "entity_ids"),
        *("items", "successful_ids", "failed_ids", "total_items", "successful_items"),
        *("failed_items", "skipped_items", "cancelled_items", "required_permissions"),
        *("user_permissions", "to_state", "state", "isolation_level", "retry_attempt"),
        *("execution_time_ms", "lock_acquisition_time_ms", "started_at", "finished_at"),
    }
)

_SAMPLE = (
    "Call +49 30 901820 or mail a@example.org; card 4111 1111 1111 1111, SSN 078-05-1120, "
    "PAN ABCPE1234F, Aadhaar 2341 2341 2346; password: example, https://a:b@example.org/"
)
"""Something of each sort that is looked for, so that every pattern is used once."""


def compile_patterns() -> None:
    """Compile the patterns of redaction, which is done at their first use otherwise.

    A worker does it before it forks, so that no first change waits for it under its locks.
    """
    redacted_body({"comments": _SAMPLE, "metadata": {"password": _SAMPLE, "phone": _SAMPLE}})
    redacted_changes([json.dumps({"remarks": {"before": None, "after": _SAMPLE}})])


def redacted_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that the items of a chunk share, redacted."""
    values = dict(body)
    # There are as many messages as failures, mostly the same few: they are redacted together.
    details = values.pop("failure_details", None)
    redacted = {
        name: values[name] if name in _PLATFORM_FIELDS else redact(values[name]) for name in values
    }
    if details is not None:
        messages = redact_all(list(details.values()))
        redacted["failure_details"] = dict(zip(details, messages, strict=True))
    return redacted


def redacted_arrays(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that each item has of its own, by column, with free text redacted."""
    redacted = dict(arrays)
    for name in ("comments", "error_messages"):
        if arrays.get(name) is not None:
            redacted[name] = redact_all(arrays[name])
    if arrays.get("changes") is not None:
        redacted["changes"] = redacted_changes(arrays["changes"])
    return redacted


def redacted_changes(changes: Sequence[str]) -> list[str]:
    """Return changes, each `{field: {before, after}}` as JSON, redacted."""
    # Each distinct field and value once: changes of a thousand rows are mostly the same.
    distinct = set(_unescape(f"[{','.join(changes)}]").split('"'))
    if not _may_hold_personal_data('"'.join(["", *distinct, ""])):
        return list(changes)
    return [
        json.dumps(redact(json.loads(document)))
        if _may_hold_personal_data(_unescape(document))
        else document
        for document in changes
    ]


def _may_hold_personal_data(readable: str) -> bool:
    return is_suspect(readable) or any(name in readable for name in _personal_fields())


def _unescape(document: str) -> str:
    # JSON escapes all letters and digits outside ASCII as \uXXXX.
    if "\\u" not in document:
        return document
    return json.dumps(json.loads(document), ensure_ascii=False)


@cache
def _personal_fields() -> tuple[str, ...]:
    """Return the names of fields that are personal whatever they hold, quoted as in JSON."""
    columns = (column for model in records().values() for column in table_of(model).columns)
    names = {column.name for column in columns}
    return tuple(f'"{name}"' for name in sorted(names) if meaning_of(name).kind)
