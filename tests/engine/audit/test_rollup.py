"""Rollups: every record is counted in its hour, once, whoever counts how often."""

from typing import Any

import pytest

import lockside
from engine.audit.rollup import roll_up
from engine.audit.writer import write_records
from tests.engine.steps import Crash, ask, at_once, crash_at, drain, query
from tests.factories import tickets, work_orders

# What the hours should be, asked of all records.
_EXPECTED = """
SELECT tenant_id, hour, kind, actor_id,
       count(*) FILTER (WHERE record = 'state_transition' AND success) AS succeeded,
       count(*) FILTER (WHERE record = 'state_transition' AND NOT success) AS failed,
       count(*) FILTER (WHERE record = 'audit_log' AND success) AS changed,
       count(*) FILTER (WHERE record = 'audit_log' AND NOT success) AS refused,
       count(*) FILTER (WHERE record = 'permission_denial') AS denials,
       count(*) FILTER (WHERE retry_attempt > 0) AS retried,
       round(sum(CASE WHEN record = 'state_transition' THEN execution_time_ms ELSE 0 END)) AS ms
  FROM (SELECT *, date_trunc('hour', occurred_at) AS hour FROM audit_trail
         WHERE record <> 'bulk_operation') AS t
 GROUP BY 1, 2, 3, 4
"""
_COUNTED = """
SELECT tenant_id, hour, kind, nullif(actor_id, 0) AS actor_id, succeeded, failed, changed, refused,
       denials, retried, round(execution_ms) AS ms
  FROM audit_rollup
"""


def hours(site: lockside.Session, statement: str) -> list[dict[str, Any]]:
    """Return hours in an order of their own."""
    found = query(site, f"SELECT * FROM ({statement}) AS h ORDER BY 1, 2, 3, 4")
    return [{name: each[name] if name != "ms" else round(each[name]) for name in each}
            for each in found]  # fmt: skip


def assert_counted(site: lockside.Session) -> None:
    expected = hours(site, _EXPECTED.strip())

    assert expected != []
    assert hours(site, _COUNTED) == expected


def work(site: lockside.Session) -> None:
    """Leave records of every sort."""
    ids = work_orders(site, 3) + work_orders(site, 1, vendor=False)
    drain(site, ask(site, ids, atomic=False))
    actor = site.actor
    more = work_orders(site, 2)
    site.act_as("demo", "victor")
    drain(site, ask(site, more))
    site.actor = actor
    write_records(site.platform)


def move(site: lockside.Session, hours_back: int) -> None:
    """Let what was recorded until now have happened hours ago."""
    for table in ("state_transition_audit", "audit_log", "permission_denial_audit"):
        query(site, f"UPDATE {table} SET occurred_at = occurred_at - make_interval(hours => :n)",
              n=hours_back)  # fmt: skip


def test_an_hour_holds_what_its_records_come_to(site: lockside.Session) -> None:
    work(site)
    move(site, 5)
    work(site)

    roll_up(site.platform)

    assert_counted(site)


def test_counting_again_counts_nothing_twice(site: lockside.Session) -> None:
    work(site)

    for _ in range(3):
        roll_up(site.platform)

    assert_counted(site)


def test_a_record_that_comes_late_is_counted_in_its_own_hour(site: lockside.Session) -> None:
    work(site)
    roll_up(site.platform)
    tickets(site, 2)
    query(site, "UPDATE outbox SET occurred_at = occurred_at - interval '3 hours'")
    write_records(site.platform)

    roll_up(site.platform)

    assert_counted(site)


def test_what_was_recorded_before_there_were_seals_is_counted_too(site: lockside.Session) -> None:
    work(site)
    for table in ("state_transition_audit", "audit_log", "permission_denial_audit"):
        query(site, f"UPDATE {table} SET seal_no = NULL")
    query(site, "DELETE FROM audit_seal")

    roll_up(site.platform)

    assert_counted(site)


def test_many_who_count_at_once_count_each_record_once(site: lockside.Session) -> None:
    work(site)
    site.act_as("other", "admin")
    work(site)

    at_once(*[lambda: roll_up(site.platform)] * 4)
    roll_up(site.platform)

    assert_counted(site)


def test_a_crash_between_two_tenants_loses_no_count(site: lockside.Session) -> None:
    work(site)
    with pytest.raises(Crash):
        roll_up(crash_at(site.platform, "rolled_up"))

    roll_up(site.platform)

    assert_counted(site)


def test_hours_that_were_deleted_with_their_mark_are_counted_anew(site: lockside.Session) -> None:
    work(site)
    roll_up(site.platform)
    query(site, "DELETE FROM audit_rollup")
    query(site, "DELETE FROM audit_rollup_mark")

    roll_up(site.platform)

    assert_counted(site)
