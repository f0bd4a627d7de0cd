"""Erasure: nothing tells of the person any more, and everything verifies as before."""

from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

import lockside
from domain.errors import InvalidInput, NotFound, PermissionDenied, RuleRefused, Unavailable
from engine.archive_rows import lock_month
from engine.audit import write_records
from models.archive_file import read_lines
from tests.checker import check_invariants
from tests.engine.archives import MAY, archive, archives, files, named, record
from tests.engine.steps import ask, drain, query
from tests.factories import tickets, work_orders

NAME = 'Rosalind O\'Hara "Roz"'
PHONE = "+91 98204 11873"
STORES = (
    *("state_transition_audit", "audit_log", "bulk_operation_audit", "permission_denial_audit"),
    *("outbox", "operation", "operation_chunk", "notification", "person"),
)


def told_in(site: lockside.Site, word: str) -> list[str]:
    """Return the tables in which a word still stands."""
    found = [
        (table, query(site, f"SELECT count(*) AS n FROM {table} t"
                            " WHERE CAST(to_jsonb(t) AS text) ILIKE '%' || :word || '%'",
                      word=word)[0]["n"])
        for table in STORES
    ]  # fmt: skip
    return [table for table, n in found if n]


@pytest.fixture
def person(site: lockside.Site) -> int:
    """Hire somebody, have them told of everywhere, and delete them; return their id."""
    made = site.records("person").create(name=NAME)
    ids = work_orders(site, 3)
    drain(site, ask(site, ids, comments=f"Agreed with Rosalind O'Hara \"Roz\", {PHONE}",
                    metadata={"seen by": [NAME, 7]}))  # fmt: skip
    drain(site, ask(site, work_orders(site, 2, vendor=False), comments=f"by {NAME}"))
    site.records("ticket").update(tickets(site, 1)[0], title=f"Desk of {NAME}")
    site.records("ticket").update(site.ids("ticket")[0], title="A desk")
    write_records(site.platform)
    site.records("person").delete(made["id"])
    row_id: int = made["id"]
    return row_id


def whole(site: lockside.Site) -> list[str]:
    """Return what a verification finds."""
    return [each.code for each in site.audit.verify().findings]


def test_no_table_tells_of_who_was_erased(site: lockside.Site, person: int) -> None:
    assert "audit_log" in told_in(site, "Rosalind")

    site.audit.erase(person)

    assert told_in(site, "Rosalind") == []


def test_other_words_go_as_well_if_they_are_given(site: lockside.Site, person: int) -> None:
    site.audit.erase(person, also=[PHONE])

    assert told_in(site, "98204") == []


def test_what_was_not_meant_stays(site: lockside.Site, person: int) -> None:
    site.audit.erase(person)

    told = query(site, "SELECT DISTINCT comments FROM state_transition_audit WHERE success")
    assert told == [{"comments": "Agreed with [erased], [phone]"}]


def test_the_seals_hold_and_count_what_was_erased(site: lockside.Site, person: int) -> None:
    before = site.audit.verify()

    done = site.audit.erase(person)
    write_records(site.platform)

    seen = site.audit.verify()
    assert (before.findings, seen.findings, seen.erased) == ([], [], done.records)
    check_invariants(site)


def test_the_erasure_is_recorded_with_what_it_emptied(site: lockside.Site, person: int) -> None:
    done = site.audit.erase(person)
    write_records(site.platform)

    (record,) = query(
        site, "SELECT * FROM audit_log WHERE correlation_id = :id", id=done.erasure_id
    )
    assert record["metadata"]["erased"]["records"] == done.records
    assert record["changes"] == {"name": {"before": "[erased]", "after": f"erased {person}"}}


def test_emptying_a_record_as_if_it_were_erased_is_found(site: lockside.Site, person: int) -> None:
    done = site.audit.erase(person)
    write_records(site.platform)

    query(site, "UPDATE audit_log SET changes = '{}', salt = NULL, erased_by = :id"
          " WHERE kind = 'ticket'", id=done.erasure_id)  # fmt: skip

    assert whole(site) == ["erasure_differs"]


def test_an_erasure_that_nobody_recorded_is_found(site: lockside.Site, person: int) -> None:
    query(site, "UPDATE audit_log SET changes = '{}', salt = NULL, erased_by = gen_random_uuid()"
          " WHERE kind = 'person' AND entity_id = :id AND version = 1", id=person)  # fmt: skip

    assert whole(site) == ["erasure_differs"]


def test_two_people_of_one_record_are_erased_one_after_the_other(
    site: lockside.Site, person: int
) -> None:
    second = site.records("person").create(name="Magnus Lindqvist")
    drain(site, ask(site, work_orders(site, 1), comments=f"{NAME} and Magnus Lindqvist"))
    write_records(site.platform)
    site.records("person").delete(second["id"])

    site.audit.erase(person)
    site.audit.erase(second["id"])
    write_records(site.platform)

    assert (told_in(site, "Magnus"), told_in(site, "Rosalind"), whole(site)) == ([], [], [])


def test_what_waits_in_the_outbox_is_erased_too(site: lockside.Site, person: int) -> None:
    chain = "SELECT FROM audit_chain WHERE tenant_id = :id"
    assert query(site, chain, id=site.actor.tenant_id)
    query(site, "UPDATE audit_chain SET seal_no = seal_no + 1")  # nothing is written now
    drain(site, ask(site, work_orders(site, 1), comments=f"late: {NAME}"))

    site.audit.erase(person)

    assert told_in(site, "Rosalind") == []


