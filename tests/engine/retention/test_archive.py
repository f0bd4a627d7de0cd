"""Cold records leave their tables for archives: all of them, once, whatever happens meanwhile."""

import secrets
import tracemalloc
from datetime import UTC, datetime

import pytest
from psycopg.errors import LockNotAvailable

import lockside
from domain.errors import Unavailable
from engine.retention.archive import archive_records
from models.seal import TABLES
from tests.engine.archives import (
    AUGUST,
    COLD,
    MAY,
    archive,
    archives,
    at,
    file_of,
    files,
    found,
    make_months,
    named,
    read,
    record,
    small_disk,
    stored,
    verified,
)
from tests.engine.steps import Crash, Row, at_once, crash_at, query, raw, then
from tests.sentences import Sentences

pytestmark = pytest.mark.slow

STEPS = ("archive_written", "archive_checked", "archive_noted", "records_archived")
NOTHING: dict[str, list[Row]] = {each: [] for each in TABLES}


@pytest.fixture(params=["partition", "default"])
def may(request: pytest.FixtureRequest, site: lockside.Session) -> lockside.Session:
    """Give records of a month that is over, in its partition or beside all of them."""
    if request.param == "partition":
        make_months(site, MAY)
    record(site)
    return site


def test_a_cold_month_leaves_its_tables_and_is_whole(may: lockside.Session) -> None:
    before = sum(map(len, stored(may).values()))

    done = archive(may)

    assert stored(may) == NOTHING
    assert (done.records, done.stays) == (before, [])
    seen = verified(may)
    assert (seen.findings, seen.records, seen.archived) == ([], before, before)


def test_a_partition_goes_as_a_whole(site: lockside.Session) -> None:
    make_months(site, MAY)
    record(site)

    archive(site)

    parts = query(site, "SELECT relname FROM pg_class WHERE relname LIKE '%\\_2026\\_05'")
    assert parts == []


def test_a_line_is_what_postgresql_makes_of_a_row(site: lockside.Session) -> None:
    record(site)
    lines = query(
        site,
        "SELECT row_to_json(r)::text AS line FROM state_transition_audit r"
        " ORDER BY seal_no, seal_place",
    )

    archive(site)

    assert read(file_of(site)) == [each["line"].encode() for each in lines]


def test_a_month_stays_until_its_last_record_is_cold(site: lockside.Session) -> None:
    record(site, datetime(2026, 5, 1, tzinfo=UTC))
    last = datetime(2026, 5, 31, 23, 59, 59, tzinfo=UTC)

    early = archive(site, last.replace(month=8, day=29))
    late = archive(site, last.replace(month=9, day=1, hour=0))

    assert (early.records, late.records) == (0, 11)


def test_months_are_apart(site: lockside.Session) -> None:
    make_months(site, MAY, AUGUST)
    record(site)
    record(site, AUGUST)

    archive(site)

    assert {each["month"].month for each in archives(site)} == {5}
    assert {each["occurred_at"] for each in stored(site)["audit_log"]} == {AUGUST}
    assert found(site) == []


def test_tenants_are_apart(site: lockside.Session) -> None:
    record(site)
    ours = site.actor.tenant_id
    site.open_tenant("harbor", {"asha": ["admin", "manager"]})
    site.act_as("harbor", "asha")
    record(site)

    archive(site)

    for each in archives(site):
        lines = read(site.platform.archives / each["path"])
        assert all(b'"tenant_id":%d,' % each["tenant_id"] in line for line in lines)
    assert {each["tenant_id"] for each in archives(site)} == {ours, site.actor.tenant_id}
    assert found(site) == []


def test_to_archive_again_does_nothing(may: lockside.Session) -> None:
    archive(may)
    before = archives(may), files(may)

    again = archive(may)

    assert (again.records, again.stays) == (0, [])
    assert (archives(may), files(may)) == before


def test_what_comes_late_goes_into_an_archive_of_its_own(may: lockside.Session) -> None:
    archive(may)
    record(may, MAY)

    late = archive(may)

    assert late.records == 11
    assert found(may) == []


@pytest.mark.parametrize("step", STEPS)
def test_after_a_crash_nothing_is_lost_nothing_twice_and_nothing_left(
    may: lockside.Session, step: str
) -> None:
    with pytest.raises(Crash):
        archive_records(crash_at(at(may.platform, COLD), step))
    midway = found(may)

    archive(may)

    assert (midway, found(may)) == ([], [])
    assert sum(each["records"] for each in archives(may)) == 11
    assert (stored(may), files(may)) == (NOTHING, named(may))


def test_what_a_killed_archiver_began_is_taken_away(site: lockside.Session) -> None:
    record(site)
    home = site.platform.archives / str(site.actor.tenant_id)
    home.mkdir(parents=True)
    (home / ".audit_log-2026-05-0123.tmp").write_bytes(b"half")

    archive(site)

    assert files(site) == named(site)


def test_a_file_that_was_written_before_words_were_erased_is_taken_away(
    site: lockside.Session,
) -> None:
    record(site)
    with pytest.raises(Crash):
        archive_records(crash_at(at(site.platform, COLD), "archive_checked"))
    query(
        site,
        "UPDATE state_transition_audit SET comments = NULL, salt = NULL,"
        " erased_by = gen_random_uuid()",
    )

    archive(site)

    assert files(site) == named(site)
    assert verified(site).erased == 5
    assert found(site) == []


