"""Phone numbers: find them in free text by their `+`, their grouping or the words beside them.

A phone number has no check digit. What starts with `+` is one if its country has such numbers;
some groupings are used for nothing else; any other needs a word such as *call* beside it, and a
word such as *order* or *meter* excludes all but the first.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

import phonenumbers

from domain.redaction.labels import label_of

# Digits in groups; a slash only as in 030/1234567.
_RUN = re.compile(
    r"(?<![A-Za-z0-9_])[+(]{0,3} ?\d(?:[\d()]|(?: {1,2}| ?- ?|\.|/|-? ?\((?=\d))(?=[\d(]))*+"
)
_GROUP = re.compile(r"\d+")
_GLUED = re.compile("[A-Za-z_]")
_BETWEEN = 10
_MOST_GROUPS, _LEAST, _MOST = 8, 7, 15

_UNIT_AFTER = re.compile(
    r"\s?(?:kwh|kw|kva|wh|mm|cm|m2|m3|ltrs?|litres?|kg|pa|bar|psi|rpm|hrs?|hours|min|mins|sec|days|pcs|nos"
    r"|units?|eur|usd|inr|rs|kes|aed|sqft|sq|ccf|lei|zl|kc|kr|ft|lbs|°|%|€|\$|₹|£|₽|₦|円|元|원|บาท|台|件|个)(?![a-z])"
)
_AND = re.compile(
    r"\s*(?:,|/|&|\+|\||;|or|and|to|und|oder|et|ou|y|o|e|i|en|of|ve|veya|bis|dan|atau|ya|aur|और|या|а|и|или"
    r"|و|او|、|・|->|→|y/o|and/or|-)?\s*"
)


def digits_of(value: str) -> str:
    """Return the digits of a number, however they are grouped."""
    return "".join(_GROUP.findall(value))


def phones_in(plain: str, low: str, label: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of the phone numbers of a folded text.

    Args:
        plain: The text with everything that was recognized before blanked.
        low: The whole text in small letters, for the words beside a number.
        label: What the key of the text says: `phone`, `id`, or an empty text.
    """
    last_end, last_label = -1, ""
    for run in _RUN.finditer(plain):
        groups = [
            (run.start() + group.start(), run.start() + group.end())
            for group in _GROUP.finditer(run[0])
        ]
        if _GLUED.match(plain, groups[-1][1]):
            del groups[-1]
        if not groups:
            continue
        if sum(end - start for start, end in groups) < _LEAST:
            continue
        run_label = ""
        if 0 <= run.start() - last_end <= _BETWEEN and _AND.fullmatch(low, last_end, run.start()):
            run_label = last_label
        run_label = label_of(low, plain, run.start(), groups[-1][1]) or run_label or label
        if run_label != "phone" and "+" not in run[0] and _UNIT_AFTER.match(low, groups[-1][1]):
            continue
        for start, end in _split(plain, low, groups, run_label):
            yield start, end
            run_label = "phone"
        last_end, last_label = run.end(), run_label


def _split(
    plain: str, low: str, groups: list[tuple[int, int]], label: str
) -> Iterator[tuple[int, int]]:
    """Yield the phone numbers of one run of groups: the sure ones, or all of it if labelled so."""
    first, any_found = 0, False
    while first < len(groups):
        last = _longest_sure(plain, groups, first, label)
        if last is None:
            first += 1
            continue
        any_found = True
        yield _with_brackets(plain, groups[first][0], groups[last][1])
        first = last + 1
    if not any_found and label == "phone":
        start, end = groups[0][0], groups[-1][1]
        value = plain[start:end]
        is_phone = _LEAST <= len(digits_of(value)) <= _MOST and not _SERIAL.fullmatch(value)
        if is_phone and not (_UNIT_AFTER.match(low, end) or _is_decimal(value)):
            yield _with_brackets(plain, start, end)


def _is_decimal(value: str) -> bool:
    return re.fullmatch(r"[1-9]?\d{0,6}\.\d+", value) is not None


