"""Verification over archives: whatever was done to a file, or to the list of them, is named."""

import json
from datetime import UTC, datetime, timedelta
from shutil import copyfile

import pytest

import lockside
from domain.audit.verification import Finding, Verified
from engine.retention.restore import drop_archives
from reads.audit.archived_records import ArchiveStore
from reads.audit.completeness import find_incomplete
from tests.engine.archives import (
    AUGUST,
    COLD,
    GONE,
    MAY,
    archive,
    archives,
    at,
    file_of,
    found,
    read,
    record,
    rewrite,
    stored,
    verified,
)
from tests.engine.steps import query

pytestmark = pytest.mark.slow

SEPTEMBER = datetime(2026, 9, 20, tzinfo=UTC)


@pytest.fixture
def archived(site: lockside.Session) -> lockside.Session:
    """Give a chain whose first seals are in archives, and the last is in the tables."""
    record(site)
    record(site, MAY + timedelta(days=1))
    record(site, SEPTEMBER)
    archive(site)
    return site


def to_state(line: bytes) -> bytes:
    """Return a line with another state in it."""
    return line.replace(b'"APPROVED"', b'"REJECTED"')


def test_archives_and_tables_together_are_whole(archived: lockside.Session) -> None:
    seen = verified(archived)

    assert (seen.findings, seen.seals, seen.records, seen.archived) == ([], 3, 33, 22)


def test_a_range_reads_what_it_needs(archived: lockside.Session) -> None:
    rewrite(archived, lambda lines: [to_state(lines[0]), *lines[1:]])

    assert found(archived, first=3) == []
    assert found(archived, first=2, last=2) == ["archive_changed"]
    assert found(archived, first=1, last=1) == ["archive_changed", "record_changed"]


def test_a_missing_archive_is_named_once(archived: lockside.Session) -> None:
    file_of(archived).unlink()

    (finding,) = verified(archived).findings

    assert finding.code == "archive_missing"
    assert "state_transition_audit-2026-05-" in finding.message


def test_what_is_wrong_beside_a_missing_archive_is_named_too(archived: lockside.Session) -> None:
    file_of(archived).unlink()
    rewrite(archived, lambda lines: [lines[0].replace(b"CREATED", b"DELETED"), *lines[1:]],
            table="audit_log")  # fmt: skip

    assert set(found(archived)) == {"archive_missing", "archive_changed", "record_changed"}


@pytest.mark.parametrize("is_noted", [False, True])
def test_a_changed_line_is_named_with_its_record(
    archived: lockside.Session, is_noted: bool
) -> None:
    changed = json.loads(read(file_of(archived))[3])

    rewrite(archived, lambda lines: [*lines[:3], to_state(lines[3]), *lines[4:]], is_noted=is_noted)

    findings = verified(archived).findings
    codes = ["record_changed"] if is_noted else ["archive_changed", "record_changed"]
    assert [each.code for each in findings] == codes
    assert findings[-1].record is not None
    assert str(findings[-1].record["event_id"]) == changed["event_id"]


@pytest.mark.parametrize("is_noted", [False, True])
def test_a_line_that_was_taken_away_is_named_by_its_place(
    archived: lockside.Session, is_noted: bool
) -> None:
    gone = json.loads(read(file_of(archived))[3])

    rewrite(archived, lambda lines: [*lines[:3], *lines[4:]], is_noted=is_noted)

    finding = verified(archived).findings[-1]
    assert (finding.code, finding.seal_no) == ("record_missing", gone["seal_no"])
    assert f"place {gone['seal_place']} of" in finding.message


def test_changed_words_are_named(archived: lockside.Session) -> None:
    rewrite(archived, lambda lines: [lines[0].replace(b"Checked", b"Not so"), *lines[1:]],
            is_noted=True)  # fmt: skip

    assert found(archived) == ["words_changed"]


