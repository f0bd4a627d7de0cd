"""Archives on demand: restored and archived again, held and released, dropped when too old."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import lockside
from domain.audit.retention import month_of
from domain.errors import InvalidInput, LockBusy, NotFound, RuleRefused, Unavailable
from domain.permissions import Actor
from engine.audit.rollup import roll_up
from engine.audit.writer import write_records
from engine.ports.platform import Platform
from engine.retention.archive_rows import remove_gone
from engine.retention.restore import (
    ArchiveTotals,
    drop_archives,
    hold_archives,
    release_archives,
    restore,
)
from tests.engine.archives import (
    AUGUST,
    COLD,
    GONE,
    MAY,
    archive,
    archives,
    at,
    file_of,
    files,
    found,
    make_months,
    named,
    record,
    rewrite,
    stored,
    verified,
)
from tests.engine.steps import Crash, at_once, crash_at, query, raw
from tests.sentences import Sentences

pytestmark = pytest.mark.slow

NEXT_DAY = COLD + timedelta(days=1)
AFTER = COLD + timedelta(days=8)


@pytest.fixture
def archived(site: lockside.Session) -> lockside.Session:
    """Give a month that is in archives."""
    make_months(site, MAY)
    record(site)
    archive(site)
    return site


def bring_back(
    site: lockside.Session, platform: Platform | None = None, **more: Any
) -> ArchiveTotals:
    """Restore May for the tenant."""
    return restore(platform or at(site.platform, COLD), site.actor, month_of(MAY), **more)


def drop(site: lockside.Session, platform: Platform | None = None) -> ArchiveTotals:
    """Drop what is too old when May is."""
    return drop_archives(platform or at(site.platform, GONE))


def told(site: lockside.Session) -> list[tuple[str, str, int | None]]:
    """Return what was recorded of archives themselves: what, why and by whom."""
    write_records(site.platform)
    rows = query(site, "SELECT event_type, reason, actor_id FROM audit_log"
                 " WHERE kind = 'audit_archive' ORDER BY occurred_at, entity_id")  # fmt: skip
    return [(each["event_type"], each["reason"], each["actor_id"]) for each in rows]


@pytest.mark.parametrize("has_partition", [True, False])
def test_what_is_restored_is_what_was_archived(site: lockside.Session, has_partition: bool) -> None:
    if has_partition:
        make_months(site, MAY)
    record(site)
    before = stored(site)
    archive(site)

    done = bring_back(site)

    assert (stored(site), done) == (before, ArchiveTotals(archives=3, records=11))
    assert found(site) == []


def test_what_is_restored_is_in_a_partition_of_its_own(archived: lockside.Session) -> None:
    bring_back(archived)

    (row,) = query(archived, "SELECT DISTINCT tableoid::regclass::text AS part FROM audit_log")
    assert row["part"] == "audit_log_2026_05"


def test_to_restore_again_does_nothing_more(archived: lockside.Session) -> None:
    bring_back(archived)
    before = stored(archived)

    bring_back(archived)

    assert (stored(archived), found(archived)) == (before, [])


def test_one_table_can_be_restored_alone(archived: lockside.Session) -> None:
    done = bring_back(archived, records=("audit_log",))

    assert done == ArchiveTotals(archives=1, records=5)
    assert [name for name, rows in stored(archived).items() if rows] == ["audit_log"]
    assert found(archived) == []


@pytest.mark.parametrize("step", ["room_made", "records_restored"])
def test_a_crash_while_restoring_loses_and_doubles_nothing(
    archived: lockside.Session, step: str
) -> None:
    with pytest.raises(Crash):
        bring_back(archived, crash_at(at(archived.platform, COLD), step))
    midway = found(archived)

    bring_back(archived)

    assert (midway, found(archived)) == ([], [])
    assert sum(map(len, stored(archived).values())) == 11


def test_two_at_once_restore_once(archived: lockside.Session) -> None:
    answers = at_once(lambda: bring_back(archived), lambda: bring_back(archived))

    assert all(isinstance(each, ArchiveTotals | LockBusy) for each in answers)
    bring_back(archived)
    assert (sum(map(len, stored(archived).values())), found(archived)) == (11, [])


def test_an_empty_part_that_a_crash_left_goes_away(archived: lockside.Session) -> None:
    with pytest.raises(Crash):
        bring_back(archived, crash_at(at(archived.platform, COLD), "room_made"))

    archive(archived)

    assert query(archived, "SELECT relname FROM pg_class WHERE relname LIKE '%\\_2026\\_05'") == []


def test_what_was_restored_stays_for_its_days(archived: lockside.Session) -> None:
    bring_back(archived)

    done = archive(archived, NEXT_DAY)

    assert (done.records, len(done.stays)) == (0, 3)


def test_archived_again_it_is_the_same_file(archived: lockside.Session) -> None:
    before = files(archived), [each["id"] for each in archives(archived)]
    bring_back(archived)

    archive(archived, AFTER)

    assert (files(archived), [each["id"] for each in archives(archived)]) == before
    assert [each["restored_until"] for each in archives(archived)] == [None] * 3
    assert (sum(map(len, stored(archived).values())), found(archived)) == (0, [])


def test_who_asks_for_it_has_it_archived_again_at_once(archived: lockside.Session) -> None:
    bring_back(archived)

    mine = archived.actor.tenant_id
    assert archive(archived, NEXT_DAY, even_restored_of=mine).records == 11


def test_nobody_has_archived_what_another_tenant_restored(archived: lockside.Session) -> None:
    bring_back(archived)

    done = archive(archived, NEXT_DAY, even_restored_of=archived.actor.tenant_id + 1)

    assert (done.records, len(done.stays)) == (0, 3)


def test_with_what_came_late_it_is_a_new_archive_in_the_place_of_the_old(
    archived: lockside.Session,
) -> None:
    hold_archives(archived.platform, archived.actor, month_of(MAY), because="Case 12/26")
    bring_back(archived)
    record(archived)
    write_records(archived.platform)

    archive(archived, AFTER)

    kept = [each for each in archives(archived) if each["replaced_at"] is None]
    assert {each["held_because"] for each in kept if each["month"] == month_of(MAY)} == {
        "Case 12/26"
    }
    assert (len(kept), files(archived)) == (3, named(archived))
    assert found(archived) == []


@pytest.mark.parametrize("step", ["archive_noted", "records_archived", "archives_removed"])
def test_a_crash_while_it_is_replaced_leaves_no_file(archived: lockside.Session, step: str) -> None:
    bring_back(archived)
    record(archived)
    with pytest.raises(Crash):
        archive(lockside_at(archived, step), AFTER)
    midway = found(archived)

    archive(archived, AFTER)

    assert (midway, found(archived)) == ([], [])
    assert files(archived) == named(archived)


def lockside_at(site: lockside.Session, step: str) -> Any:
    """Return a site whose process dies right after a step."""
    dying = type(site)(site.settings, site._app, crash_at(site.platform, step), site.origin)
    dying.actor = site.actor
    return dying


def test_records_that_were_deleted_since_they_were_restored_dont_replace_their_archive(
    archived: lockside.Session,
) -> None:
    bring_back(archived)
    query(archived, "DELETE FROM audit_log WHERE seal_place = 0")

    done = archive(archived, AFTER)

    assert done.stays == [
        "audit_log 2026-05: 1 of the records that were restored are gone: verify them"
    ]
    assert file_of(archived, "audit_log").exists()


def test_a_file_that_isnt_as_it_was_written_is_not_restored(
    archived: lockside.Session, says: Sentences
) -> None:
    rewrite(archived, lambda lines: lines[1:], table="audit_log")

    with pytest.raises(RuleRefused, check=says):
        bring_back(archived)


def test_a_file_that_was_changed_with_its_checksum_is_not_restored(
    archived: lockside.Session, says: Sentences
) -> None:
    rewrite(
        archived,
        lambda lines: [each.replace(b"CREATED", b"DELETED") for each in lines],
        table="audit_log",
        is_noted=True,
    )

    with pytest.raises(RuleRefused, check=says):
        bring_back(archived, records=("audit_log",))
    assert stored(archived)["audit_log"] == []


def test_a_file_that_isnt_there_is_not_restored(
    archived: lockside.Session, says: Sentences
) -> None:
    file_of(archived, "audit_log").unlink()

    with pytest.raises(Unavailable, check=says):
        bring_back(archived, records=("audit_log",))


def test_a_month_without_archives_is_not_found(archived: lockside.Session) -> None:
    for ask in (restore, release_archives):
        with pytest.raises(NotFound):
            ask(archived.platform, archived.actor, month_of(AUGUST))


def test_another_tenants_archives_are_not_found(archived: lockside.Session) -> None:
    with pytest.raises(NotFound):
        restore(archived.platform, Actor(archived.actor.tenant_id + 1, None), month_of(MAY))


def test_what_is_too_old_is_dropped_with_its_file(archived: lockside.Session) -> None:
    done = drop(archived)

    assert (done, files(archived)) == (ArchiveTotals(archives=3, records=11), [])
    assert found(archived, GONE) == []


def test_the_hours_of_what_is_too_old_go_with_it(archived: lockside.Session) -> None:
    bring_back(archived)
    roll_up(archived.platform)
    of_may = "SELECT FROM audit_rollup WHERE hour < '2026-06-01Z'"
    before = query(archived, of_may)
    early = drop(archived, at(archived.platform, COLD)), query(archived, of_may)

    drop(archived)

    assert (bool(before), early, query(archived, of_may)) == (True, (ArchiveTotals(), before), [])


def test_nothing_is_dropped_before_its_time(archived: lockside.Session) -> None:
    early = MAY.replace(year=2028, day=31)

    assert drop(archived, at(archived.platform, early)) == ArchiveTotals()


@pytest.mark.parametrize("step", ["drop_noted", "archives_dropped", "archives_removed"])
def test_after_a_crash_while_it_is_dropped_nothing_is_left_of_it(
    archived: lockside.Session, step: str
) -> None:
    with pytest.raises(Crash):
        drop(archived, crash_at(at(archived.platform, GONE), step))
    midway = found(archived, GONE)

    drop(archived)

    assert (midway, found(archived, GONE), files(archived)) == ([], [], [])
    assert [each["path"] for each in archives(archived)] == [None] * 3


def test_a_file_stays_while_somebody_reads_archives(archived: lockside.Session) -> None:
    with raw(archived) as db:
        db.execute("SELECT pg_advisory_xact_lock_shared(5126790214)")
        drop(archived)
        during = files(archived)

    drop(archived)

    assert (len(during), files(archived)) == (3, [])


def test_nothing_is_dropped_where_the_folder_is_not_mounted(
    archived: lockside.Session, tmp_path: Path, says: Sentences
) -> None:
    away = replace(at(archived.platform, GONE), archives=tmp_path / "empty")

    with pytest.raises(Unavailable, check=says):
        drop(archived, away)

    assert drop(archived).archives == 3


def test_a_file_is_not_forgotten_where_the_folder_is_not_mounted(
    archived: lockside.Session, tmp_path: Path
) -> None:
    with pytest.raises(Crash):
        drop(archived, crash_at(at(archived.platform, GONE), "archives_dropped"))
    away = replace(archived.platform, archives=tmp_path / "empty")

    removed = remove_gone(away), remove_gone(archived.platform)

    assert (removed, files(archived)) == ((0, 3), [])


def test_what_is_held_stays_however_old_it_is(archived: lockside.Session) -> None:
    held = hold_archives(archived.platform, archived.actor, month_of(MAY), because="Case 12/26")

    assert (held, drop(archived), len(files(archived))) == (3, ArchiveTotals(), 3)
    assert verified(archived, GONE).archived == 11


def test_what_is_released_is_dropped(archived: lockside.Session) -> None:
    hold_archives(
        archived.platform, archived.actor, month_of(MAY), because="Case", records=("audit_log",)
    )
    drop(archived)
    held = files(archived)

    release_archives(archived.platform, archived.actor, month_of(MAY))
    drop(archived)

    assert (len(held), files(archived), found(archived, GONE)) == (1, [], [])


def test_to_hold_needs_a_reason(archived: lockside.Session) -> None:
    with pytest.raises(InvalidInput):
        hold_archives(archived.platform, archived.actor, month_of(MAY), because=" ")


def test_what_was_dropped_is_neither_held_nor_restored(
    archived: lockside.Session, says: Sentences
) -> None:
    drop(archived)

    with pytest.raises(RuleRefused, check=says):
        hold_archives(archived.platform, archived.actor, month_of(MAY), because="Case")
    with pytest.raises(RuleRefused, check=says):
        bring_back(archived)


def test_what_is_restored_is_dropped_once_it_is_archived_again(archived: lockside.Session) -> None:
    bring_back(archived, at(archived.platform, GONE))
    first = drop(archived)

    archive(archived, GONE + timedelta(days=8))

    assert (first, drop(archived).records) == (ArchiveTotals(), 11)


def test_who_did_what_with_archives_is_recorded(archived: lockside.Session) -> None:
    month = month_of(MAY)
    hold_archives(archived.platform, archived.actor, month, because="Case", records=("audit_log",))
    release_archives(archived.platform, archived.actor, month, records=("audit_log",))
    restore(archived.platform, archived.actor, month, records=("audit_log",))
    mine = archived.actor.person_id

    assert told(archived) == [
        ("UPDATED", "held", mine),
        ("UPDATED", "released", mine),
        ("UPDATED", "restored", mine),
    ]


def test_what_is_dropped_is_recorded_as_the_systems(archived: lockside.Session) -> None:
    drop(archived)

    assert told(archived) == [("DELETED", "retention", None)] * 3
