"""Files of work go out by the command line, and come in elsewhere as they were."""

from pathlib import Path
from typing import Any

import pytest

import lockside
from tests.interfaces.commands import Answer, call
from worker.settings import Settings


@pytest.fixture(autouse=True)
def tenant(site: lockside.Session, request: pytest.FixtureRequest) -> str:
    """Give the test a tenant of its own."""
    name = request.node.name
    site.open_tenant(name, {"admin": ["admin", "manager"], "victor": ["viewer"]})
    site.act_as(name, "admin")
    return str(name)


@pytest.fixture
def out(settings: Settings, tenant: str) -> Any:
    """Export by the command line."""

    def out(*words: object) -> Answer:
        return call(settings, "export", *words, "--tenant", tenant)

    return out


def test_rows_go_to_standard_output_or_to_a_file(
    site: lockside.Session, out: Any, folder: Path
) -> None:
    site.import_work("ticket", [{"title": "Leak"}, {"title": 'say "hi"'}])

    printed = out("ticket", "--fields", "title, state")
    written = out("ticket", "--fields", "title,state", "--out", folder / "a.csv")

    assert printed.out == 'title,state\nLeak,NEW\n"say ""hi""",NEW\n'
    assert (folder / "a.csv").read_bytes() == b'title,state\r\nLeak,NEW\r\n"say ""hi""",NEW\r\n'
    assert (printed.code, written.code, written.out) == (
        0, 0, f"2 rows of ticket are in {folder / 'a.csv'}.\n",
    )  # fmt: skip


def test_the_ending_of_the_file_says_its_form(
    site: lockside.Session, out: Any, folder: Path
) -> None:
    site.import_work("ticket", [{"title": "Leak"}])

    out("ticket", "--fields", "title", "--out", folder / "a.ndjson")

    assert (folder / "a.ndjson").read_text() == '{"title": "Leak"}\n'


def test_a_file_is_replaced_when_all_is_out(site: lockside.Session, out: Any, folder: Path) -> None:
    (folder / "a.csv").write_text("of yesterday")

    refused = out("ticket", "--fields", "colour", "--out", folder / "a.csv")
    kept = (folder / "a.csv").read_text()
    out("ticket", "--fields", "title", "--out", folder / "a.csv")

    assert (refused.code, kept) == (2, "of yesterday")
    assert [each.read_text() for each in folder.iterdir()] == ["title\n"]


def test_programs_get_an_array(site: lockside.Session, out: Any) -> None:
    site.import_work("ticket", [{"title": "Leak"}])

    assert out("ticket", "--fields", "title", "--json").json == [{"title": "Leak"}]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("lift",), 2, "lift"),
        (("ticket", "--state", "GONE"), 2, "--state"),
        (("ticket", "--fields", "colour"), 2, "--fields"),
        (("ticket", "--out", "{folder}"), 2, "directory"),
        (("ticket", "--out", "{folder}/a.xlsx"), 2, "csv or ndjson"),
        (("ticket", "--out", "{folder}/none/a.csv"), 2, "No such file"),
        (("ticket", "--actor", "nobody"), 6, "nobody"),
    ],
)
def test_an_export_that_is_not_understood_is_refused(
    out: Any, folder: Path, words: tuple[str, ...], code: int, told: str
) -> None:
    answer = out(*(each.format(folder=folder) for each in words))

    assert (answer.code, answer.out, told in answer.err) == (code, "", True)
    assert list(folder.iterdir()) == []


PLACES: dict[str, dict[str, Any]] = {
    "site": {"name": "Harbor, Mall", "latitude": 19.0, "longitude": 72.0, "radius_m": 100.0},
    "job": {"name": "Guard tour", "asks_for": ["doors"]},
    "vendor": {"name": "Acme Lifts"},
    "team": {"name": "Night"},
    "ticket_category": {"name": 'The "big" ones'},
}

WORK: dict[str, list[dict[str, Any]]] = {
    "work_order": [
        {"reference": "W-1", "title": 'Say "hi",\nplease', "vendor": "Acme Lifts",
         "site": "Harbor, Mall", "due_at": "2026-11-22T09:30:00.123456+05:30", "state": "CLOSED",
         "state_since": "2026-11-01T00:00:00Z"},
        {"reference": None, "title": "=1+1", "vendor": None, "site": None, "due_at": None,
         "state": "DRAFT", "state_since": "2026-11-01T00:00:00Z"},
    ],
    "task": [
        {"reference": "T-1", "title": "Tour", "job": "Guard tour", "parent": None,
         "assigned_to_user": "admin", "assigned_to_team": "Night"},
        {"reference": None, "title": "Door", "job": None, "parent": "T-1",
         "assigned_to_user": None, "assigned_to_team": None},
    ],
    "attendance": [
        {"person": "admin", "site": "Harbor, Mall", "datefor": "2026-11-20",
         "punchintime": "2026-11-20T03:00:00Z", "punchouttime": "2026-11-20T11:00:00Z",
         "ctzoffset": 330, "punchin_latitude": 19.00001, "punchin_longitude": 1 / 3,
         "state": "ADJUSTED"},
    ],
    "ticket": [
        {"title": "ä€😀", "description": " a\r\nb ", "priority": "HIGH",
         "category": 'The "big" ones', "site": "Harbor, Mall", "state": "CANCELLED"},
    ],
}  # fmt: skip


def furnish(site: lockside.Session) -> None:
    for resource_type, values in PLACES.items():
        site.records(resource_type).create(**values)


@pytest.mark.parametrize("form", ["csv", "ndjson"])
@pytest.mark.parametrize("kind", WORK)
def test_what_went_out_comes_in_elsewhere_as_it_was(
    site: lockside.Session, settings: Settings, folder: Path, kind: str, form: str
) -> None:
    furnish(site)
    site.import_work(kind, WORK[kind])
    here = list(site.export(kind, names=True))
    (folder / f"rows.{form}").write_text("".join(site.export_text(kind, form, names=True)))
    there = f"there {kind} {form}"
    site.open_tenant(there, {"admin": ["admin"]})
    site.act_as(there, "admin")
    furnish(site)

    answer = call(settings, "import", kind, folder / f"rows.{form}", "--tenant", there)

    assert answer.code == 0, answer.out
    assert list(site.export(kind, names=True)) == here
