"""Refusals keep their class, code and facts wherever they travel."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.reduction import ForkingPickler
from typing import Any
from uuid import UUID

import pytest
from celery.utils.serialization import get_pickleable_exception

from cli.exits import BY_CODE as EXIT_CODES
from docs.reasons import HTTP
from domain import errors
from domain.errors import LocksideError

# The contract's table "Errors": class, code, retryable.
TABLE = {
    "IllegalTransition": ("illegal_transition", False),
    "RuleRefused": ("rule_refused", False),
    "PermissionDenied": ("permission_denied", False),
    "StaleVersion": ("concurrency_conflict", True),
    "LockBusy": ("locked", True),
    "NotFound": ("not_found", False),
    "InvalidInput": ("invalid_input", False),
    "IdempotencyMismatch": ("idempotency_mismatch", False),
    "RateLimited": ("rate_limited", True),
    "Unavailable": ("unavailable", True),
}
FACTS: dict[str, dict[str, Any]] = {
    "NotFound": {"what": "work_order", "got": 5},
    "InvalidInput": {"field": "ids", "got": UUID(int=7), "expected": "whole numbers"},
    "IdempotencyMismatch": {"key": "night", "operation_id": "1"},
}
KINDS = [getattr(errors, name) for name in TABLE]


@dataclass
class Thing:
    """Something that JSON doesn't know."""


def example(kind: type[LocksideError], **more: Any) -> LocksideError:
    return kind(**(FACTS.get(kind.__name__, {"message": "It can't be done"}) | more))


def test_the_errors_are_those_of_the_contract() -> None:
    known = {
        name: (kind.code, kind.retryable)
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, LocksideError) and kind is not LocksideError
    }

    assert known == TABLE


@pytest.mark.parametrize("code", [code for code, _ in TABLE.values()])
def test_an_error_has_an_exit_code_and_an_http_status(code: str) -> None:
    assert code in EXIT_CODES
    assert code in HTTP


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_survives_the_way_to_another_process(kind: type[LocksideError]) -> None:
    error = example(kind, since=datetime(2026, 11, 22, tzinfo=UTC))

    again = ForkingPickler.loads(ForkingPickler.dumps(error))

    assert (type(again), again.facts, str(again)) == (kind, error.facts, str(error))


@pytest.mark.parametrize("kind", KINDS)
def test_celery_keeps_the_class_of_an_error(kind: type[LocksideError]) -> None:
    kept = get_pickleable_exception(example(kind))

    assert type(kept) is kind


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_is_json(kind: type[LocksideError]) -> None:
    error = example(
        kind,
        since=datetime(2026, 11, 22, tzinfo=UTC),
        seen={"by": Thing(), "ids": {UUID(int=1)}, 5: [float("nan")]},
    )

    told = json.loads(json.dumps(error.to_dict(), allow_nan=False))

    assert (told["error"], told["retryable"]) == TABLE[kind.__name__]


def test_a_time_is_told_with_its_zone() -> None:
    told = errors.LockBusy(message="Busy", since=datetime(2026, 11, 22, 9, 30, tzinfo=UTC))

    assert told.to_dict()["since"] == "2026-11-22T09:30:00+00:00"


def test_invalid_input_names_the_field_what_came_and_what_was_expected() -> None:
    error = errors.InvalidInput(field="ids", got=-1, expected="whole numbers from 1 on")

    assert str(error) == "ids: got -1, expected whole numbers from 1 on"


def test_braces_in_a_value_are_only_text() -> None:
    error = errors.InvalidInput(field="comments", got="{0} {secret}", expected="no braces")

    assert str(error) == "comments: got '{0} {secret}', expected no braces"


@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_code_leads_to_its_class(kind: type[LocksideError]) -> None:
    assert errors.error_named(kind.code) is kind


def test_the_code_of_a_rule_leads_to_rule_refused() -> None:
    assert errors.error_named("vendor_missing") is errors.RuleRefused
