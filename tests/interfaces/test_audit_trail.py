"""The audit as people and programs read it: the same from Python and the command line."""

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

import lockside
from domain.errors import InvalidInput, NotFound, PermissionDenied
from engine.audit.writer import write_records
from tests.engine.steps import ask, drain, query
from tests.factories import tickets, work_orders
from tests.interfaces.commands import at_a_terminal, call
from tests.sentences import Sentences
from worker.settings import Settings

COLUMNS = 100
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


@pytest.fixture
def moved(site: lockside.Session) -> list[int]:
    """Bring tickets in and open them, with their records."""
    ids = tickets(site, 3)
    drain(site, ask(site, ids, kind="ticket", target="OPEN", comments="Spring batch"))
    write_records(site.platform)
    return ids


@pytest.fixture
def victor(site: lockside.Session) -> Iterator[lockside.Session]:
    """Act as who only looks."""
    actor = site.actor
    site.act_as("demo", "victor")
    yield site
    site.actor = actor


def test_python_yields_the_trail_of_a_row(site: lockside.Session, moved: list[int]) -> None:
    told = list(site.trail("ticket", moved[0]))

    assert [each["event_type"] for each in told] == ["STATE_CHANGED", "CREATED"]


def test_the_command_line_tells_what_python_tells(
    site: lockside.Session, settings: Settings, moved: list[int]
) -> None:
    answer = call(settings, "audit", "trail", "ticket", moved[0], "--json")

    assert [each["event_id"] for each in answer.json] == [
        str(each["event_id"]) for each in site.trail("ticket", moved[0])
    ]


def test_the_trail_goes_on_behind_its_cursor(settings: Settings, moved: list[int]) -> None:
    words = ("audit", "trail", "ticket", "--limit", 2)
    first = call(settings, *words)
    _, _, cursor = first.err.partition("--after ")

    more = call(settings, *words, "--after", cursor.strip(), "--json")
    whole = call(settings, "audit", "trail", "ticket", "--limit", 4, "--json")

    assert [each["event_id"] for each in more.json] == [each["event_id"] for each in whole.json[2:]]


@pytest.mark.parametrize("limit", [None, 5])
def test_pages_are_read_one_after_the_other(
    site: lockside.Session, moved: list[int], limit: int | None
) -> None:
    whole = list(site.trail("ticket"))
    usual = site.platform
    site.platform = replace(usual, pace=replace(usual.pace, export_rows=2))

    told = list(site.trail("ticket", limit=limit))

    assert len(whole) > 5
    assert told == whole[:limit]


def test_the_trail_of_everything_needs_a_permission_of_its_own(
    victor: lockside.Session, says: Sentences
) -> None:
    for ask_for in (victor.trail, victor.anomalies, lambda: victor.trail("ticket")):
        with pytest.raises(PermissionDenied, check=says):
            ask_for()


def test_the_trail_of_a_row_takes_the_permission_to_view_it(
    moved: list[int], victor: lockside.Session
) -> None:
    assert len(list(victor.trail("ticket", moved[0]))) == 2


def test_who_may_not_read_the_trail_leaves_a_denial(
    site: lockside.Session, victor: lockside.Session
) -> None:
    with pytest.raises(PermissionDenied):
        victor.trail()
    write_records(site.platform)

    (denial,) = query(
        site,
        "SELECT kind, attempted_action FROM permission_denial_audit WHERE kind = 'audit'"
        " ORDER BY occurred_at DESC LIMIT 1",
    )
    assert denial == {"kind": "audit", "attempted_action": "view"}


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"operation": "x"}, "operation"),
        ({"record": "letter"}, "record"),
        ({"event": "seen"}, "event"),
        ({"since": datetime(2026, 11, 1)}, "since"),  # noqa: DTZ001 -- that is what is refused
        ({"after": "x"}, "after"),
        ({"colour": "red"}, "colour"),
    ],
    ids=lambda each: str(each)[:20],
)
def test_a_wish_that_makes_no_sense_is_refused(
    site: lockside.Session, wanted: dict[str, Any], field: str, says: Sentences
) -> None:
    with pytest.raises(InvalidInput, check=says) as refused:
        site.trail(**wanted)

    assert refused.value.facts["field"] == field


def test_a_person_who_never_was_is_not_found(site: lockside.Session) -> None:
    with pytest.raises(NotFound):
        site.trail(by="nobody")


@pytest.mark.parametrize("words", [["--failed", "--done"], ["--by", "asha", "--by-system"]])
def test_what_excludes_each_other_is_refused(settings: Settings, words: list[str]) -> None:
    assert call(settings, "audit", "trail", *words).code == 2


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_an_export_holds_every_record_that_the_trail_tells(
    site: lockside.Session, settings: Settings, moved: list[int], folder: Path, form: str
) -> None:
    file = folder / f"trail.{form}"

    answer = call(settings, "audit", "export", "ticket", "--by", "admin", "--out", file)

    text = file.read_text(encoding="utf-8")
    rows = (
        list(csv.DictReader(StringIO(text)))
        if form == "csv"
        else list(map(json.loads, text.splitlines()))
    )
    told = list(site.trail("ticket", by="admin"))
    assert [each["event_id"] for each in rows] == [str(each["event_id"]) for each in told]
    assert answer.out.strip() == f"{len(told):,} records are in {file}."


