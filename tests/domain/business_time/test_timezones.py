"""Zones go by their IANA names."""

from typing import Any

import pytest

from domain.business_time.timezones import parse_zone
from domain.errors import InvalidInput
from tests.sentences import Sentences


@pytest.mark.parametrize("name", ["Asia/Kolkata", " asia/kolkata", "ASIA/KOLKATA"])
def test_a_zone_is_found_in_any_case(name: str) -> None:
    assert parse_zone(name) == "Asia/Kolkata"


@pytest.mark.parametrize("name", ["India", "UTC+5:30", "../etc/passwd", "", 5, None])
def test_what_is_no_zone_is_refused(name: Any, says: Sentences) -> None:
    with pytest.raises(InvalidInput, check=says):
        parse_zone(name)


def test_a_zone_that_is_close_is_told(says: Sentences) -> None:
    with pytest.raises(InvalidInput, check=says):
        parse_zone("Europe/Berlim")