def _longest_sure(plain: str, groups: list[tuple[int, int]], first: int, label: str) -> int | None:
    """Return the last group of the longest phone number that begins with group *first*."""
    start, count, longest = groups[first][0], 0, None
    for last in range(first, min(len(groups), first + _MOST_GROUPS)):
        begin, end = groups[last]
        count += end - begin
        if count > _MOST:
            break
        # Single digits in a row are a table, not a phone number.
        is_long = count >= _LEAST and count >= 2 * (last - first)
        if _is_cut(plain, groups, first, last):
            continue
        if is_long and _is_sure(plain, start, plain[start:end], label):
            longest = last
    return longest


def _is_cut(plain: str, groups: list[tuple[int, int]], first: int, last: int) -> bool:
    """Say whether a dash or a dot joins this to more digits: then it is part of an identifier."""
    is_first, is_last = first == 0, last == len(groups) - 1
    before, after = plain[groups[first][0] - 1], plain[groups[last][1] : groups[last][1] + 1]
    return (not is_first and before in "-.") or (not is_last and after in ("-", "."))


def _is_sure(plain: str, start: int, value: str, label: str) -> bool:
    digits = digits_of(value)
    lead = plain[max(0, start - 3) : start]
    if "+" in lead:
        return _is_international(digits)
    if label == "id":
        return False
    sizes = tuple(len(group) for group in _GROUP.findall(value))
    if len(sizes) == 1:
        return _is_sure_ungrouped(digits, label)
    if "(" in lead and ")" in value and 2 <= sizes[0] <= 5:
        return len(digits) >= 8 and not digits.startswith("00")
    is_weak = label == "weak" and _is_likely(digits, sizes, value)
    return is_weak or _is_grouped(digits, sizes, value)


def _is_likely(digits: str, sizes: tuple[int, ...], value: str) -> bool:
    """Say whether this is grouped as phone numbers often are: enough where a word suggests one."""
    if digits[0] == "0":
        is_dated = _YEAR.search(value) is not None or min(sizes) < 2 or digits[1] == "0"
        return 8 <= len(digits) <= 12 and len(sizes) <= 4 and max(sizes) > 2 and not is_dated
    if _SERIAL.fullmatch(value) or _DAY.fullmatch(value) or value.count("/") > (sizes[-1] == 4):
        return False
    return _WEAK_SHAPES.get(sizes, _NEVER).fullmatch(digits) is not None


@lru_cache(maxsize=4096)
def _is_international(digits: str) -> bool:
    try:
        number = phonenumbers.parse(f"+{digits}", None)
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.is_possible_number(number)


@lru_cache(maxsize=4096)
def _is_valid(digits: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(f"+{digits}", None))
    except phonenumbers.NumberParseException:
        return False


_ALONE = re.compile(r"[6-9](?!\d*0{5}$)\d{9}|91[6-9]\d{9}|0[1-9]\d{8,9}|00[1-9]\d{10,12}")


def _is_sure_ungrouped(digits: str, label: str) -> bool:
    if label == "weak" and _WEAK_ALONE.fullmatch(digits):
        return True
    if label == "weak" and len(digits) == _AMERICAN and _NANP.fullmatch(digits):
        return _is_valid(f"1{digits}")
    if _ALONE.fullmatch(digits) is None:
        return False
    return not digits.startswith("00") or _is_valid(digits[2:])


