"""`lockside audit`: what a verification says, and how it ends."""

import pytest

import lockside
from engine.audit.writer import write_records
from tests.engine.steps import query
from tests.factories import tickets
from tests.interfaces.commands import call
from worker.settings import Settings


def sealed(site: lockside.Session) -> list[int]:
    """Seal the records of some tickets; return their ids."""
    ids = tickets(site, 3)
    write_records(site.platform)
    return ids


def test_what_is_whole_is_said_with_what_was_looked_at(
    settings: Settings, site: lockside.Session
) -> None:
    sealed(site)

    answer = call(settings, "audit", "verify")

    assert (answer.code, answer.out.strip()) == (0, "Whole: 3 records in 1 seal.")


def test_the_first_broken_record_is_named_and_the_exit_code_is_that_of_a_conflict(
    settings: Settings, site: lockside.Session
) -> None:
    ids = sealed(site)
    (row,) = query(site, "UPDATE audit_log SET reason = 'user_action' WHERE entity_id = :id"
                   " RETURNING event_id", id=ids[1])  # fmt: skip

    answer = call(settings, "audit", "verify")

    first = answer.out.splitlines()[0]
    assert (answer.code, first.split()[0], str(row["event_id"]) in first) == (
        7,
        "record_changed",
        True,
    )


def test_a_row_changed_past_the_platform_is_named_when_completeness_is_asked(
    settings: Settings, site: lockside.Session
) -> None:
    ids = sealed(site)
    query(site, "ALTER TABLE ticket DISABLE TRIGGER USER")
    query(site, "UPDATE ticket SET title = 'Mine' WHERE id = :id", id=ids[0])

    answer = call(settings, "audit", "verify", "--complete", "--json")

    assert answer.code == 7
    told = [each["record"] for each in answer.json["findings"] if each["code"] == "row_changed"]
    assert told == [{"kind": "ticket", "entity_id": ids[0], "version": 1}]


def test_the_newest_seal_is_pinned_once(settings: Settings, site: lockside.Session) -> None:
    sealed(site)

    answers = [call(settings, "audit", "pin", "--json").json["pinned"] for _ in range(2)]

    assert [[each["seal_no"] for each in told] for told in answers] == [[1], []]


def test_a_chain_that_was_set_back_is_not_what_was_pinned(
    settings: Settings, site: lockside.Session
) -> None:
    sealed(site)
    call(settings, "audit", "pin")
    for table in ("audit_log", "audit_seal", "audit_chain"):
        query(site, f"DELETE FROM {table}")

    answer = call(settings, "audit", "verify", "--json")

    assert [each["code"] for each in answer.json["findings"]] == ["anchor_differs"]


@pytest.mark.parametrize("seals", ["none", "2-1", "0", "1-2-3"])
def test_a_range_that_is_none_is_refused(settings: Settings, seals: str) -> None:
    answer = call(settings, "audit", "verify", "--seals", seals)

    assert (answer.code, "--seals" in answer.err) == (2, True)


def test_who_may_not_verify_is_told_which_permission_it_takes(settings: Settings) -> None:
    answer = call(settings, "audit", "verify", "--actor", "victor")

    assert (answer.code, "audit.verify" in answer.err) == (4, True)


def test_a_chain_that_nobody_pinned_is_told(settings: Settings, site: lockside.Session) -> None:
    sealed(site)

    before = call(settings, "audit", "verify").err
    call(settings, "audit", "pin")

    assert ("lockside audit pin" in before, call(settings, "audit", "verify").err) == (True, "")
