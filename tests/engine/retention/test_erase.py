"""Erasure: nothing tells of the person any more, and everything verifies as before."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.exc import DBAPIError

import lockside
from domain.audit.seal import digest_of_events
from domain.errors import InvalidInput, NotFound, PermissionDenied, RuleRefused, Unavailable
from engine.audit.writer import write_records
from engine.retention.archive_rows import lock_month
from models.archive_file import read_lines
from tests.checker import check_invariants
from tests.engine.archives import MAY, archive, archives, files, named, record
from tests.engine.steps import ask, drain, query
from tests.factories import tickets, work_orders
from tests.sentences import Sentences

pytestmark = pytest.mark.slow

NAME = 'Rosalind O\'Hara "Roz"'
PHONE = "+91 98204 11873"
STORES = (
    *("state_transition_audit", "audit_log", "bulk_operation_audit", "permission_denial_audit"),
    *("outbox", "operation", "operation_chunk", "notification", "person", "audit_archive"),
)


def told_in(site: lockside.Session, word: str) -> list[str]:
    """Return the tables in which a word still stands."""
    found = [
        (table, query(site, f"SELECT count(*) AS n FROM {table} t"
                            " WHERE CAST(to_jsonb(t) AS text) ILIKE '%' || :word || '%'",
                      word=word)[0]["n"])
        for table in STORES
    ]  # fmt: skip
    return [table for table, n in found if n]


@pytest.fixture
def person(site: lockside.Session) -> int:
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


def hold_back_records(site: lockside.Session) -> None:
    """Let nothing be written from the outbox any more."""
    chain = "SELECT FROM audit_chain WHERE tenant_id = :id"
    assert query(site, chain, id=site.actor.tenant_id)
    query(site, "UPDATE audit_chain SET seal_no = seal_no + 1")


def whole(site: lockside.Session) -> list[str]:
    """Return what a verification finds."""
    return [each.code for each in site.audit.verify().findings]


def test_no_table_tells_of_who_was_erased(site: lockside.Session, person: int) -> None:
    assert "audit_log" in told_in(site, "Rosalind")

    site.audit.erase(person)

    assert told_in(site, "Rosalind") == []


def test_other_words_go_as_well_if_they_are_given(site: lockside.Session, person: int) -> None:
    site.audit.erase(person, also=[PHONE])

    assert told_in(site, "98204") == []


def test_what_was_not_meant_stays(site: lockside.Session, person: int) -> None:
    site.audit.erase(person)

    told = query(site, "SELECT DISTINCT comments FROM state_transition_audit WHERE success")
    assert told == [{"comments": "Agreed with [erased], [phone]"}]


def test_the_seals_hold_and_count_what_was_erased(site: lockside.Session, person: int) -> None:
    before = site.audit.verify()

    done = site.audit.erase(person)
    write_records(site.platform)

    seen = site.audit.verify()
    assert (before.findings, seen.findings, seen.erased) == ([], [], done.records)
    check_invariants(site)


def test_the_erasure_is_recorded_with_what_it_emptied(site: lockside.Session, person: int) -> None:
    done = site.audit.erase(person)
    write_records(site.platform)

    (record,) = query(
        site, "SELECT * FROM audit_log WHERE correlation_id = :id", id=done.erasure_id
    )
    assert record["metadata"]["erased"]["records"] == done.records
    assert record["changes"] == {"name": {"before": "[erased]", "after": f"erased {person}"}}


def test_emptying_a_record_as_if_it_were_erased_is_found(
    site: lockside.Session, person: int
) -> None:
    done = site.audit.erase(person)
    write_records(site.platform)

    query(site, "UPDATE audit_log SET changes = '{}', salt = NULL, erased_by = :id"
          " WHERE kind = 'ticket'", id=done.erasure_id)  # fmt: skip

    assert whole(site) == ["erasure_differs"]


def test_an_erasure_that_nobody_recorded_is_found(site: lockside.Session, person: int) -> None:
    query(site, "UPDATE audit_log SET changes = '{}', salt = NULL, erased_by = gen_random_uuid()"
          " WHERE kind = 'person' AND entity_id = :id AND version = 1", id=person)  # fmt: skip

    assert whole(site) == ["erasure_differs"]


@pytest.mark.parametrize(
    "change",
    [
        "comments = 'Agreed with nobody'",
        "metadata = '{}'",
        "comments = NULL, metadata = NULL",
    ],
)
def test_what_an_erasure_left_of_a_record_can_not_be_changed(
    site: lockside.Session, person: int, change: str
) -> None:
    site.audit.erase(person)
    write_records(site.platform)

    query(
        site, f"UPDATE state_transition_audit SET {change} WHERE erased_by IS NOT NULL AND success"
    )

    assert whole(site) == ["erasure_differs"]


def test_what_was_erased_twice_can_not_be_changed_either(
    site: lockside.Session, person: int
) -> None:
    second = site.records("person").create(name="Magnus Lindqvist")
    drain(site, ask(site, work_orders(site, 1), comments=f"{NAME} and Magnus Lindqvist"))
    write_records(site.platform)
    site.records("person").delete(second["id"])
    site.audit.erase(person)
    site.audit.erase(second["id"])
    write_records(site.platform)

    query(
        site,
        "UPDATE state_transition_audit SET comments = 'x' WHERE comments LIKE '%[erased] and %'",
    )

    assert whole(site) == ["erasure_differs"]


def test_an_erasure_of_before_that_told_nothing_of_what_is_left_still_holds(
    site: lockside.Session, person: int
) -> None:
    site.audit.erase(person)
    query(site, "UPDATE outbox SET body = body #- '{metadata,erased,left}'")
    write_records(site.platform)

    assert whole(site) == []


def test_a_callers_metadata_is_no_record_of_an_erasure(site: lockside.Session) -> None:
    ids = tickets(site, 2)
    site.records("ticket").update(ids[0], title="Evidence")
    write_records(site.platform)
    emptied = [each["event_id"] for each in query(
        site, "SELECT event_id FROM audit_log WHERE kind = 'ticket' AND event_type = 'UPDATED'"
    )]  # fmt: skip
    claimed = {"records": len(emptied), "digest": digest_of_events(emptied)}
    done = site.update("ticket", [ids[1]], {"title": "z"}, metadata={"erased": claimed})
    drain(site, UUID(done.id))
    write_records(site.platform)

    query(site, "UPDATE audit_log SET changes = '{}', salt = NULL, erased_by = :id"
          " WHERE event_id = ANY(:emptied)", id=done.id, emptied=emptied)  # fmt: skip

    assert whole(site) == ["erasure_differs"]


def test_two_people_of_one_record_are_erased_one_after_the_other(
    site: lockside.Session, person: int
) -> None:
    second = site.records("person").create(name="Magnus Lindqvist")
    drain(site, ask(site, work_orders(site, 1), comments=f"{NAME} and Magnus Lindqvist"))
    write_records(site.platform)
    site.records("person").delete(second["id"])

    site.audit.erase(person)
    site.audit.erase(second["id"])
    write_records(site.platform)

    assert (told_in(site, "Magnus"), told_in(site, "Rosalind"), whole(site)) == ([], [], [])


def test_what_waits_in_the_outbox_is_erased_too(site: lockside.Session, person: int) -> None:
    hold_back_records(site)
    drain(site, ask(site, work_orders(site, 1), comments=f"late: {NAME}"))

    site.audit.erase(person)

    assert told_in(site, "Rosalind") == []


@pytest.mark.parametrize("before", ["\n", "\t", "\\", "\\\\\n", '"', "\u0001", "C:\\new\n"])
def test_a_name_behind_whatever_sign_is_erased_from_json(
    site: lockside.Session, before: str
) -> None:
    made = site.records("person").create(name="Rosalind Okafor")
    said = f"Desk{before}Rosalind Okafor"
    drain(site, ask(site, work_orders(site, 1), metadata={"said": said, said: [said]}))
    site.records("ticket").update(tickets(site, 1)[0], description=said)
    write_records(site.platform)
    late = site.update("ticket", site.ids("ticket"), {"description": f"{said}!"}).id
    site.records("person").delete(made["id"])
    hold_back_records(site)
    drain(site, UUID(late))

    site.audit.erase(made["id"])

    assert told_in(site, "Rosalind") == []


@pytest.mark.parametrize("name", ["1", "null", "true", "state", "after", "title", "17.5"])
def test_a_person_whose_name_is_also_something_else_is_erased(
    site: lockside.Session, name: str
) -> None:
    made = site.records("person").create(name=name)
    (row_id,) = tickets(site, 1)
    drain(site, ask(site, work_orders(site, 2), comments=f"by {name}"))
    site.records("ticket").update(row_id, description=f"Desk of {name}.")
    write_records(site.platform)
    site.records("person").delete(made["id"])

    site.audit.erase(made["id"])
    write_records(site.platform)

    (told,) = query(site, "SELECT changes FROM audit_log"
                    " WHERE kind = 'ticket' AND event_type = 'UPDATED'")  # fmt: skip
    assert told["changes"] == {"description": {"before": None, "after": "Desk of [erased]."}}
    assert query(site, "SELECT DISTINCT comments FROM state_transition_audit") == [
        {"comments": "by [erased]"}
    ]
    assert whole(site) == []


def test_what_does_not_tell_of_the_person_keeps_its_words(site: lockside.Session) -> None:
    made = site.records("person").create(name="1")
    drain(site, ask(site, work_orders(site, 2)))
    write_records(site.platform)
    site.records("person").delete(made["id"])

    site.audit.erase(made["id"])

    numbers = query(site, "SELECT FROM audit_log WHERE changes -> 'vendor_id' @> '{\"after\": 1}'")
    assert numbers
    assert not query(site, "SELECT FROM audit_log WHERE erased_by IS NOT NULL"
                     " AND CAST(changes AS text) NOT LIKE '%[erased]%'")  # fmt: skip


def test_who_steered_an_operation_and_from_where_is_erased(site: lockside.Session) -> None:
    made = site.records("person").create(name=NAME)
    (role,) = query(site, "SELECT id FROM role WHERE name = 'admin' AND tenant_id = :id",
                    id=site.actor.tenant_id)  # fmt: skip
    held = site.records("person_role").create(person_id=made["id"], role_id=role["id"])
    site.act_as("demo", NAME)
    first = ask(site, work_orders(site, 1), idempotency_key=f"of {NAME}")
    site.operation(first).pause()
    site.operation(first).cancel()
    drain(site, first)
    site.act_as("demo", None)
    site.records("person_role").delete(held["id"])
    site.records("person").delete(made["id"])

    site.audit.erase(made["id"])

    assert told_in(site, "Rosalind") == []
    assert not query(site, "SELECT FROM operation WHERE actor_id = :id AND origin IS NOT NULL",
                     id=made["id"])  # fmt: skip


def test_from_where_somebody_acted_is_erased_in_the_outbox_too(site: lockside.Session) -> None:
    made = site.records("person").create(name=NAME)
    (role,) = query(site, "SELECT id FROM role WHERE name = 'admin' AND tenant_id = :id",
                    id=site.actor.tenant_id)  # fmt: skip
    held = site.records("person_role").create(person_id=made["id"], role_id=role["id"])
    write_records(site.platform)
    hold_back_records(site)
    site.act_as("demo", NAME)
    tickets(site, 1)
    site.act_as("demo", None)
    site.records("person_role").delete(held["id"])
    site.records("person").delete(made["id"])

    site.audit.erase(made["id"])

    assert not query(site, "SELECT FROM outbox WHERE body ->> 'actor_id' = CAST(:id AS text)"
                     " AND body ?| ARRAY['session_id', 'ip_address']", id=made["id"])  # fmt: skip


def test_records_beside_work_that_tell_of_the_person_are_named(
    site: lockside.Session, person: int
) -> None:
    made = site.records("vendor").create(name=f"{NAME} and sons")

    done = site.audit.erase(person)

    assert done.mentions == {"vendor": [made["id"]]}


def test_work_that_tells_of_the_person_is_named(site: lockside.Session, person: int) -> None:
    (row_id,) = tickets(site, 1, title=f"Desk of {NAME}")

    done = site.audit.erase(person)

    assert done.mentions == {"ticket": [row_id]}


def test_a_longer_word_is_another_word(site: lockside.Session) -> None:
    made = site.records("person").create(name="Ana")
    drain(site, ask(site, work_orders(site, 1), comments="Banana peel; Anaïs; Ana."))
    write_records(site.platform)
    site.records("person").delete(made["id"])

    site.audit.erase(made["id"])

    (told,) = query(site, "SELECT comments FROM state_transition_audit")
    assert told["comments"] == "Banana peel; Anaïs; [erased]."


def test_who_still_works_here_is_not_erased(site: lockside.Session, says: Sentences) -> None:
    made = site.records("person").create(name="Ana")

    with pytest.raises(RuleRefused, check=says):
        site.audit.erase(made["id"])


def test_nobody_is_not_found(site: lockside.Session) -> None:
    with pytest.raises(NotFound):
        site.audit.erase(999_999)


def test_a_person_of_another_tenant_is_not_found(site: lockside.Session, person: int) -> None:
    site.open_tenant("harbor", {"asha": ["admin", "manager"]})
    site.act_as("harbor", "asha")

    with pytest.raises(NotFound):
        site.audit.erase(person)


@pytest.mark.parametrize("word", ["", "  ", "ab", "12345", "12.50"])
def test_a_word_that_would_take_too_much_is_refused(
    site: lockside.Session, person: int, word: str, says: Sentences
) -> None:
    with pytest.raises(InvalidInput, check=says):
        site.audit.erase(person, also=[word])


@pytest.mark.parametrize("who", ["asha", "victor"])
def test_only_an_administrator_erases(site: lockside.Session, person: int, who: str) -> None:
    site.act_as("demo", who)

    with pytest.raises(PermissionDenied):
        site.audit.erase(person)


def test_how_it_went_is_told(site: lockside.Session, person: int) -> None:
    done: Any = site.audit.erase(person)

    assert (done.records > 0, done.places["operation"] > 0) == (True, True)


@pytest.fixture
def archived(site: lockside.Session, person: int) -> lockside.Session:
    """Put records that tell of the person into archives."""
    record(site, comments=f"Agreed with {NAME}")
    record(site, comments="Checked")
    archive(site)
    return site


def told_in_files(site: lockside.Session, word: str) -> int:
    """Return how many lines of archives a word still stands in."""
    files = list(site.platform.archives.rglob("*.zst"))
    assert files
    return sum(word.encode() in line for each in files for line in read_lines(each))


def test_no_archive_tells_of_who_was_erased(archived: lockside.Session, person: int) -> None:
    assert told_in_files(archived, "Rosalind")

    archived.audit.erase(person)

    assert told_in_files(archived, "Rosalind") == 0


def test_archives_verify_as_before_when_words_of_theirs_were_erased(
    archived: lockside.Session, person: int
) -> None:
    before = archived.audit.verify()

    done = archived.audit.erase(person)
    write_records(archived.platform)

    seen = archived.audit.verify()
    assert (before.findings, seen.findings, seen.erased) == ([], [], done.records)
    assert seen.archived == before.archived


def test_an_archive_that_tells_nothing_of_the_person_stays_as_it_is(
    site: lockside.Session, person: int
) -> None:
    write_records(site.platform)
    record(site, comments="Checked")
    archive(site)
    before = {each.name for each in site.platform.archives.rglob("*.zst")}

    site.audit.erase(person)

    assert {each.name for each in site.platform.archives.rglob("*.zst")} == before


def test_without_the_archives_nothing_is_erased(archived: lockside.Session, person: int) -> None:
    for each in archived.platform.archives.rglob("*.zst"):
        each.rename(each.with_suffix(".away"))

    with pytest.raises(Unavailable):
        archived.audit.erase(person)

    assert "audit_log" in told_in(archived, "Rosalind")


def test_an_erasure_that_fails_takes_away_what_it_has_written(
    archived: lockside.Session, person: int
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
    archived: lockside.Session, person: int, says: Sentences
) -> None:
    with archived.platform.database.begin() as db:
        db.exec_driver_sql(AT_THE_END)

    with pytest.raises(DBAPIError, check=says):
        archived.audit.erase(person)

    assert files(archived) == named(archived)
    assert told_in_files(archived, "Rosalind")


def test_a_month_that_is_being_archived_is_tried_again(
    archived: lockside.Session, person: int, says: Sentences
) -> None:
    month = MAY.date().replace(day=1)

    with archived.platform.database.begin() as db:
        assert lock_month(db, "state_transition_audit", month)
        with pytest.raises(Unavailable, check=says):
            archived.audit.erase(person)

    assert archived.audit.verify().findings == []
