"""Zones go by their IANA names."""

from typing import Any

import pytest

from domain.business_time.timezones import parse_zone
from domain.errors import InvalidInput


@pytest.mark.parametrize("name", ["Asia/Kolkata", " asia/kolkata", "ASIA/KOLKATA"])
def test_a_zone_is_found_in_any_case(name: str) -> None:
    assert parse_zone(name) == "Asia/Kolkata"


@pytest.mark.parametrize("name", ["India", "UTC+5:30", "../etc/passwd", "", 5, None])
def test_what_is_no_zone_is_refused(name: Any) -> None:
    with pytest.raises(InvalidInput, match="an IANA zone such as"):
        parse_zone(name)


def test_a_zone_that_is_close_is_told() -> None:
    with pytest.raises(InvalidInput, match="did you mean Europe/Berlin"):
        parse_zone("Europe/Berlim")