def test_a_line_that_was_added_is_named(archived: lockside.Session) -> None:
    rewrite(archived, lambda lines: [lines[0], *lines], is_noted=True)

    assert found(archived) == ["record_added"]


def test_a_record_that_is_in_its_table_as_well_is_named(archived: lockside.Session) -> None:
    query(
        archived,
        "INSERT INTO audit_log SELECT * FROM json_populate_record(NULL::audit_log, :line)",
        line=read(file_of(archived, "audit_log"))[0].decode(),
    )

    assert found(archived) == ["record_added"]


def test_an_older_archive_in_the_place_of_the_present_one_is_named(
    archived: lockside.Session,
) -> None:
    older = archived.platform.archives / "older"
    copyfile(file_of(archived), older)
    query(archived, "UPDATE audit_archive SET restored_until = archived_at")
    query(
        archived,
        "INSERT INTO state_transition_audit SELECT r.* FROM unnest(CAST(:lines AS text[])) AS l,"
        " json_populate_record(NULL::state_transition_audit, CAST(l AS json)) AS r",
        lines=[each.decode() for each in read(older)],
    )
    query(
        archived,
        "UPDATE state_transition_audit SET comments = NULL, salt = NULL,"
        " erased_by = gen_random_uuid() WHERE seal_no = 1",
    )
    query(archived, "UPDATE audit_archive SET restored_until = NULL WHERE record <> :r",
          r="state_transition_audit")  # fmt: skip
    archive(archived)
    assert found(archived) == []

    older.rename(file_of(archived))

    assert found(archived) == ["archive_changed"]


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", b"\x28\xb5\x2f\xfd\x04\x58garbage", b"\x00" * 100],
)
def test_a_file_that_is_no_archive_is_named_once(
    archived: lockside.Session, content: bytes
) -> None:
    file_of(archived).write_bytes(content)

    assert found(archived)[0] == "archive_changed"


