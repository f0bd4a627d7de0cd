"""Masks: the texts that replace personal data, and a test whether a value holds one."""

import re
from typing import Any

KINDS = ("aadhaar", "card", "email", "pan", "phone", "secret", "ssn")

ERASED = "[erased]"
"""The mask of a person's words that were erased later on."""

MASKED = rf"\[(?:{'|'.join(KINDS)}|erased)\]"
"""The pattern of all masks, for Python and for PostgreSQL alike."""

MASK = re.compile(MASKED)


def has_mask(value: Any) -> bool:
    """Say whether a text, or a text of a list, contains a mask."""
    if isinstance(value, list):
        return any(map(has_mask, value))
    return isinstance(value, str) and MASK.search(value) is not None