_WEAK_ALONE = re.compile(r"1[3-9]\d{9}|[78]9\d{9}")
_NEVER = re.compile(r"(?!)")
_WEAK_SHAPES = {
    (4, 4): re.compile(r"[235-9]\d{7}"),
    (2, 2, 2, 2): re.compile(r"[2-9]\d{7}"),
    (2, 3, 3): re.compile(r"[2-9]\d{7}"),
    (2, 4, 4): re.compile(r"[1-9]\d{9}"),
    (3, 4): re.compile(r"[2-9]\d{6}"),
    (3, 3, 3): re.compile(r"[2-9]\d{8}"),
    (3, 2, 2, 2): re.compile(r"[2-9]\d{8}"),
    (2, 3, 4): re.compile(r"[2-9]\d{8}"),
    (3, 3, 2, 2): re.compile(r"[2-9]\d{9}"),
    (3, 3, 4): re.compile(r"[1-9]\d{9}"),
}
_AMERICAN = 10
_NANP = re.compile(r"1?[2-9]\d\d[2-9]\d{6}")
_INDIAN = {
    (5, 5),
    (4, 3, 3),
    (3, 3, 4),
    (4, 6),
    (3, 4, 3),
    (2, 4, 4),
    (2, 8),
    (6, 4),
    (3, 7),
    (2, 3, 5),
}
_SHAPES = {
    (3, 3, 4): _NANP,
    (1, 3, 3, 4): _NANP,
    (3, 7): _NANP,
    (3, 3, 3): re.compile(r"[5-9]\d{8}"),
    (2, 3, 2, 2): re.compile(r"[1-9]\d{8}"),
    (3, 2, 3): re.compile(r"[49]\d{7}"),
    (3, 2, 2, 2): re.compile(r"[6-9]\d{8}"),
    (3, 4, 4): re.compile(r"1[3-9]\d{9}"),
    (2, 5, 4): re.compile(r"\d\d9\d{8}"),
    (1, 3, 3, 2, 2): re.compile(r"[78]\d{10}"),
    (1, 5, 5): re.compile(r"0[6-9]\d{9}"),
    (4, 3, 4): re.compile(r"1[3589]00\d{7}|18[0-9]0\d{7}"),
    (4, 3, 3): re.compile(r"1[3589]00\d{6}|18[0-9]0\d{6}"),
}
# Postcodes, and serial numbers within a year: 2026-004512.
_SERIAL = re.compile(r"\d{5}-\d{3}|(?:19|20)\d\d[-/](?![1-9]\d{3}$)\d{3,}|(?:19|20)\d\d/\d+")
_DAY = re.compile(r"20\d\d[ -](?:0[1-9]|1[0-2])[ -]?(?:0[1-9]|[12]\d|3[01])")
# Measurements are round, phone numbers hardly ever: 600 300 1200.
_ROUND = re.compile(r"\d+00(?:\D\d+00)+")
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")


def _is_grouped(digits: str, sizes: tuple[int, ...], value: str) -> bool:
    """Say whether only phone numbers are grouped like this."""
    is_decimal = "." in value and len(sizes) == 2 and digits[0] != "0"
    if is_decimal or _ROUND.fullmatch(value):
        return False
    shape = _SHAPES.get(sizes)
    if shape is not None and shape.fullmatch(digits) and "/" not in value:
        return True
    if len(digits) == 10 and digits[0] in "6789" and sizes in _INDIAN:
        return True
    if digits.startswith("00"):
        return len(digits) > 10 and _is_valid(digits[2:])
    if digits[0] == "0":
        is_dated = len(sizes) == 3 and _YEAR.search(value) is not None and " " not in value
        return 9 <= len(digits) <= 12 and sizes[0] > 1 and not is_dated
    is_with_code = sizes[0] <= 3 and len(sizes) >= 3 and 10 <= len(digits) <= 13
    return is_with_code and "." not in value and "/" not in value and _is_valid(digits)


def _with_brackets(plain: str, start: int, end: int) -> tuple[int, int]:
    """Return the span of a phone number together with its plus and its brackets."""
    while (start and plain[start - 1] in "+(") or (start > 1 and plain[start - 2 : start] == "+ "):
        start -= 1
    value = plain[start:end]
    if value.count("(") > value.count(")") and value.startswith("("):
        start += 1
    if (
        end < len(plain)
        and plain[end] == ")"
        and plain[start:end].count("(") > plain[start:end].count(")")
    ):
        end += 1
    return start, end
