"""What goes out is what is there: page by page, by name if asked, and readable by others."""

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest

import lockside
from domain.errors import InvalidInput, PermissionDenied
from models.base import kinds
from tests.factories import tickets
from tests.sentences import Sentences


def read_csv(site: lockside.Session, kind: str, **options: Any) -> list[dict[str, str]]:
    text = "".join(site.export_text(kind, **options))
    return list(csv.DictReader(StringIO(text, newline="")))


@pytest.fixture
def small_pages(site: lockside.Session) -> None:
    site.platform = replace(site.platform, pace=replace(site.platform.pace, export_rows=3))


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("rows", [0, 1, 2, 3, 4, 6, 7])
def test_every_row_goes_out_once_in_the_order_of_ids(site: lockside.Session, rows: int) -> None:
    ids = tickets(site, rows)

    assert [row["id"] for row in site.export("ticket", fields=["id"])] == ids


@pytest.mark.usefixtures("small_pages")
def test_no_transaction_is_open_between_pages(site: lockside.Session) -> None:
    tickets(site, 7)
    rows = site.export("ticket")

    next(rows)

    assert site.platform.database.pool.checkedout() == 0  # type: ignore[attr-defined]


@pytest.mark.usefixtures("small_pages")
def test_what_changes_meanwhile_neither_doubles_nor_hides_other_rows(
    site: lockside.Session,
) -> None:
    ids = tickets(site, 7)
    rows = site.export("ticket", fields=["id"])
    begun = [next(rows)["id"] for _ in range(3)]

    site.records("ticket").delete(ids[1])
    site.records("ticket").delete(ids[4])
    (late,) = tickets(site, 1)

    rest = [row["id"] for row in rows]
    assert begun + rest == [*ids[:4], *ids[5:], late]


def test_only_rows_of_a_state_can_be_asked_for(site: lockside.Session) -> None:
    tickets(site, 2)
    (row,) = tickets(site, 1, state="OPEN")

    found = site.export("ticket", state="open", fields=["id", "state"])

    assert list(found) == [{"id": row, "state": "OPEN"}]


def test_neither_another_tenants_rows_nor_deleted_ones_go_out(site: lockside.Session) -> None:
    gone, stays = tickets(site, 2)
    site.records("ticket").delete(gone)
    site.act_as("other", "admin")
    tickets(site, 1)
    site.act_as("demo", "admin")

    assert [row["id"] for row in site.export("ticket", fields=["id"])] == [stays]


@pytest.mark.parametrize("kind", kinds())
def test_by_default_goes_out_what_an_import_takes(site: lockside.Session, kind: str) -> None:
    header = "".join(site.export_text(kind)).strip().split(",")

    assert header[0] == "reference"
    assert {"state", "state_since"} <= set(header)
    assert not {"id", "uuid", "version", "tenant_id", "created_at", "deleted_at"} & set(header)


@pytest.mark.parametrize("names", [False, True])
def test_columns_go_out_in_the_order_that_is_asked_for(site: lockside.Session, names: bool) -> None:
    tickets(site, 1)

    (row,) = site.export("ticket", fields=["version", "site", "title", "id"], names=names)

    assert list(row) == ["version", "site" if names else "site_id", "title", "id"]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("ticket", {"fields": ["colour"]}),
        ("ticket", {"fields": ["tenant_id"]}),
        ("ticket", {"fields": ["deleted_at"]}),
        ("ticket", {"fields": ["title", "title"]}),
        ("ticket", {"fields": ["site", "site_id"]}),
        ("ticket", {"fields": []}),
        ("ticket", {"state": "GONE"}),
        ("lift", {}),
    ],
)
def test_what_is_not_known_is_refused_before_the_first_row(
    site: lockside.Session, kind: str, options: dict[str, Any], says: Sentences
) -> None:
    with pytest.raises(InvalidInput, check=says):
        site.export(kind, **options)


def test_who_may_not_see_is_refused(site: lockside.Session, says: Sentences) -> None:
    nobody = site.records("person").create(name="nobody")
    site.act_as("demo", nobody["name"])

    with pytest.raises(PermissionDenied, check=says):
        site.export("ticket")


def test_other_records_go_out_by_name_if_they_have_one(site: lockside.Session) -> None:
    harbor = site.records("site").create(name="Harbor Mall")["id"]
    tour, bare = site.import_work(
        "task",
        [
            {
                "title": "Tour",
                "reference": reference,
                "site": harbor,
                "assigned_to_user": "asha",
                "state": "AUTOCLOSED",
            }
            for reference in ("T-1", None)
        ],
    )
    site.import_work("task", [{"title": "Door", "parent": each} for each in (tour, bare)])
    site.records("site").delete(harbor)

    fields = ["site", "assigned_to_user", "parent", "created_by"]
    rows = [tuple(row.values()) for row in site.export("task", fields=fields, names=True)]

    assert rows == [
        ("Harbor Mall", "asha", None, "admin"),
        ("Harbor Mall", "asha", None, "admin"),
        (None, None, "T-1", "admin"),
        (None, None, str(bare), "admin"),
    ]


@pytest.mark.parametrize(
    "title",
    [
        'say "hi"',
        "a,b",
        "two\nlines",
        "two\r\nlines",
        "a\rb",
        " spaces ",
        "=1+1",
        "ä€😀",
        "\ufeff",
        "\x1f\x1e\\N",
    ],
)
def test_a_cell_holds_what_the_row_holds(site: lockside.Session, title: str) -> None:
    site.import_work("ticket", [{"title": title}])

    (row,) = read_csv(site, "ticket")
    (line,) = "".join(site.export_text("ticket", "ndjson")).split("\n")[:-1]
    assert (row["title"], json.loads(line)["title"]) == (title, title)


def test_csv_is_as_rfc_4180_has_it(site: lockside.Session) -> None:
    site.import_work("ticket", [{"title": 'say "hi"'}, {"title": "a,b"}])

    text = "".join(site.export_text("ticket", fields=["title", "description"]))

    assert text == 'title,description\r\n"say ""hi""",\r\n"a,b",\r\n'


def test_a_time_goes_out_with_its_zone(site: lockside.Session) -> None:
    since = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
    site.import_work("ticket", [{"title": "Leak", "state_since": since}])

    (row,) = read_csv(site, "ticket")

    assert row["state_since"] == "2026-11-22T09:30:00+00:00"


@pytest.mark.usefixtures("small_pages")
def test_it_is_told_how_many_rows_are_out(site: lockside.Session) -> None:
    tickets(site, 7)
    told: list[int] = []

    pieces: Iterator[str] = site.export_text("ticket", on_progress=told.append)

    assert (len("".join(pieces)) > 0, told) == (True, [3, 6, 7])