def test_a_file_of_another_installation_is_left_alone(site: lockside.Session) -> None:
    record(site)
    archive(site)
    theirs = file_of(site).with_name("state_transition_audit-2026-05-fedcba9876543210.ndjson.zst")
    theirs.write_bytes(file_of(site).read_bytes())
    record(site)

    archive(site)

    assert theirs.exists()


def test_two_at_once_archive_each_month_once(may: lockside.Session) -> None:
    first, second = at_once(lambda: archive(may), lambda: archive(may))

    assert {type(first), type(second)} == {type(archive(may))}
    assert sum(each["records"] for each in archives(may)) == 11
    assert (found(may), files(may)) == ([], named(may))


def test_nobody_writes_to_a_month_while_it_is_archived(site: lockside.Session) -> None:
    make_months(site, MAY)
    record(site)
    refused: list[bool] = []

    def erase() -> None:
        with raw(site) as db:
            db.execute("SET lock_timeout = '100ms'")
            with pytest.raises(LockNotAvailable):
                db.execute("UPDATE state_transition_audit SET comments = NULL")
            refused.append(True)

    archive_records(then(at(site.platform, COLD), "archive_written", erase))

    assert refused == [True]
    assert found(site) == []


def test_a_month_that_somebody_reads_for_long_stays(site: lockside.Session) -> None:
    make_months(site, MAY)
    record(site)
    with raw(site) as db:
        db.execute("SELECT count(*) FROM audit_log")

        done = archive(site)

    assert done.stays == ["audit_log 2026-05: somebody reads its table for long"]
    assert len(stored(site)["audit_log"]) == 5
    assert (found(site), files(site)) == ([], named(site))


def test_a_month_with_a_record_that_was_changed_stays(site: lockside.Session) -> None:
    (first, *_) = record(site)
    query(site, "UPDATE state_transition_audit SET to_state = 'X' WHERE entity_id = :n", n=first)

    done = archive(site)

    assert done.stays == [
        "state_transition_audit 2026-05: 1 records aren't as they were sealed: verify them"
    ]
    assert (found(site), files(site)) == (["record_changed"], named(site))


def test_the_log_says_which_month_stays_until_somebody_looks_into_it(
    site: lockside.Session, logged: pytest.LogCaptureFixture
) -> None:
    record(site)
    query(site, "UPDATE state_transition_audit SET to_state = 'X'")

    archive(site)

    told = {(vars(each)["table"], vars(each)["month"]) for each in logged.records}
    assert told == {("state_transition_audit", "2026-05-01")}


def test_records_from_before_there_were_seals_are_archived_too(site: lockside.Session) -> None:
    record(site)
    query(
        site,
        "INSERT INTO audit_log SELECT (json_populate_record(r, json_build_object('event_id',"
        " gen_random_uuid(), 'seal_no', NULL, 'seal_place', NULL))).* FROM audit_log r LIMIT 1",
    )
    query(site, "UPDATE audit_chain SET unsealed = 1")

    archive(site)

    seen = verified(site)
    assert (seen.findings, seen.unsealed) == ([], 1)


def test_a_full_disk_leaves_the_records_and_no_part_of_a_file(site: lockside.Session) -> None:
    record(site, comments=secrets.token_hex(4_500))
    before = stored(site)

    with small_disk(site.platform.archives):
        with pytest.raises(Unavailable) as refused:
            archive(site)
        left = files(site)

    assert (stored(site), archives(site), left) == (before, [], [])
    assert refused.value.facts["missing_bytes"] > 0
    assert str(site.platform.archives) in str(refused.value)


def test_after_room_was_made_the_records_are_archived(site: lockside.Session) -> None:
    record(site, comments=secrets.token_hex(4_500))
    with small_disk(site.platform.archives), pytest.raises(Unavailable):
        archive(site)

    archive(site)

    assert (stored(site), found(site)) == (NOTHING, [])


def test_a_folder_that_cant_be_made_is_named(site: lockside.Session, says: Sentences) -> None:
    record(site)
    site.platform.archives.parent.mkdir(exist_ok=True)
    site.platform.archives.write_text("in the way")

    with pytest.raises(Unavailable, check=says):
        archive(site)


def test_nothing_goes_into_a_folder_without_the_archives_that_there_are(
    site: lockside.Session, says: Sentences
) -> None:
    record(site)
    archive(site)
    site.platform.archives.rename(site.platform.archives.with_name("unmounted"))
    record(site)

    with pytest.raises(Unavailable, check=says):
        archive(site)


def test_memory_stays_flat_while_a_month_is_archived_and_verified(site: lockside.Session) -> None:
    (row_id,) = record(site, count=1)
    query(
        site,
        "INSERT INTO audit_log SELECT (json_populate_record(r, json_build_object('event_id',"
        " gen_random_uuid(), 'seal_no', NULL, 'seal_place', NULL, 'changes',"
        " json_build_object('a', repeat(md5(n::text), 400))))).*"
        " FROM audit_log r, generate_series(1, 5000) AS n WHERE entity_id = :id",
        id=row_id,
    )
    query(site, "UPDATE audit_chain SET unsealed = 5000")

    tracemalloc.start()
    archive(site)
    seen = verified(site)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    # 64 MB of lines go through.
    assert (seen.findings, seen.unsealed) == ([], 5000)
    assert most < 24 * 2**20
