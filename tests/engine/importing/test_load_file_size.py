"""However long a file is, it takes no more memory, and every bad line of it is told."""

from collections.abc import Iterator
from typing import Any

import pytest

import lockside
from lockside.session.import_export import Reject
from tests.engine.work_files import Endless, load, rows_of

pytestmark = pytest.mark.slow


def test_a_file_is_read_no_further_than_what_is_being_stored(site: lockside.Session) -> None:
    lines = (b"title\n" if n == 0 else b"Task %06d\n" % n for n in range(60_001))
    source: Any = Endless(lines)
    ahead: list[int] = []

    site.load(
        "task",
        source,
        form="csv",
        on_progress=lambda each: ahead.append(source.read - 12 * each.read),
    )

    # Two batches that are stored, one that waits, and a block.
    assert max(ahead) <= 12 * (3 * 5_000 + 2_000)


SORTS = 10
EVERY = 400


def hundred_thousand() -> Iterator[str]:
    """Yield tasks, one in 400 of them bad: 25 of each of ten sorts."""
    yield "Reference,Title,Where,Due,State\n"
    for n in range(100_000):
        cells = [f"T-{n:06}", f"Check pump {n}", f"Site {n % 7}", "2026-11-22T09:30:00Z", ""]
        if n % EVERY == EVERY - 1:
            spoil(cells, n // EVERY % SORTS, n)
        yield ",".join(cells) + "\n"


def spoil(cells: list[str], sort: int, n: int) -> None:
    spoilt: list[tuple[int, str]] = [
        (0, f"T-{n - 1:06}"),
        (1, ""),
        (1, "x" * 10_001),
        (1, "Pu\x00mp"),
        (2, "Nowhere"),
        (3, "2026-11-22T09:30:00"),
        (3, "22.11.2026"),
        (4, "GONE"),
        (4, "ASSIGNED,more"),
        (1, f'"Check pump {n}'),
    ]
    place, value = spoilt[sort]
    cells[place] = value


FAULTS = [
    ("reference", "duplicate_reference"),
    ("title", "value_missing"),
    ("title", "too_long"),
    ("title", "bad_characters"),
    ("site_id", "unknown_reference"),
    ("due_at", "zone_missing"),
    ("due_at", "not_a_time"),
    ("state", "unknown_state"),
    (None, "wrong_columns"),
    (None, "broken_line"),
]


@pytest.mark.timeout(900)
def test_of_a_hundred_thousand_tasks_every_bad_line_is_told_and_the_rest_is_in(
    site: lockside.Session,
) -> None:
    """Takes some seconds: it is the size that is the point."""
    site.add_named("site", [f"Site {n}" for n in range(7)])
    content = "".join(hundred_thousand())
    bad = range(EVERY - 1, 100_000, EVERY)

    told: list[Reject] = []
    loaded = load(
        site,
        "task",
        content,
        columns={"Where": "site", "Due": "due_at"},
        on_reject=told.append,
    )

    assert [(each.line, each.field, each.code) for each in told] == [
        (n + 2, *FAULTS[n // EVERY % SORTS]) for n in bad
    ]
    assert all(each.reason for each in told)
    assert (loaded.read, loaded.new, loaded.bad) == (100_000, 99_750, 250)
    fine = {f"T-{n:06}" for n in range(100_000)} - {f"T-{n:06}" for n in bad}
    assert {reference for (reference,) in rows_of(site, "task", "reference")} == fine
    assert site.states("task") == {"ASSIGNED": 99_750}


def test_a_record_without_end_is_given_up_at_its_first_line(site: lockside.Session) -> None:
    lines = (b"title\n" if n == 0 else b'"' if n == 1 else b'x\n","' for n in range(10_000_000))
    source: Any = Endless(lines)
    told: list[Reject] = []

    def stop(rejected: Reject) -> None:
        told.append(rejected)
        raise EOFError

    with pytest.raises(EOFError):
        site.load("task", source, form="csv", on_reject=stop)

    assert (told[0].line, told[0].code) == (2, "broken_line")
    assert told[0].value == "lines without an end of the record"
    assert source.read < 4_000_000
