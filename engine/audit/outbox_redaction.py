"""What goes into the outbox, without personal data; a chunk that holds none costs one look."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from domain.redaction.prefilter import is_suspect
from domain.redaction.redact import redact, redact_all
from domain.redaction.sensitive_keys import meaning_of
from engine.input.record_types import table_of
from models.base import records

# The platform's own words and numbers, long lists of ids among them.
_OURS = frozenset(
    {
        *("kind", "event_type", "correlation_id", "actor_id", "approved_by", "entity_ids"),
        *("items", "successful_ids", "failed_ids", "total_items", "successful_items"),
        *("failed_items", "skipped_items", "cancelled_items", "required_permissions"),
        *("user_permissions", "to_state", "state", "isolation_level", "retry_attempt"),
        *("execution_time_ms", "lock_acquisition_time_ms", "started_at", "finished_at"),
    }
)


def redacted_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the items of a chunk share, redacted."""
    told = dict(body)
    # As many messages as items, and mostly the same few.
    details = told.pop("failure_details", None)
    redacted = {name: told[name] if name in _OURS else redact(told[name]) for name in told}
    if details is not None:
        messages = redact_all(list(details.values()))
        redacted["failure_details"] = dict(zip(details, messages, strict=True))
    return redacted


def redacted_arrays(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Return what each item has of its own, by column, redacted where people write."""
    redacted = dict(arrays)
    for name in ("comments", "error_messages"):
        if arrays.get(name) is not None:
            redacted[name] = redact_all(arrays[name])
    if arrays.get("changes") is not None:
        redacted["changes"] = redacted_changes(arrays["changes"])
    return redacted


def redacted_changes(changes: Sequence[str]) -> list[str]:
    """Return changes, each `{field: {before, after}}` as JSON, redacted."""
    # Fields and values, each once: what is written to a thousand rows is much the same.
    parts = set(_readable(f"[{','.join(changes)}]").split('"'))
    if not _may_hold('"'.join(["", *parts, ""])):
        return list(changes)
    return [
        json.dumps(redact(json.loads(each))) if _may_hold(_readable(each)) else each
        for each in changes
    ]


def _may_hold(readable: str) -> bool:
    return is_suspect(readable) or any(each in readable for each in _personal_fields())


def _readable(document: str) -> str:
    # JSON writes other letters and digits than English ones as numbers.
    if "\\u" not in document:
        return document
    return json.dumps(json.loads(document), ensure_ascii=False)


@cache
def _personal_fields() -> tuple[str, ...]:
    """Return the fields that are personal whatever they hold, as JSON writes them."""
    columns = (each for model in records().values() for each in table_of(model).columns)
    names = {each.name for each in columns}
    return tuple(f'"{name}"' for name in sorted(names) if meaning_of(name).kind)