def test_work_that_tells_of_the_person_is_named(site: lockside.Site, person: int) -> None:
    (row_id,) = tickets(site, 1, title=f"Desk of {NAME}")

    done = site.audit.erase(person)

    assert done.mentions == {"ticket": [row_id]}


def test_a_longer_word_is_another_word(site: lockside.Site) -> None:
    made = site.records("person").create(name="Ana")
    drain(site, ask(site, work_orders(site, 1), comments="Banana peel; Anaïs; Ana."))
    write_records(site.platform)
    site.records("person").delete(made["id"])

    site.audit.erase(made["id"])

    (told,) = query(site, "SELECT comments FROM state_transition_audit")
    assert told["comments"] == "Banana peel; Anaïs; [erased]."


def test_who_still_works_here_is_not_erased(site: lockside.Site) -> None:
    made = site.records("person").create(name="Ana")

    with pytest.raises(RuleRefused, match="records delete person"):
        site.audit.erase(made["id"])


def test_nobody_is_not_found(site: lockside.Site) -> None:
    with pytest.raises(NotFound):
        site.audit.erase(999_999)


def test_a_person_of_another_tenant_is_not_found(site: lockside.Site, person: int) -> None:
    site.open_tenant("harbor", {"asha": ["admin", "manager"]})
    site.act_as("harbor", "asha")

    with pytest.raises(NotFound):
        site.audit.erase(person)


@pytest.mark.parametrize("word", ["", "  ", "ab", "12345", "12.50"])
def test_a_word_that_would_take_too_much_is_refused(
    site: lockside.Site, person: int, word: str
) -> None:
    with pytest.raises(InvalidInput, match="also"):
        site.audit.erase(person, also=[word])


@pytest.mark.parametrize("who", ["asha", "victor"])
def test_only_an_administrator_erases(site: lockside.Site, person: int, who: str) -> None:
    site.act_as("demo", who)

    with pytest.raises(PermissionDenied):
        site.audit.erase(person)


def test_how_it_went_is_told(site: lockside.Site, person: int) -> None:
    done: Any = site.audit.erase(person)

    assert (done.records > 0, done.places["operation"] > 0) == (True, True)


@pytest.fixture
def archived(site: lockside.Site, person: int) -> lockside.Site:
    """Put records that tell of the person into archives."""
    record(site, comments=f"Agreed with {NAME}")
    record(site, comments="Checked")
    archive(site)
    return site


def told_in_files(site: lockside.Site, word: str) -> int:
    """Return how many lines of archives a word still stands in."""
    files = list(site.platform.archives.rglob("*.zst"))
    assert files
    return sum(word.encode() in line for each in files for line in read_lines(each))


def test_no_archive_tells_of_who_was_erased(archived: lockside.Site, person: int) -> None:
    assert told_in_files(archived, "Rosalind")

    archived.audit.erase(person)

    assert told_in_files(archived, "Rosalind") == 0


def test_archives_verify_as_before_when_words_of_theirs_were_erased(
    archived: lockside.Site, person: int
) -> None:
    before = archived.audit.verify()

    done = archived.audit.erase(person)
    write_records(archived.platform)

    seen = archived.audit.verify()
    assert (before.findings, seen.findings, seen.erased) == ([], [], done.records)
    assert seen.archived == before.archived


def test_an_archive_that_tells_nothing_of_the_person_stays_as_it_is(
    site: lockside.Site, person: int
) -> None:
    write_records(site.platform)
    record(site, comments="Checked")
    archive(site)
    before = {each.name for each in site.platform.archives.rglob("*.zst")}

    site.audit.erase(person)

    assert {each.name for each in site.platform.archives.rglob("*.zst")} == before


def test_without_the_archives_nothing_is_erased(archived: lockside.Site, person: int) -> None:
    for each in archived.platform.archives.rglob("*.zst"):
        each.rename(each.with_suffix(".away"))

    with pytest.raises(Unavailable):
        archived.audit.erase(person)

    assert "audit_log" in told_in(archived, "Rosalind")


def test_an_erasure_that_fails_takes_away_what_it_has_written(
    archived: lockside.Site, person: int
) -> None:
    last = max(each["path"] for each in archives(archived) if each["record"] == "audit_log")
    (archived.platform.archives / last).unlink()

    with pytest.raises(Unavailable):
        archived.audit.erase(person)

    assert files(archived) == [each for each in named(archived) if each != last]


# Fails when the transaction is to be committed.
AT_THE_END = """
CREATE FUNCTION speak_against() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION 'not today'; END $$;
CREATE CONSTRAINT TRIGGER speak_against AFTER UPDATE ON person
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION speak_against()
"""


def test_an_erasure_that_isnt_committed_takes_away_what_it_has_written(
    archived: lockside.Site, person: int
) -> None:
    with archived.platform.database.begin() as db:
        db.exec_driver_sql(AT_THE_END)

    with pytest.raises(DBAPIError, match="not today"):
        archived.audit.erase(person)

    assert files(archived) == named(archived)
    assert told_in_files(archived, "Rosalind")


def test_a_month_that_is_being_archived_is_tried_again(
    archived: lockside.Site, person: int
) -> None:
    month = MAY.date().replace(day=1)

    with archived.platform.database.begin() as db:
        assert lock_month(db, "state_transition_audit", month)
        with pytest.raises(Unavailable, match="Try again"):
            archived.audit.erase(person)

    assert archived.audit.verify().findings == []
