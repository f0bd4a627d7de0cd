"""Erasure beside archives: what is restored, what comes back meanwhile, what is erased twice."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest

import lockside
from domain.audit.retention import month_of
from domain.errors import RuleRefused, Unavailable
from engine.audit.writer import write_records
from engine.retention.erase import erase_person
from engine.retention.restore import drop_archives, hold_archives, restore
from models.archive_file import read_lines
from tests.engine.archives import (
    COLD,
    GONE,
    MAY,
    archive,
    archives,
    at,
    make_months,
    record,
    rewrite,
    verified,
)
from tests.engine.steps import query, raw, then
from tests.sentences import Sentences

pytestmark = pytest.mark.slow

NAME = "Rosalind Okafor"
TRANSITIONS = ("state_transition_audit",)
AFTER = COLD + timedelta(days=8)


@pytest.fixture
def person(site: lockside.Session) -> int:
    """Hire somebody, archive records that tell of them, and delete them; return their id."""
    make_months(site, MAY)
    made = site.records("person").create(name=NAME)
    record(site, count=3, comments=f"by {NAME}")
    archive(site)
    site.records("person").delete(made["id"])
    query(site, "UPDATE outbox SET occurred_at = :at", at=MAY)
    write_records(at(site.platform, MAY + timedelta(days=1)))
    row_id: int = made["id"]
    return row_id


def erase_in_may(site: lockside.Session, person: int) -> UUID:
    """Erase the person as of May, so that the record of it is soon cold as well."""
    known = at(site.platform, MAY + timedelta(days=2))
    done = erase_person(known, site.actor, person)
    write_records(known)
    return done.erasure_id


def bring_back(site: lockside.Session) -> None:
    """Restore May's transitions, for seven days from when May is cold."""
    restore(at(site.platform, COLD), site.actor, month_of(MAY), records=TRANSITIONS)


def told_of(site: lockside.Session) -> Iterator[str]:
    """Yield where the name still stands: tables, archives, what a search of these finds."""
    if query(site, "SELECT FROM state_transition_audit WHERE comments LIKE '%Rosalind%'"):
        yield "table"
    if any(b"Rosalind" in line for each in site.platform.archives.rglob("*.zst")
           for line in read_lines(each)):  # fmt: skip
        yield "file"
    if any("Rosalind" in str(each) for each in site.archives.search(kind="work_order")):
        yield "search"


def test_the_file_of_what_was_restored_is_erased_too(site: lockside.Session, person: int) -> None:
    bring_back(site)

    site.audit.erase(person)

    assert list(told_of(site)) == []
    assert verified(site).findings == []


def test_what_was_restored_stays_for_its_days_when_it_was_erased(
    site: lockside.Session, person: int
) -> None:
    bring_back(site)
    (before,) = [each["restored_until"] for each in archives(site) if each["restored_until"]]

    site.audit.erase(person)

    (after,) = [each["restored_until"] for each in archives(site) if each["restored_until"]]
    assert after == before
    archive(site, AFTER)
    assert (list(told_of(site)), verified(site).findings) == ([], [])


def test_an_erasure_beside_a_restore_is_tried_again(
    site: lockside.Session, person: int, says: Sentences
) -> None:
    def erase() -> None:
        with pytest.raises(Unavailable, check=says):
            site.audit.erase(person)

    platform = then(at(site.platform, COLD), "records_restored", erase)
    restore(platform, site.actor, month_of(MAY), records=TRANSITIONS)

    site.audit.erase(person)

    assert (list(told_of(site)), verified(site).findings) == ([], [])


def test_an_erasure_beside_who_archives_is_tried_again(
    site: lockside.Session, person: int, says: Sentences
) -> None:
    with raw(site) as db:
        db.execute("LOCK TABLE audit_log_default IN SHARE ROW EXCLUSIVE MODE")
        with pytest.raises(Unavailable, check=says):
            site.audit.erase(person)


def test_an_archive_is_read_back_before_it_takes_the_others_place(
    site: lockside.Session, person: int, says: Sentences
) -> None:
    query(
        site, "UPDATE audit_archive SET records = records + 1 WHERE record = :r", r=TRANSITIONS[0]
    )

    with pytest.raises(RuleRefused, check=says):
        site.audit.erase(person)


def test_an_erasure_whose_own_record_is_archived_still_holds(
    site: lockside.Session, person: int
) -> None:
    erasure_id = erase_in_may(site, person)

    archive(site)

    archived = [each["correlation_id"] for each in site.archives.search(kind="person")]
    assert str(erasure_id) in archived
    assert verified(site).findings == []


def test_what_is_left_in_an_archive_is_held_against_an_archived_erasure(
    site: lockside.Session, person: int
) -> None:
    erase_in_may(site, person)
    archive(site)

    rewrite(site, lambda lines: [each.replace(b"by [erased]", b"by Asha") for each in lines],
            is_noted=True)  # fmt: skip

    assert [each.code for each in verified(site).findings] == ["erasure_differs"]


def test_what_is_held_for_longer_than_its_erasure_is_kept_still_holds(
    site: lockside.Session, person: int
) -> None:
    erase_in_may(site, person)
    archive(site)
    hold_archives(site.platform, site.actor, month_of(MAY), because="Case 7", records=TRANSITIONS)

    drop_archives(at(site.platform, GONE))

    kept = {each["record"] for each in archives(site) if each["path"]}
    assert (kept, verified(site, GONE).findings) == ({*TRANSITIONS}, [])


def test_no_hold_tells_of_who_was_erased(site: lockside.Session, person: int) -> None:
    hold_archives(site.platform, site.actor, month_of(MAY), because=f"Case of {NAME}")

    site.audit.erase(person)

    assert {each["held_because"] for each in archives(site) if each["replaced_at"] is None} == {
        "Case of [erased]"
    }
