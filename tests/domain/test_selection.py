"""Filters: what can be said, and how what can't be read is refused."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidInput
from domain.filter_parser import parse_filter
from domain.selection import Combination, Comparison, Filter, Negation, comparisons
from tests.sentences import Sentences

OPEN = Comparison("state", "=", ("OPEN",))
HIGH = Comparison("priority", "in", ("HIGH", "CRITICAL"))
OLD = Comparison("created_at", "<", ("-7d",))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("state=OPEN", OPEN),
        ("  STATE == OPEN ", OPEN),
        ("state = 'OPEN'", OPEN),
        ('state="OPEN"', OPEN),
        ("priority in (HIGH, CRITICAL)", HIGH),
        ("priority IN (HIGH,'CRITICAL')", HIGH),
        ("priority not in (HIGH, CRITICAL)", Negation(HIGH)),
        ("vendor is empty", Comparison("vendor", "is empty")),
        ("vendor is not empty", Negation(Comparison("vendor", "is empty"))),
        ('title contains "bad ""pump"""', Comparison("title", "contains", ('bad "pump"',))),
        ("site != 3", Comparison("site", "!=", ("3",))),
        ("due_at>=2026-11-22T09:30:00Z", Comparison("due_at", ">=", ("2026-11-22T09:30:00Z",))),
        ("remarks = in", Comparison("remarks", "=", ("in",))),
        ("remarks in (and, or, not)", Comparison("remarks", "in", ("and", "or", "not"))),
        ("title = Größe", Comparison("title", "=", ("Größe",))),
        ("order_no = 1", Comparison("order_no", "=", ("1",))),
    ],
)
def test_one_comparison_is_read(text: str, meant: Filter) -> None:
    assert parse_filter(text) == meant


def test_and_binds_closer_than_or() -> None:
    read = parse_filter("created_at < -7d or state=OPEN and priority in (HIGH,CRITICAL)")

    assert read == Combination(
        is_all=False, parts=(OLD, Combination(is_all=True, parts=(OPEN, HIGH)))
    )


def test_parentheses_and_negation_come_first() -> None:
    read = parse_filter("not (created_at < -7d or state=OPEN) and priority in (HIGH,CRITICAL)")

    neither = Negation(Combination(is_all=False, parts=(OLD, OPEN)))
    assert read == Combination(is_all=True, parts=(neither, HIGH))


def test_comparisons_are_told_in_their_order() -> None:
    read = parse_filter("state=OPEN and (created_at < -7d or not priority in (HIGH,CRITICAL))")

    assert comparisons(read) == [OPEN, OLD, HIGH]


@pytest.mark.parametrize(
    ("text", "got", "expected"),
    [
        ("", "nothing", "a filter such as state=OPEN"),
        ("   ", "nothing", "a filter such as state=OPEN"),
        ("state", "the end at character 6", "one of ="),
        ("state OPEN", "OPEN at character 7", "one of ="),
        ("state =", "the end at character 8", "a value"),
        ("= OPEN", "= OPEN at character 1", "a field"),
        ("state=OPEN priority=HIGH", "priority=HIGH at character 12", "and, or, or the end"),
        ("state=OPEN and", "the end at character 15", "a field"),
        ("(state=OPEN", "the end at character 12", "a closing parenthesis"),
        ("state=OPEN)", ") at character 11", "and, or, or the end"),
        ("state in OPEN", "OPEN at character 10", "an opening parenthesis"),
        ("state in ()", ") at character 11", "a value"),
        ("state in (OPEN", "the end at character 15", "a comma or a closing parenthesis"),
        ("title contains 'pump", "'pump at character 16", "a value"),
        ("state=OPEN; DROP TABLE ticket", "TABLE", "and, or, or the end"),
        ("state ~ OPEN", "~ OPEN at character 7", "one of ="),
        ("vendor is 3", "3 at character 11", "empty"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: str, got: str, expected: str) -> None:
    with pytest.raises(InvalidInput) as told:
        parse_filter(text)

    assert told.value.facts["field"] == "where"
    assert got in str(told.value.facts["got"])
    assert told.value.facts["expected"].startswith(expected)


@pytest.mark.parametrize("text", ["(" * 60 + "a=1" + ")" * 60, "a=1 and " * 499 + "a=1"])
def test_parentheses_around_the_same_and_long_chains_are_fine(text: str) -> None:
    assert {each.field for each in comparisons(parse_filter(text))} == {"a"}


@pytest.mark.parametrize("text", ["not " * 60 + "a=1", "a=1 " * 2000])
def test_what_is_too_deep_or_too_long_is_refused(text: str, says: Sentences) -> None:
    with pytest.raises(InvalidInput, check=says):
        parse_filter(text)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(InvalidInput):
        assert comparisons(parse_filter(text))


_NAMES = st.from_regex(r"[a-z_]{1,8}", fullmatch=True).filter(
    lambda name: name not in {"and", "or", "not", "in", "is", "contains", "empty"}
)
_VALUES = st.text(max_size=12)


@given(_NAMES, st.lists(_VALUES, min_size=1, max_size=4))
def test_any_value_can_be_quoted(name: str, values: list[str]) -> None:
    quoted = ", ".join('"' + each.replace('"', '""') + '"' for each in values)

    assert parse_filter(f"{name} in ({quoted})") == Comparison(name, "in", tuple(values))
