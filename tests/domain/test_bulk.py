"""What became of many items: counts that add up, the end, the progress, the result."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.bulk import Counts, Failure, Outcome, count, final_state, progress, result
from domain.machines.operation import OPERATION

BEGUN = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def ended(**given_: Any) -> dict[str, Any]:
    """Return a result, by default the one that stands in the contract."""
    values: dict[str, Any] = {
        "operation_id": "1b4e28ba-2fa1-11d2-883f-0016d3cca427",
        "operation_type": "transition_to_APPROVED",
        "state": "COMPLETED_WITH_ERRORS",
        "counts": Counts(3, succeeded=2, failed=1),
        "succeeded_ids": [123, 456],
        "failures": [
            Failure(
                789,
                "vendor_missing",
                "Cannot approve without vendor assignment",
                ("vendor_missing",),
            )
        ],
        "failure_codes": {"vendor_missing": 1},
        "warnings": [],
        "started_at": BEGUN,
        "finished_at": BEGUN + timedelta(milliseconds=12),
    }
    return result(**(values | given_))


# The contract's example, to the letter; only the id was left open there.
CONTRACT = """
{"operation_id": "1b4e28ba-2fa1-11d2-883f-0016d3cca427",
 "operation_type": "transition_to_APPROVED", "state": "COMPLETED_WITH_ERRORS",
 "total_items": 3, "successful_items": 2, "skipped_items": 0, "failed_items": 1,
 "cancelled_items": 0, "success_rate": 66.67,
 "successful_ids": ["123", "456"], "failed_ids": ["789"],
 "failure_details": {"789": "Cannot approve without vendor assignment"},
 "failure_codes": {"vendor_missing": 1}, "warnings": [],
 "was_rolled_back": false, "rollback_reason": null, "execution_time_ms": 12}
