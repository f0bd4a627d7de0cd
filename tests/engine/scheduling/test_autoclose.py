"""The clock closes what is overdue once, nothing early, and says why."""

from datetime import timedelta

import pytest

import lockside
from engine.scheduling.autoclose import tick
from tests.checker import check_invariants
from tests.engine.clockwork import (
    HOUR,
    NOON,
    alone,
    end,
    overdue,
    policy,
    run_at,
    states,
    tick_at,
    undo,
)
from tests.engine.steps import Crash, crash_at, drain, query
from tests.engine.works import attended, clock_at, move, period, task

pytestmark = pytest.mark.slow


def category(site: lockside.Session, name: str = "Elevator") -> int:
    return site.add_named("ticket_category", [name])[name]


def job(site: lockside.Session, **more: object) -> int:
    made = site.records("job").create(name=more.pop("name", "Round"), **more)
    found: int = made["id"]
    return found


def test_what_is_overdue_is_closed_with_its_record_and_nothing_else(site: lockside.Session) -> None:
    alone(site)
    late = overdue(site, 3)
    early = overdue(site, 2, by=-HOUR)
    never = overdue(site, 1)
    site.records("task").update(never[0], due_at=None)

    (run,) = run_at(site)

    assert (run.outcome, run.matched, run.taken) == ("ran", 3, 3)
    assert states(site, "task", late) == ["AUTOCLOSED"] * 3
    assert states(site, "task", early + never) == ["ASSIGNED"] * 3
    check_invariants(site)
    records = query(site, "SELECT * FROM state_transition_audit WHERE success")
    assert {each["entity_id"] for each in records} == set(late)
    assert {each["reason"] for each in records} == {"system_auto"}
    assert {each["comments"] for each in records} == {"Auto-closed by system"}
    assert all(each["metadata"] == {"autoclosed_by_server": True} for each in records)
    assert {each["actor_id"] for each in records} == {None}


def test_a_row_is_due_at_the_very_moment_and_not_before(site: lockside.Session) -> None:
    alone(site)
    (due,) = overdue(site, by=timedelta())
    (next_moment,) = overdue(site, by=timedelta(microseconds=-1))

    run_at(site)

    assert states(site, "task", [due, next_moment]) == ["AUTOCLOSED", "ASSIGNED"]


def test_the_grace_of_a_job_keeps_its_tasks_open(site: lockside.Session) -> None:
    alone(site)
    patient = overdue(site, 1, job_id=job(site, name="Patient", grace_minutes=90))
    quick = overdue(site, 1, job_id=job(site, name="Quick", grace_minutes=60))

    run_at(site)
    early = states(site, "task", patient + quick)
    run_at(site, NOON + HOUR)

    assert early == ["ASSIGNED", "AUTOCLOSED"]
    assert states(site, "task", patient) == ["AUTOCLOSED"]


def test_a_period_is_run_once_however_many_ticks_come(site: lockside.Session) -> None:
    alone(site)
    overdue(site, 2)

    runs = [run_at(site) for _ in range(3)]

    assert [len(each) for each in runs] == [1, 0, 0]
    assert len(query(site, "SELECT * FROM operation WHERE actor_id IS NULL")) == 1


def test_periods_that_nobody_ran_are_caught_up_by_one_run(site: lockside.Session) -> None:
    alone(site)
    run_at(site)
    late = overdue(site, 4, by=-HOUR)

    (run,) = run_at(site, NOON + 4 * HOUR)

    assert (run.missed, run.taken) == (3, 4)
    assert states(site, "task", late) == ["AUTOCLOSED"] * 4


def test_a_tick_that_dies_before_its_run_is_stored_leaves_nothing(site: lockside.Session) -> None:
    alone(site)
    late = overdue(site, 2)
    platform = clock_at(site, NOON)

    with pytest.raises(Crash):
        tick(crash_at(platform, "ticked"))
    assert site.autoclose.history(idle=True) == []
    run_at(site)

    assert states(site, "task", late) == ["AUTOCLOSED"] * 2