def test_half_an_archive_is_named(archived: lockside.Session) -> None:
    whole = file_of(archived).read_bytes()
    file_of(archived).write_bytes(whole[: len(whole) // 2])

    assert found(archived)[0] == "archive_changed"


@pytest.mark.parametrize(
    "line",
    [b"{", b"]", b"null", b"7", b'{"tenant_id":"x"}', b'{"kind":"\\u0000"}', b"\xff\x00", b"{}",
     b"[" * 50_000],
)  # fmt: skip
@pytest.mark.parametrize("is_noted", [False, True])
def test_a_line_that_is_no_record_stops_nothing(
    archived: lockside.Session, line: bytes, is_noted: bool
) -> None:
    rewrite(archived, lambda lines: [lines[0], line, *lines[2:]], is_noted=is_noted)

    codes = found(archived)

    assert codes.count("record_missing") == 1
    assert set(codes) <= {"archive_changed", "record_missing", "record_unsealed"}


def test_without_the_folder_that_is_said_and_the_tables_are_verified(
    archived: lockside.Session,
) -> None:
    query(archived, "UPDATE state_transition_audit SET to_state = 'X' WHERE seal_no = 3")
    store = ArchiveStore(archived.platform.archives / "elsewhere")

    for each in (store, None):
        codes = found(archived, store=each)
        assert codes[0] == "archives_unreachable"
        assert set(codes[1:]) == {"record_changed"}


def test_the_list_without_an_archive_is_found(archived: lockside.Session) -> None:
    query(archived, "DELETE FROM audit_archive WHERE record = 'bulk_operation_audit'")

    assert found(archived) == ["record_missing"] * 2


def test_what_was_dropped_is_counted(archived: lockside.Session) -> None:
    drop_archives(at(archived.platform, GONE))

    seen = verified(archived, GONE)

    assert (seen.findings, seen.dropped, seen.archived) == ([], 22, 0)


def test_nobody_can_call_dropped_what_is_too_young(archived: lockside.Session) -> None:
    query(archived, "UPDATE audit_archive SET dropped_at = clock_timestamp()")

    assert found(archived) == ["record_missing"] * 22


def test_nobody_can_drop_more_than_was_archived(site: lockside.Session) -> None:
    record(site)
    record(site, AUGUST)
    archive(site)
    drop_archives(at(site.platform, GONE))
    later = GONE + timedelta(days=90)
    query(site, "UPDATE audit_archive SET last_seal = 2")
    query(site, "DELETE FROM state_transition_audit WHERE seal_no = 2")

    assert found(site, later) == ["record_missing"]


def test_a_dropped_record_that_is_not_among_them_is_missed(archived: lockside.Session) -> None:
    drop_archives(at(archived.platform, GONE))
    query(archived, "DELETE FROM state_transition_audit WHERE seal_no = 3")

    assert found(archived, GONE) == ["record_missing"] * 5


def test_the_archives_of_another_tenant_are_his_own(archived: lockside.Session) -> None:
    archived.open_tenant("harbor", {"asha": ["admin", "manager"]})
    archived.act_as("harbor", "asha")
    record(archived)
    for each in archives(archived):
        (archived.platform.archives / each["path"]).unlink()

    assert found(archived, COLD) == []
    assert stored(archived)["audit_log"] != []


def incomplete(site: lockside.Session, store: ArchiveStore | None) -> set[str]:
    """Return what isn't complete of the versions of the tenant's work orders.

    Their times aren't those of their records, which were made to be old.
    """
    return {each.code for each in all_incomplete(site, store)} - {"row_changed"}


def all_incomplete(site: lockside.Session, store: ArchiveStore | None) -> list[Finding]:
    """Return all that isn't complete of the tenant's work orders."""
    seen = Verified()
    with site.platform.database.begin() as db:
        find_incomplete(db, site.actor.tenant_id, seen, store)
    return [each for each in seen.findings if (each.record or {})["kind"] == "work_order"]


def test_what_is_in_archives_is_counted_as_recorded(archived: lockside.Session) -> None:
    store = ArchiveStore(archived.platform.archives)

    assert incomplete(archived, store) == set()


def test_a_change_past_the_records_is_found_beside_archives(archived: lockside.Session) -> None:
    query(archived, "ALTER TABLE work_order DISABLE TRIGGER USER")
    query(archived, "UPDATE work_order SET version = version + 1")

    assert incomplete(archived, ArchiveStore(archived.platform.archives)) == {"version_unrecorded"}


def made_in_may(site: lockside.Session) -> None:
    """Let the work be as old as its records."""
    query(site, "ALTER TABLE work_order DISABLE TRIGGER USER")
    query(site, "UPDATE work_order SET created_at = :at, updated_at = :at", at=MAY)


def test_what_was_dropped_as_too_old_is_not_missed(archived: lockside.Session) -> None:
    made_in_may(archived)
    drop_archives(at(archived.platform, GONE))

    assert incomplete(archived, ArchiveStore(archived.platform.archives, now=GONE)) == set()


def test_what_was_slipped_in_after_something_was_dropped_is_found(
    archived: lockside.Session,
) -> None:
    made_in_may(archived)
    drop_archives(at(archived.platform, GONE))
    query(archived, "INSERT INTO work_order (tenant_id, title, state, created_at, updated_at)"
          " SELECT tenant_id, 'Mine', 'DRAFT', :at, :at FROM work_order LIMIT 1",
          at=GONE)  # fmt: skip

    assert incomplete(archived, ArchiveStore(archived.platform.archives, now=GONE)) == {
        "version_unrecorded"
    }


def test_a_row_deleted_past_the_records_after_something_was_dropped_is_found(
    archived: lockside.Session,
) -> None:
    made_in_may(archived)
    drop_archives(at(archived.platform, GONE))
    query(archived, "UPDATE work_order SET deleted_at = :at", at=GONE)

    told = all_incomplete(archived, ArchiveStore(archived.platform.archives, now=GONE))

    assert any("is deleted, and its records say otherwise" in each.message for each in told)