"""


def test_a_result_is_the_one_of_the_contract() -> None:
    assert ended() == json.loads(CONTRACT)


def test_a_result_names_its_fields_in_the_order_of_the_contract() -> None:
    assert list(ended()) == list(json.loads(CONTRACT))


def test_a_rolled_back_result_says_why() -> None:
    told = ended(state="ROLLED_BACK", counts=Counts(3, failed=1, cancelled=2), succeeded_ids=[])

    assert (told["was_rolled_back"], told["rollback_reason"], told["successful_ids"]) == (
        True,
        "1 of 3 items failed and all or nothing was asked for",
        [],
    )


def test_large_numbers_of_a_rollback_are_told_with_separators() -> None:
    told = ended(state="ROLLED_BACK", counts=Counts(1661, failed=1661), succeeded_ids=[])

    assert told["rollback_reason"].startswith("1,661 of 1,661 items failed")


def test_a_thousand_ids_stand_in_a_result() -> None:
    told = ended(counts=Counts(1000, succeeded=1000), succeeded_ids=range(1, 1001), failures=[])

    assert len(told["successful_ids"]) == 1000


def test_beyond_a_thousand_only_counts_and_codes_stand_in_a_result() -> None:
    told = ended(counts=Counts(1001, succeeded=1000, failed=1), succeeded_ids=range(1, 1001))

    listed = {name: told[name] for name in ("successful_ids", "failed_ids", "failure_details")}
    assert listed == {"successful_ids": [], "failed_ids": [], "failure_details": {}}
    assert (told["successful_items"], told["failure_codes"]) == (1000, {"vendor_missing": 1})


@pytest.mark.parametrize(
    ("succeeded", "total", "rate"), [(2, 3, 66.67), (1, 3, 33.33), (0, 7, 0.0), (5, 5, 100.0)]
)
def test_the_success_rate_is_in_per_cent_with_two_decimals(
    succeeded: int, total: int, rate: float
) -> None:
    told = ended(counts=Counts(total, succeeded=succeeded, failed=total - succeeded))

    assert told["success_rate"] == rate


ENDS = [
    # counts, atomic, cancelling, dead items, the end
    (Counts(3, succeeded=3), False, False, 0, "SUCCEEDED"),
    (Counts(3, succeeded=3), True, False, 0, "SUCCEEDED"),
    (Counts(3, skipped=3), True, False, 0, "SUCCEEDED"),
    (Counts(3, succeeded=1, skipped=2), False, True, 0, "SUCCEEDED"),
    (Counts(3, succeeded=2, failed=1), False, False, 0, "COMPLETED_WITH_ERRORS"),
    (Counts(3, failed=3), False, False, 0, "COMPLETED_WITH_ERRORS"),
    (Counts(3, failed=1, cancelled=2), True, False, 0, "ROLLED_BACK"),
    (Counts(3, succeeded=1, cancelled=2), False, True, 0, "CANCELLED"),
    (Counts(3, failed=1, cancelled=2), False, True, 0, "CANCELLED"),
    (Counts(3, failed=3), True, False, 3, "FAILED"),
    (Counts(3, failed=3), False, False, 3, "FAILED"),
    (Counts(4, succeeded=2, failed=2), False, False, 2, "COMPLETED_WITH_ERRORS"),
    (Counts(3, succeeded=1, failed=2), False, False, 3, "COMPLETED_WITH_ERRORS"),
]


@pytest.mark.parametrize(("counts", "atomic", "cancelling", "dead", "end"), ENDS)
def test_an_operation_ends_as_its_items_did(
    counts: Counts, atomic: bool, cancelling: bool, dead: int, end: str
) -> None:
    state = final_state(counts, atomic=atomic, cancelling=cancelling, dead=dead)

    assert state == end


def test_progress_is_the_one_of_the_contract() -> None:
    told = progress(Counts(10_000, succeeded=4190, failed=10), 4200 / 51_000)

    assert told == {
        "done": 4200,
        "total": 10_000,
        "succeeded": 4190,
        "skipped": 0,
        "failed": 10,
        "cancelled": 0,
        "percent": 42,
        "rate_per_s": 51_000,
        "eta_s": 0.1,
    }


def test_progress_without_a_rate_knows_no_end() -> None:
    assert progress(Counts(3), 1.0)["eta_s"] is None


def test_progress_at_the_very_beginning_divides_by_nothing() -> None:
    assert progress(Counts(3, succeeded=1), 0.0)["rate_per_s"] == 0


outcomes = st.lists(st.sampled_from(Outcome), min_size=1, max_size=300)


@given(outcomes)
def test_counts_add_up(stored: list[Outcome]) -> None:
    counts = count(stored, len(stored))

    assert counts.pending + counts.running + counts.done == counts.total


@given(outcomes, st.integers(0, 100))
def test_what_has_no_outcome_yet_is_pending(stored: list[Outcome], more: int) -> None:
    counts = count(stored, len(stored) + more)

    assert counts.pending == stored.count(Outcome.PENDING) + more


@given(outcomes, st.just(0.0) | st.floats(1e-6, 1e6))
def test_the_percentage_is_never_a_hundred_before_the_end(
    stored: list[Outcome], elapsed_s: float
) -> None:
    assert 0 <= progress(count(stored, len(stored)), elapsed_s)["percent"] <= 99


@given(outcomes, st.randoms(use_true_random=False))
def test_the_percentage_never_runs_backwards(stored: list[Outcome], random: Any) -> None:
    ends = [each or Outcome.FAILED for each in stored]
    known = [Outcome.PENDING] * len(ends)
    order = list(range(len(ends)))
    random.shuffle(order)
    seen = []

    for place in order:
        known[place] = ends[place]
        seen.append(progress(count(known, len(known)), 1.0)["percent"])

    assert seen == sorted(seen)


@given(outcomes, st.booleans(), st.booleans())
def test_an_operation_always_ends_in_a_final_state(
    stored: list[Outcome], atomic: bool, cancelling: bool
) -> None:
    state = final_state(count(stored, len(stored)), atomic=atomic, cancelling=cancelling, dead=0)

    assert state in OPERATION.final
