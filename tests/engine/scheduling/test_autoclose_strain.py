"""The clock under strain: policies that can't work, rows that can't be closed, and what is late."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, text

import lockside
from domain.errors import InvalidInput
from domain.policies.defaults import DEFAULTS
from engine.policies.runs import turns
from engine.records.tenants import add_default_policies
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
from tests.engine.policies.test_due import walk
from tests.engine.steps import query
from tests.engine.works import attended, move, period
from tests.factories import tasks, tickets
from tests.sentences import Sentences

pytestmark = pytest.mark.slow

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"after": "999999999w"}, "after"),
        ({"after": "3651d"}, "after"),
        ({"after": "366d", "time": "business"}, "after"),
        ({"after": "3000d", "grace": "900d"}, "after"),
        ({"grace": "0m"}, "grace"),
    ],
)
def test_a_policy_that_nobody_would_live_to_see_is_refused(
    site: lockside.Session, wrong: dict[str, str], field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        policy(site, **wrong)

    assert refused.value.facts["field"] == field


def test_a_limit_of_years_is_reached(site: lockside.Session) -> None:
    alone(site, clock="due", after="1200d")
    old, young = (overdue(site, by=n * DAY)[0] for n in (1300, 1100))

    run_at(site)

    assert states(site, "task", [old, young]) == ["AUTOCLOSED", "ASSIGNED"]


def test_a_policy_that_breaks_down_keeps_nobody_elses_from_running(site: lockside.Session) -> None:
    alone(site)
    policy(site, name="broken")
    late = overdue(site)
    with site.platform.database.begin() as db:
        # As a version of tomorrow, or a hand in the database, might leave it.
        db.execute(text("UPDATE policy SET after = '999999999w', version = version + 1"
                        " WHERE name = 'closing'"))  # fmt: skip

    runs = run_at(site)

    assert {each.policy["name"]: each.outcome for each in runs} == {
        "closing": "failed",
        "broken": "ran",
    }
    assert states(site, "task", late) == ["AUTOCLOSED"]
    assert [each["code"] for each in site.autoclose.alerts()] == ["failed"]


def test_a_month_of_idle_quarter_hours_is_no_reason_to_stop_the_payroll(
    site: lockside.Session,
) -> None:
    for n in range(4):
        run_at(site, NOON - (4 - n) * 15 * MINUTE)
    period(site, cutoff_at=NOON)
    punched = [attended(site, state="APPROVED") for _ in range(120)]

    runs = {each.policy["name"]: each for each in run_at(site)}

    assert (runs["payroll-lock"].outcome, runs["payroll-lock"].taken) == ("ran", 120)
    assert set(states(site, "attendance", punched)) == {"LOCKED"}


def test_a_breach_is_alerted_although_the_clock_closes_the_task_in_the_same_tick(
    site: lockside.Session,
) -> None:
    (late,) = overdue(site, by=MINUTE)
    runs = tick_at(site)
    # Whoever closes is first at the row.
    for each in sorted(runs, key=lambda run: run.policy["verb"] == "alert"):
        if each.operation_id is not None:
            end(site, each)

    assert states(site, "task", [late]) == ["AUTOCLOSED"]
    assert [(each["policy"], each["entity_id"]) for each in site.autoclose.alerts()] == [
        ("task-sla", late)
    ]
    check_invariants(site)


def test_a_run_is_not_retried_and_its_plan_not_executed_by_anybody_else(
    site: lockside.Session, says: Sentences
) -> None:
    alone(site, exempt="tags contains hold")
    (held,) = overdue(site)
    (run,) = tick_at(site)
    site.records("task").update(held, tags=["hold"])
    end(site, run)

    with pytest.raises(InvalidInput, check=says):
        site.operation(str(run.operation_id)).retry()
    site.autoclose.set_mode("closing", "shadow")
    late = overdue(site)
    (shadow,) = run_at(site, NOON + HOUR)
    with pytest.raises(InvalidInput, check=says):
        site.operation(str(shadow.operation_id)).execute()

    assert states(site, "task", [held, *late]) == ["ASSIGNED"] * 2


def test_the_grace_goes_by_the_calendar_of_the_site(site: lockside.Session) -> None:
    office = site.records("calendar").create(name="Office", zone="UTC", hours="Mon-Fri 09:00-17:00")
    place = site.records("site").create(name="Tower", calendar_id=office["id"])
    alone(site, clock="due", after="8h", grace="8h", time="business")
    friday = datetime(2026, 11, 20, 16, tzinfo=UTC)
    (late,) = overdue(site, by=NOON - friday + 10 * DAY, site_id=place["id"])

    run_at(site, friday)
    found = []
    for moment in (friday + 9 * HOUR, datetime(2026, 11, 23, 15, tzinfo=UTC)):
        run_at(site, moment)
        found += states(site, "task", [late])
    run_at(site, datetime(2026, 11, 23, 16, tzinfo=UTC))

    assert found == ["ASSIGNED"] * 2
    assert states(site, "task", [late]) == ["AUTOCLOSED"]


def test_rows_that_cannot_be_closed_leave_the_others_their_turn(site: lockside.Session) -> None:
    alone(
        site,
        kind="ticket",
        selection="state in (NEW, RESOLVED)",
        clock="created",
        after="1h",
        target_state="CLOSED",
        cap=1,
    )
    (stuck,) = tickets(site, 1)
    (free,) = tickets(site, 1, state="RESOLVED")
    with site.platform.single.connect() as db:
        now = site.platform.clock(db)

    for n in range(2, 4):
        run_at(site, now + n * HOUR)

    assert states(site, "ticket", [stuck, free]) == ["NEW", "CLOSED"]


def test_no_ticket_is_raised_for_what_was_done_in_time(site: lockside.Session) -> None:
    category = site.add_named("ticket_category", ["Elevator"])["Elevator"]
    job = site.records("job").create(name="Round", ticket_category_id=category)
    alone(site, selection="state=COMPLETED", clock="state", after="30d")
    tasks(site, 1, state="COMPLETED", job_id=job["id"], due_at=NOON - DAY)
    with site.platform.single.connect() as db:
        now = site.platform.clock(db)

    (run,) = run_at(site, now + 31 * DAY)

    assert run.taken == 1
    assert query(site, "SELECT * FROM ticket") == []


def test_a_policy_whose_operation_is_paused_says_that_it_waits(site: lockside.Session) -> None:
    alone(site)
    overdue(site, 2)
    (run,) = tick_at(site)
    site.operation(str(run.operation_id)).pause()

    assert run_at(site, NOON + HOUR) == []
    (told,) = (each for each in site.autoclose.policies() if each["name"] == "closing")
    assert (told["waits_for"], told["waits_in"]) == (run.operation_id, "PAUSED")


def test_a_run_over_tickets_is_undone_as_any_operation(site: lockside.Session) -> None:
    alone(
        site,
        kind="ticket",
        selection="state=RESOLVED",
        clock="state",
        after="7d",
        target_state="CLOSED",
    )
    rows = tickets(site, 2, state="RESOLVED")
    with site.platform.single.connect() as db:
        now = site.platform.clock(db)
    (run,) = run_at(site, now + 8 * DAY)

    told = undo(site, run)

    assert told["successful_items"] == 2
    assert states(site, "ticket", rows) == ["RESOLVED"] * 2
    assert move(site, "ticket", rows[0], "INPROGRESS")["successful_items"] == 1


def test_a_tick_looks_at_the_last_run_of_each_policy_alone(site: lockside.Session) -> None:
    fill = text("""
        INSERT INTO scheduled_run (tenant_id, policy_id, policy, stage, period, as_of, outcome)
        SELECT p.tenant_id, p.id, '{}', 'act', CAST(:noon AS timestamptz) - n * interval '5 min',
               :noon, 'nothing'
          FROM policy p, generate_series(1, 5000) AS n
    """)
    with site.platform.database.connect() as db:
        db.execute(fill, {"noon": NOON})
        db.execute(text("ANALYZE scheduled_run"))
        asked: list[tuple[str, dict[str, object]]] = []
        event.listen(db, "before_cursor_execute", lambda *told: asked.append(told[2:4]))
        assert turns(db, NOON)
        query_, names = asked[-1]
        (plan,) = db.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {query_}", names).scalar_one()
        db.rollback()

    seen = [each for each in walk(plan["Plan"]) if each.get("Relation Name") == "scheduled_run"]
    assert all("Seq Scan" not in each["Node Type"] for each in seen)
    assert max(each["Actual Rows"] for each in seen) <= 1


def test_rows_that_are_as_asked_already_are_not_taken_again(site: lockside.Session) -> None:
    site.add_named("team", ["Night shift"])
    alone(
        site,
        selection="state=ASSIGNED",
        verb="assign",
        assigned_to_team="Night shift",
        target_state=None,
        comments=None,
        cap=2,
    )
    late = overdue(site, 5)

    runs = [run_at(site, NOON + n * HOUR)[0] for n in range(4)]

    assert [(each.matched, each.taken) for each in runs] == [(5, 2), (3, 2), (1, 1), (0, 0)]
    assert all(site.row("task", each)["assigned_to_team"] for each in late)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"selection": "state=NOPE"}, "selection"),
        ({"exempt": "state in (OPEN)"}, "exempt"),
        ({"selection": "state=AUTOCLOSED", "target_state": "COMPLETED"}, "target_state"),
    ],
)
def test_states_that_lead_nowhere_are_refused(
    site: lockside.Session, wrong: dict[str, str], field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        policy(site, **wrong)

    assert refused.value.facts["field"] == field


def test_a_tenant_from_before_gets_its_policies_once_and_they_only_look_on(
    site: lockside.Session,
) -> None:
    with site.platform.database.begin() as db:
        # As it was before there were policies.
        db.execute(text("DELETE FROM policy"))
        db.execute(text("DELETE FROM outbox"))

    first, again = add_default_policies(site.platform), add_default_policies(site.platform)

    assert (first, again) == (2, 0)
    assert {each["mode"] for each in site.autoclose.policies()} == {"shadow"}
    assert len(site.autoclose.policies()) == len(DEFAULTS)


def test_the_runs_of_a_policy_that_was_deleted_are_found_by_its_name(
    site: lockside.Session,
) -> None:
    alone(site)
    overdue(site)
    run_at(site)
    (known,) = (each["id"] for each in site.autoclose.policies() if each["name"] == "closing")
    site.records("policy").delete(known)

    assert [each["taken"] for each in site.autoclose.history("closing")] == [1]
    assert run_at(site, NOON + HOUR) == []