def test_a_tick_that_dies_before_its_hints_leaves_the_run(site: lockside.Session) -> None:
    alone(site)
    late = overdue(site, 2)
    platform = clock_at(site, NOON)

    with pytest.raises(Crash):
        tick(crash_at(platform, "run_stored"))
    (run,) = site.autoclose.history()
    assert run_at(site) == []
    drain(site, run["operation_id"], platform)

    assert states(site, "task", late) == ["AUTOCLOSED"] * 2


def test_a_policy_waits_for_its_last_run_to_end(site: lockside.Session) -> None:
    alone(site)
    overdue(site, 2)
    (first,) = tick_at(site)

    assert tick_at(site, NOON + HOUR) == []
    end(site, first)

    assert len(tick_at(site, NOON + HOUR)) == 1


def test_a_run_takes_those_longest_due_up_to_its_cap_and_the_next_the_rest(
    site: lockside.Session,
) -> None:
    alone(site, cap=2)
    newest, oldest, older = (overdue(site, by=n * HOUR)[0] for n in (1, 3, 2))

    (first,) = run_at(site)
    taken = states(site, "task", [newest, oldest, older])
    (second,) = run_at(site, NOON + HOUR)

    assert (first.matched, first.taken, first.left) == (3, 2, 1)
    assert taken == ["ASSIGNED", "AUTOCLOSED", "AUTOCLOSED"]
    assert (second.matched, second.left) == (1, 0)


def test_a_row_that_is_no_longer_due_is_left_alone_and_told_why(site: lockside.Session) -> None:
    alone(site, exempt="title contains keep")
    moved, kept, cleared, closed = overdue(site, 4)
    platform = clock_at(site, NOON)
    (run,) = tick_at(site, on=platform)
    site.records("task").update(moved, due_at=NOON + HOUR)
    site.records("task").update(kept, title="Please keep")
    site.records("task").update(cleared, due_at=None)

    told = end(site, run)

    assert states(site, "task", [moved, kept, cleared, closed]) == [*["ASSIGNED"] * 3, "AUTOCLOSED"]
    assert told["failure_codes"] == {"no_longer_due": 3}
    assert told["failure_details"] == {
        str(moved): "It is no longer due: due 2026-11-18 13:00 UTC, 0 minutes, limit 0",
        str(kept): "It is no longer due: it is exempt by title contains keep",
        str(cleared): "It is no longer due: it has no time overdue any more",
    }
    check_invariants(site)


def test_a_row_that_left_the_filter_meanwhile_is_left_alone(site: lockside.Session) -> None:
    alone(site, selection="state in (ASSIGNED, INPROGRESS)")
    (done,) = overdue(site, state="WORKING")
    site.autoclose.set_mode("closing", "off")
    policy(site, name="other", selection="state in (ASSIGNED, INPROGRESS, WORKING)")
    platform = clock_at(site, NOON)
    (run,) = tick_at(site, on=platform)
    move(site, "task", done, "COMPLETED")

    told = end(site, run)

    assert told["failure_codes"] == {"no_longer_due": 1}
    assert states(site, "task", [done]) == ["COMPLETED"]


def test_exempt_rows_are_left_alone_by_priority_and_by_what_they_are(
    site: lockside.Session,
) -> None:
    alone(
        site,
        kind="ticket",
        selection="state=RESOLVED",
        exempt="priority=CRITICAL or title contains hold",
        clock="state",
        after="7d",
        target_state="CLOSED",
    )
    rows = site.import_work(
        "ticket",
        [
            {"title": "Leak", "state": "RESOLVED", "priority": each}
            for each in ("LOW", "CRITICAL", "HIGH")
        ],
    )
    platform = clock_at(site, NOON)
    with platform.single.connect() as db:
        resolved = site.platform.clock(db)

    run_at(site, resolved + timedelta(days=6, hours=23))
    early = states(site, "ticket", rows)
    run_at(site, resolved + timedelta(days=7, hours=1))

    assert early == ["RESOLVED"] * 3
    assert states(site, "ticket", rows) == ["CLOSED", "RESOLVED", "CLOSED"]


