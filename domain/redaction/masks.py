"""Masks: what stands in the place of personal data, and how to tell that one is there."""

import re
from typing import Any

KINDS = ("aadhaar", "card", "email", "pan", "phone", "secret", "ssn")


ERASED = "[erased]"
"""What stands where a person was erased later on."""


MASKED = rf"\[(?:{'|'.join(KINDS)}|erased)\]"
"""The pattern of all masks, for Python and for PostgreSQL alike."""


MASK = re.compile(MASKED)


def has_mask(value: Any) -> bool:
    """Say whether something of a text, or of a list of texts, was made unreadable."""
    if isinstance(value, list):
        return any(map(has_mask, value))
    return isinstance(value, str) and MASK.search(value) is not None
