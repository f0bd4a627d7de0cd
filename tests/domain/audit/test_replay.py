"""Replaying: what is told of the past is never wrong, whatever is missing from the records."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.audit.replay import UNKNOWN, Step, is_masked, past_of, stays_of

BEGUN = datetime(2026, 11, 20, 9, tzinfo=UTC)
STATES = ("DRAFT", "SUBMITTED", "APPROVED", "CLOSED")
FIELDS = {"title": "Lift", "remarks": None, "phone": None}


def hour(number: int) -> datetime:
    return BEGUN + timedelta(hours=number)


class Life:
    """A row that is written hour by hour, with what it was after each version."""

    def __init__(self) -> None:
        self.row: dict[str, Any] = {
            **FIELDS,
            "id": 7,
            "state": STATES[0],
            "state_since": BEGUN,
            "version": 1,
            "created_at": BEGUN,
            "created_by": 1,
            "updated_at": BEGUN,
            "updated_by": 1,
            "deleted_at": None,
        }
        told = {name: value for name, value in self.row.items() if name in FIELDS and value}
        first = {**told, "state": STATES[0], "state_since": BEGUN}
        self.steps = [Step(1, BEGUN, 1, dict.fromkeys(first), first, is_first=True)]
        self.versions = [dict(self.row)]

    def write(self, actor: int, **values: Any) -> None:
        version = self.row["version"] + 1
        now = hour(version - 1)
        if "state" in values:
            values["state_since"] = now
        before = {name: self.row[name] for name in values}
        self.steps.append(Step(version, now, actor, before, values))
        self.row |= {**values, "version": version, "updated_at": now, "updated_by": actor}
        self.versions.append(dict(self.row))


writes = st.lists(
    st.one_of(
        st.fixed_dictionaries({"state": st.sampled_from(STATES)}),
        st.fixed_dictionaries({"title": st.sampled_from(["Lift", "Pump"])}),
        st.fixed_dictionaries(
            {"remarks": st.none() | st.sampled_from(["a", "b"]), "title": st.just("Door")}
        ),
    ),
    max_size=8,
)


def lived(changes: list[dict[str, Any]]) -> Life:
    life = Life()
    for number, values in enumerate(changes):
        life.write(number % 3, **values)
    return life


def shown(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "deleted_at"}


@given(writes, st.data())
def test_with_all_records_every_field_is_told_as_it_was(
    changes: list[dict[str, Any]], data: st.DataObject
) -> None:
    life = lived(changes)
    version = data.draw(st.integers(1, len(life.versions)))

    past = past_of(life.steps, life.row, hour(version - 1) + timedelta(minutes=30))

    assert (past.values, past.unknown) == (shown(life.versions[version - 1]), {})


@given(writes, st.data())
def test_whatever_is_missing_nothing_is_told_wrong(
    changes: list[dict[str, Any]], data: st.DataObject
) -> None:
    life = lived(changes)
    kept = data.draw(st.lists(st.sampled_from(life.steps), unique_by=lambda each: each.version))
    kept = [
        replace(each, before={}, after={}, why_not="erased") if data.draw(st.booleans()) else each
        for each in kept
    ]
    version = data.draw(st.integers(1, len(life.versions)))

    past = past_of(kept, life.row, hour(version - 1) + timedelta(minutes=30))

    truth = shown(life.versions[version - 1])
    assert {name: truth[name] for name in past.values} == past.values
    assert past.values.keys() | past.unknown.keys() == truth.keys()
    assert set(past.unknown.values()) <= UNKNOWN.keys() - {"contradicted"}


@given(writes)
def test_the_present_is_told_without_any_record(changes: list[dict[str, Any]]) -> None:
    life = lived(changes)

    past = past_of([], life.row, hour(100))

    assert past.values == shown(life.row)


def test_what_a_missing_record_changed_is_found_from_the_record_before() -> None:
    life = lived([{"remarks": "a", "title": "Door"}, {"title": "Pump"}, {"title": "Lift"}])
    kept = [each for each in life.steps if each.version != 4]

    past = past_of(kept, life.row, hour(2))

    assert (past.values["title"], past.values["version"]) == ("Pump", 3)


def test_a_masked_value_is_unknown_unless_it_stands_there_still() -> None:
    life = lived([{"remarks": "a", "title": "Door"}, {"title": "Pump"}])
    life.steps[1] = replace(life.steps[1], after={"remarks": "call [phone]", "title": "Door"})
    there = past_of(life.steps, life.row, hour(1))
    life.write(1, remarks="b", title="Door")
    life.steps[-1] = replace(life.steps[-1], before={"remarks": "call [phone]", "title": "Pump"})

    gone = past_of(life.steps, life.row, hour(1))

    assert (there.values["remarks"], gone.unknown) == ("a", {"remarks": "redacted"})


def test_records_that_tell_otherwise_are_told_as_a_contradiction() -> None:
    life = lived([{"remarks": "a", "title": "Door"}])
    life.row["title"] = "Changed by hand"

    past = past_of(life.steps, life.row, hour(5))

    assert past.unknown == {"title": "contradicted"}


def test_before_it_came_and_after_it_went_it_is_not_there() -> None:
    life = lived([])
    life.row["deleted_at"] = hour(3)

    told = [past_of(life.steps, life.row, hour(number)) for number in (-1, 2, 3)]

    assert [(each.exists, each.since) for each in told] == [
        (False, BEGUN),
        (True, BEGUN),
        (False, hour(3)),
    ]


def test_a_field_that_the_database_fills_is_unknown_from_a_first_record_without_it() -> None:
    life = lived([{"title": "Door", "remarks": "a"}])
    first = [life.steps[0]]

    past = past_of(first, life.row, hour(0), defaulted={"phone"})

    assert past.unknown["phone"] == "not_recorded"


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        ("[email]", True),
        ("call [phone] at nine", True),
        ({"who": ["[aadhaar]"]}, True),
        ("[urgent] pump", False),
        (7, False),
        (None, False),
    ],
    ids=str,
)
def test_a_mask_is_known_in_any_depth(value: Any, masked: bool) -> None:
    assert is_masked(value) is masked


@given(writes)
def test_the_time_in_all_states_is_the_whole_life(changes: list[dict[str, Any]]) -> None:
    life = lived(changes)
    now = hour(20)

    stays, unknown_s = stays_of(life.steps, life.row, now)

    assert sum(each.seconds for each in stays) == (now - BEGUN).total_seconds()
    assert unknown_s == 0.0
    assert [each.state for each in stays if each.is_present] == [life.row["state"]]


@given(writes, st.data())
def test_the_time_that_missing_records_leave_open_is_told(
    changes: list[dict[str, Any]], data: st.DataObject
) -> None:
    life = lived(changes)
    kept = data.draw(st.lists(st.sampled_from(life.steps), unique_by=lambda each: each.version))

    stays, unknown_s = stays_of(kept, life.row, hour(20))

    assert sum(each.seconds for each in stays) + unknown_s == (hour(20) - BEGUN).total_seconds()
