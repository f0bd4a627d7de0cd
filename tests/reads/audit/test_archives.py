"""Archives by Python and by the command line: found by what is known of a record, and no more."""

import json
from datetime import timedelta
from typing import Any

import pytest

import lockside
from domain.errors import InvalidInput, NotFound, PermissionDenied, RuleRefused, Unavailable
from tests.engine.archives import AUGUST, MAY, archive, file_of, record, rewrite, stored
from tests.interfaces.commands import call
from tests.sentences import Sentences
from worker.settings import Settings

pytestmark = pytest.mark.slow

EVEN_AUGUST = AUGUST + timedelta(days=120)


@pytest.fixture
def ids(site: lockside.Session) -> list[int]:
    """Give work orders whose records are in archives, the second five from August."""
    made = record(site) + record(site, AUGUST)
    archive(site, EVEN_AUGUST)
    return made


def entities(site: lockside.Session, **wanted: Any) -> list[int]:
    """Return the rows whose transitions a search finds."""
    found = site.archives.search(**wanted)
    return [each["entity_id"] for each in found if each["record"] == "state_transition_audit"]


def test_a_row_is_found_in_archives(site: lockside.Session, ids: list[int]) -> None:
    found = list(site.archives.search(kind="work_order", row_id=ids[0]))

    assert [each["record"] for each in found] == ["audit_log", "state_transition_audit"]
    assert {each["entity_id"] for each in found} == {ids[0]}
    assert not any({"salt", "commitment"} & each.keys() for each in found)


def test_a_number_within_another_is_none(site: lockside.Session, ids: list[int]) -> None:
    assert entities(site, row_id=10**6 + ids[0]) == []


def test_a_span_is_found_in_archives(site: lockside.Session, ids: list[int]) -> None:
    assert entities(site, since=AUGUST) == ids[5:]
    assert entities(site, until=AUGUST) == ids[:5]
    assert entities(site, since=MAY, until=MAY) == []


def test_a_persons_doings_are_found_in_archives(site: lockside.Session, ids: list[int]) -> None:
    assert (entities(site, by="admin"), entities(site, by="asha")) == (ids, [])


def test_an_operation_is_found_in_archives(site: lockside.Session, ids: list[int]) -> None:
    first = next(site.archives.search(row_id=ids[5], kind="work_order", since=AUGUST))

    again = list(site.archives.search(operation_id=first["correlation_id"]))

    assert {each["correlation_id"] for each in again} == {first["correlation_id"]}
    assert len(again) >= 5


def test_an_archive_that_was_changed_isnt_searched(
    site: lockside.Session, ids: list[int], says: Sentences
) -> None:
    site.archives.hold("2026-05", because="Case")
    archived = {each["record"] for each in site.archives.list(month="2026-05")}
    record(site)
    for each in site.platform.archives.rglob("audit_log-2026-05*"):
        each.write_bytes(each.read_bytes() + b"x")

    assert "audit_log" in archived
    with pytest.raises(RuleRefused, check=says):
        entities(site)


def test_an_archive_that_is_gone_is_named(
    site: lockside.Session, ids: list[int], says: Sentences
) -> None:
    for each in site.platform.archives.rglob("audit_log-2026-05*"):
        each.unlink()

    with pytest.raises(Unavailable, check=says):
        entities(site)


@pytest.mark.parametrize("month", ["May", "2026", "2026-13", "2026-5", "05-2026", ""])
def test_what_is_no_month_is_refused(site: lockside.Session, month: str, says: Sentences) -> None:
    with pytest.raises(InvalidInput, check=says):
        site.archives.restore(month)


@pytest.mark.parametrize("days", [0, -1, 10_000])
def test_nothing_is_restored_for_odd_spans(
    site: lockside.Session, days: int, says: Sentences
) -> None:
    with pytest.raises(InvalidInput, check=says):
        site.archives.restore("2026-05", days=days)


def test_nobody_is_searched_for(site: lockside.Session) -> None:
    with pytest.raises(NotFound):
        site.archives.search(by="nobody")


def test_who_may_not_see_the_records_sees_no_archive(
    site: lockside.Session, says: Sentences
) -> None:
    site.act_as("demo", "dora")

    for ask in (site.archives.list, site.archives.search):
        with pytest.raises(PermissionDenied, check=says):
            ask()


def test_a_manager_looks_at_archives_and_keeps_his_hands_off(
    site: lockside.Session, says: Sentences
) -> None:
    site.act_as("demo", "asha")

    assert site.archives.list() == []
    for ask in (site.archives.restore, site.archives.release):
        with pytest.raises(PermissionDenied, check=says):
            ask("2026-05")
    with pytest.raises(PermissionDenied, check=says):
        site.archives.archive_now()


def test_the_list_tells_what_became_of_each(
    site: lockside.Session, settings: Settings, ids: list[int]
) -> None:
    call(settings, "audit", "archives", "restore", "2026-05", "--record", "audit-log")
    call(settings, "audit", "archives", "hold", "2026-08", "--because", "Case 12/26")

    told = call(settings, "audit", "archives", "list").out

    assert [told.count(each) for each in ("restored until", "held: Case 12/26")] == [1, 3]
    assert len(stored(site)["audit_log"]) == 5


def test_a_search_prints_a_line_a_record(settings: Settings, ids: list[int]) -> None:
    plain = call(settings, "audit", "archives", "search", "work-order", ids[0])
    told = call(settings, "audit", "archives", "search", "work-order", ids[0], "--json")

    assert (len(plain.out.splitlines()), len(told.json)) == (2, 2)
    assert f"entity_id={ids[0]}" in plain.out
    assert json.dumps(told.json[0]["changes"])


def test_make_says_what_it_did_and_what_stays(site: lockside.Session, settings: Settings) -> None:
    record(site)

    told = call(settings, "audit", "archives", "make")
    again = call(settings, "audit", "archives", "make", "--json")

    assert told.out == "Archived 11 records in 3 files.\n"
    assert again.json == {"records": 0, "files": 0, "bytes": 0, "stays": []}


def test_a_line_of_a_changed_file_doesnt_come_through(
    site: lockside.Session, settings: Settings
) -> None:
    record(site)
    archive(site)
    rewrite(site, lambda lines: lines[1:])

    told = call(settings, "audit", "archives", "search")

    assert (told.code, file_of(site).name in told.err) == (5, True)
