"""Rejects: describe the faulty records of a file so that they can be corrected."""

import json
import re
from dataclasses import dataclass
from typing import Any

from engine.files.columns import Fault
from engine.files.lines import Batch
from engine.input.fields import shown

_MEANINGS = {
    "broken_line": "it can't be read",
    "wrong_columns": "another number of columns",
    "unknown_field": "no such field",
    "value_missing": "nothing where something is needed",
    "unknown_state": "no such state",
    "permission_denied": "a state that you may not bring work to",
    "unknown_word": "no such word",
    "zone_missing": "a time without its zone",
    "not_a_time": "not a time",
    "not_a_day": "not a day",
    "not_a_number": "not a number",
    "not_a_list": "not a list",
    "not_an_object": "not an object",
    "not_text": "not text",
    "bad_characters": "NUL, or bytes that are not UTF-8",
    "too_long": "too long",
    "out_of_range": "beyond what can be stored",
    "unknown_reference": "nothing of this id or name",
    "ambiguous_reference": "the id of one and the name of another",
    "tour_nested": "a checkpoint of a checkpoint",
    "reference_deleted": "the reference of a deleted row",
    "duplicate_reference": "a reference for the second time",
    "check_failed": "a value that doesn't fit",
}
"""What each sort of fault means."""

_NOT_UTF8 = re.compile("[\udc80-\udcff]")
"""Bytes that aren't UTF-8, as `surrogateescape` makes them."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A record of a file that was left out, and what is wrong with it.

    Attributes:
        line: The line where the record begins, from 1.
        field: The field; None if the fault is about the record as a whole.
        value: The faulty value, as text or as JSON has it; of a long one the beginning.
        code: The sort of the fault, e.g. `unknown_state`.
        reason: What is wrong, and what was expected.
        text: The record's text in the file; bytes that aren't UTF-8 are lone surrogates.
    """

    line: int
    field: str | None
    value: Any
    code: str
    reason: str
    text: str


def reject(batch: Batch, fault: Fault) -> Reject:
    """Return the reject of a fault: with its line, its text and a sentence that explains it."""
    return Reject(
        line=batch.lines[fault.position],
        field=fault.field and readable(fault.field),
        value=_readable_value(fault.value),
        code=fault.code,
        reason=_explain(fault),
        text=batch.texts[fault.position].rstrip("\r\n"),
    )


def _explain(fault: Fault) -> str:
    if isinstance(fault.value, str) and _NOT_UTF8.search(fault.value):
        return "bytes that are not UTF-8: expected text in UTF-8, save the file as UTF-8"
    return f"{_MEANINGS[fault.code]}: expected {fault.expected}"


def readable(text: str) -> str:
    """Return a text that can be printed: NUL and lone surrogates are escaped."""
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()


def _readable_value(value: Any) -> Any:
    if isinstance(value, dict | list):
        value = json.dumps(value)
    text = shown(value)
    return readable(text) if isinstance(text, str) else text
