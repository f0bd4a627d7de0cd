"""Tags are words: each once, without blanks around it, in the order that they came in."""

from typing import Any

import pytest

from domain.tags import parse_tags


@pytest.mark.parametrize("given", ["vip, hold ,vip", ["vip", "hold"], ("vip ", "hold", "vip")])
def test_tags_are_taken_once_and_in_their_order(given: Any) -> None:
    assert parse_tags(given) == ["vip", "hold"]


def test_a_tag_keeps_its_case_and_its_blanks_within() -> None:
    assert parse_tags("On hold,HOLD") == ["On hold", "HOLD"]


WRONG = ["a,,b", ["a,b"], ["\x00"], ["\ud800"], [" "], ["a" * 101], [7], 7, {"a": 1}, None]


@pytest.mark.parametrize("given", [*WRONG, [str(n) for n in range(101)]])
def test_what_is_no_list_of_tags_is_refused(given: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        parse_tags(given)