def test_a_ticket_is_raised_once_in_the_category_of_the_job(site: lockside.Session) -> None:
    alone(site)
    asked = job(site, ticket_category_id=category(site))
    late = overdue(site, 2, job_id=asked)
    quiet = overdue(site, 1)

    (run,) = run_at(site)

    tickets = query(site, "SELECT * FROM ticket ORDER BY task_id")
    assert [each["task_id"] for each in tickets] == late
    assert {each["category_id"] for each in tickets} == {category(site)}
    assert {each["state"] for each in tickets} == {"NEW"}
    # Taken back and closed again it has its ticket already.
    undo(site, run)
    site.autoclose.resume("closing")
    run_at(site, NOON + HOUR)
    assert states(site, "task", late + quiet) == ["AUTOCLOSED"] * 3
    assert len(query(site, "SELECT * FROM ticket")) == 2
    check_invariants(site)
    comments = query(
        site,
        "SELECT DISTINCT entity_id, comments FROM state_transition_audit"
        "  WHERE reason = 'system_auto' AND success",
    )
    assert {each["comments"] for each in comments if each["entity_id"] in late} == {
        "Auto-closed by system - Elevator"
    }


def test_a_tour_that_is_partly_done_becomes_partially_completed(site: lockside.Session) -> None:
    done, undone, whole = (overdue(site)[0] for _ in range(3))
    checks = {
        done: ("COMPLETED", "ASSIGNED"),
        undone: ("ASSIGNED", "ASSIGNED"),
        whole: ("COMPLETED", "COMPLETED"),
    }
    for tour, found in checks.items():
        for each in found:
            task(site, state=each, parent_id=tour)

    run_at(site)

    assert states(site, "task", [done, undone, whole]) == [
        "PARTIALLYCOMPLETED",
        "AUTOCLOSED",
        "AUTOCLOSED",
    ]
    check_invariants(site)


def test_attendance_of_a_closed_period_is_locked_and_what_pends_rejected(
    site: lockside.Session,
) -> None:
    states_of = {each: attended(site, state=each) for each in ("APPROVED", "ADJUSTED", "PENDING")}
    period(site, cutoff_at=NOON)

    run_at(site, NOON - timedelta(minutes=15))
    before = states(site, "attendance", list(states_of.values()))
    run_at(site, NOON)

    assert before == ["APPROVED", "ADJUSTED", "PENDING"]
    assert states(site, "attendance", list(states_of.values())) == ["LOCKED", "LOCKED", "REJECTED"]
    check_invariants(site)


def test_shadow_mode_judges_and_changes_nothing(site: lockside.Session) -> None:
    alone(site, mode="shadow")
    late = overdue(site, 3)

    (run,) = run_at(site)

    operation = site.operation(str(run.operation_id)).show()
    assert (run.outcome, run.taken) == ("shadow", 3)
    assert operation["dry_run"] is True
    assert operation["result"]["successful_items"] == 3
    assert states(site, "task", late) == ["ASSIGNED"] * 3


def test_a_policy_that_is_off_does_nothing(site: lockside.Session) -> None:
    alone(site, mode="off")
    overdue(site)

    assert run_at(site) == []


def test_a_policy_that_cannot_be_run_is_told_once_and_the_others_run(
    site: lockside.Session,
) -> None:
    alone(site)
    policy(site, name="broken", selection='site = "Nowhere"')
    late = overdue(site)

    first = run_at(site)
    run_at(site, NOON + HOUR)

    assert {each.policy["name"]: each.outcome for each in first} == {
        "closing": "ran",
        "broken": "failed",
    }
    assert states(site, "task", late) == ["AUTOCLOSED"]
    alerts = site.autoclose.alerts()
    assert [(each["policy"], each["code"]) for each in alerts] == [("broken", "failed")]
    assert "Nowhere" in alerts[0]["message"]


def test_tenants_are_apart(site: lockside.Session) -> None:
    alone(site)
    with lockside.connect(settings=site.settings, tenant="other") as other:
        mine = overdue(other)
        for each in other.autoclose.policies():
            other.autoclose.set_mode(each["name"], "off")

        run_at(site)

        assert states(other, "task", mine) == ["ASSIGNED"]
        assert other.autoclose.history() == []
