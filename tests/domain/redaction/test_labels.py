"""What the words beside a number, or within a key, make of it."""

from typing import Any

import pytest

from domain.redaction.masks import has_mask
from domain.redaction.redact import redact, redact_text


@pytest.mark.parametrize(
    "number",
    [
        *("tel. 089 / 12 34 56 78", "+49 172 / 555 01 39", "direct line 208/555-0121"),
        *("+201001234567", "sími 611 1234", "gọi bảo vệ số 0903 123 498", "Mr Lim, 9123-4598"),
        *("requested 07700 900 622", "concierge 03/123 498", "Notfallnummer 0800 3301000"),
    ],
)
def test_numbers_of_many_countries_are_phones_beside_the_right_word(number: str) -> None:
    assert has_mask(redact_text(f"Door is shut, {number}."))


@pytest.mark.parametrize(
    "text",
    [
        *(
            "Call number 2026-004512",
            "Gerätenummer 0172 5550188",
            "管理番号080-5555-1298",
            "SO 9820411873",
        ),
        *("Panel 600 300 1200", "N 40 42.7666 W 074 00.3582", "ABN 51 824 753 556"),
        *("Mobile shelving 200-300-1200", "guard tour 2026 0114 03", "Numer seryjny 601 234 111"),
    ],
)
def test_what_is_numbered_filed_or_measured_is_no_phone(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize(
    "document",
    [
        {"automobile": "12345678", "mobileOrderNo": "4500018823", "callTicket": "2026004512"},
        {"bearerLoadKg": 1200, "pinDiameter": 12, "passMark": 70, "tokensPerMinute": 500},
    ],
    ids=str,
)
def test_a_key_that_goes_on_to_a_thing_or_a_measure_hides_nothing(document: dict[str, Any]) -> None:
    assert redact(document) == document
    assert redact({"passwordResetToken": "a8f3"}) == {"passwordResetToken": "[secret]"}