def test_changes_stand_as_json_in_a_cell(site: lockside.Session, moved: list[int]) -> None:
    text = "".join(site.trail_text("csv", "ticket", moved[0], event="created"))

    (row,) = csv.DictReader(StringIO(text))
    assert json.loads(row["changes"])["title"] == {"before": None, "after": "Ticket 0"}


def test_an_export_is_read_in_pages_that_follow_each_other(
    site: lockside.Session, moved: list[int]
) -> None:
    pieces = list(site.trail_text("ndjson", "ticket", oldest_first=True, limit=4))

    assert len("".join(pieces).splitlines()) == 4


def test_an_export_goes_on_behind_a_record(site: lockside.Session, moved: list[int]) -> None:
    first, *others = site.trail("ticket", moved[0])

    text = "".join(site.trail_text("ndjson", "ticket", moved[0], after=site.cursor_of(first)))

    behind = [json.loads(line)["event_id"] for line in text.splitlines()]
    assert behind == [str(each["event_id"]) for each in others]


def test_the_past_is_told_at_the_command_line(
    site: lockside.Session, settings: Settings, moved: list[int]
) -> None:
    opened, _ = site.trail("ticket", moved[0])
    at = opened["occurred_at"].isoformat()
    site.records("ticket").update(moved[0], title="Flood")

    now = call(settings, "audit", "as-of", "ticket", moved[0], "--at", "0s")
    then = call(settings, "audit", "as-of", "ticket", moved[0], "--at", at, "--json")

    assert "Flood" in now.out
    assert then.json["values"]["title"] == "Ticket 0"


def test_a_time_that_is_yet_to_come_is_refused(settings: Settings, moved: list[int]) -> None:
    answer = call(settings, "audit", "as-of", "ticket", moved[0], "--at", "+1h")

    assert (answer.code, "--at: got" in answer.err) == (2, True)


def test_the_states_of_a_kind_are_counted_at_a_time(
    site: lockside.Session, settings: Settings, moved: list[int]
) -> None:
    answer = call(settings, "audit", "as-of", "ticket", "--at", "0s", "--json")

    assert answer.json["states"] == site.states("ticket")


def test_the_times_in_states_are_drawn(site: lockside.Session, settings: Settings) -> None:
    (row_id,) = tickets(site, 1, state_since=datetime.now(UTC) - timedelta(hours=4))
    drain(site, ask(site, [row_id], kind="ticket", target="OPEN"))

    answer = call(settings, "audit", "times", "ticket", row_id)

    new, here = answer.out.splitlines()[1:]
    assert new.split()[:3] == ["NEW", "4", "h"]
    assert "█" in new
    assert "← now" in here


def test_what_is_usual_for_a_kind_is_drawn(settings: Settings, moved: list[int]) -> None:
    answer = call(settings, "audit", "times", "ticket")

    assert answer.out.splitlines()[0].split()[:3] == ["state", "stays", "median"]


def test_an_anomaly_is_told_with_where_to_look(site: lockside.Session, settings: Settings) -> None:
    query(
        site,
        "INSERT INTO audit_rollup SELECT :tenant, :now - make_interval(hours => n), 'ticket',"
        " :actor, 5, CASE n WHEN 2 THEN 90 ELSE 1 END, 0, 0, 0, 0, 0, 0"
        " FROM generate_series(0, 100) AS n",
        tenant=site.actor.tenant_id,
        actor=site.actor.person_id,
        now=NOW,
    )

    answer = call(settings, "audit", "anomalies")

    since = f"{NOW - timedelta(hours=2):%Y-%m-%dT%H:%MZ}"
    assert "failures of ticket" in answer.out
    assert f"lockside audit trail ticket --failed --since {since}" in answer.out
    assert site.anomalies()[0]["came"] == 90


@pytest.mark.parametrize(
    "words",
    [["trail"], ["times", "ticket"], ["as-of", "ticket", "--at", "0s"], ["anomalies"]],
    ids=" ".join,
)
def test_tables_are_readable_in_a_hundred_columns(
    site: lockside.Session, settings: Settings, words: list[str]
) -> None:
    drain(site, ask(site, work_orders(site, 2), comments="A word for everybody who reads this"))
    write_records(site.platform)

    answer = at_a_terminal(settings, "audit", *words, columns=COLUMNS)

    assert answer.code == 0
    assert max(map(len, answer.out.splitlines())) <= COLUMNS
