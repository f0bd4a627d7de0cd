"""Policies warn before they act, alert once, count by calendars, and stop when it is too much."""

from datetime import UTC, datetime, timedelta

import pytest

import lockside
from domain.errors import InvalidInput, NotFound, PermissionDenied, RuleRefused
from engine.audit.writer import write_records
from engine.retention.forget import forget
from tests.checker import check_invariants
from tests.engine.clockwork import HOUR, NOON, alone, end, overdue, policy, run_at, states, undo
from tests.engine.steps import outbox
from tests.engine.works import clock_at
from tests.factories import tickets, work_orders
from tests.sentences import Sentences

pytestmark = pytest.mark.slow

DAY = timedelta(days=1)


def reasons(site: lockside.Session, name: str, at: datetime) -> list[str]:
    """Return why the rows are due that a policy would take."""
    with site.autoclose.preview(name, at=at) as stages:
        return [each["reason"] for each in stages[-1].rows]


def usual(site: lockside.Session, count: int, *, runs: int = 4) -> datetime:
    """Let a policy close so many tasks in each of some hours; return the next hour."""
    for n in range(runs):
        overdue(site, count, by=-n * HOUR)
        run_at(site, NOON + n * HOUR)
    return NOON + runs * HOUR


def test_fifty_times_the_usual_is_stopped_with_an_alert_and_nothing_is_closed(
    site: lockside.Session,
) -> None:
    alone(site, breaker_least=10)
    now = usual(site, 2)
    late = overdue(site, 100)

    (run,) = run_at(site, now)

    assert (run.outcome, run.matched, run.taken, run.operation_id) == ("stopped", 100, 0, None)
    assert set(states(site, "task", late)) == {"ASSIGNED"}
    (alert,) = site.autoclose.alerts()
    assert (alert["code"], alert["policy"], alert["entity_id"]) == ("stopped", "closing", None)
    assert "100 rows matched, 20 at most were expected" in alert["message"]
    assert [each["name"] for each in site.autoclose.policies() if each["stopped"]] == ["closing"]


def test_a_stopped_policy_waits_until_somebody_lets_it_go_on(
    site: lockside.Session, says: Sentences
) -> None:
    alone(site, breaker_least=10)
    now = usual(site, 2)
    late = overdue(site, 100)
    run_at(site, now)

    waiting = run_at(site, now + HOUR)
    with pytest.raises(RuleRefused, check=says):
        site.autoclose.run("closing")
    released = site.autoclose.resume("closing")
    (run,) = run_at(site, now + 2 * HOUR)

    assert (waiting, released, run.outcome, run.taken) == ([], 1, "ran", 100)
    assert set(states(site, "task", late)) == {"AUTOCLOSED"}
    assert site.autoclose.resume("closing") == 0
    check_invariants(site)


def test_an_outage_makes_no_run_too_large(site: lockside.Session) -> None:
    alone(site, breaker_least=10)
    now = usual(site, 2)
    overdue(site, 60)

    (run,) = run_at(site, now + 3 * HOUR)

    assert (run.missed, run.outcome, run.taken) == (3, "ran", 60)


def test_a_policy_without_history_is_stopped_by_nothing_but_its_cap(site: lockside.Session) -> None:
    alone(site, breaker_least=0, cap=30)
    overdue(site, 50)

    (run,) = run_at(site)

    assert (run.outcome, run.taken, run.left) == ("ran", 30, 20)


def test_what_was_undone_stays_undone_until_the_policy_is_let_go_on(
    site: lockside.Session, says: Sentences
) -> None:
    alone(site)
    late = overdue(site, 3)
    (run,) = run_at(site)

    told = undo(site, run)
    waiting = run_at(site, NOON + HOUR)

    assert told["successful_items"] == 3
    assert waiting == []
    assert states(site, "task", late) == ["ASSIGNED"] * 3
    with pytest.raises(RuleRefused, check=says):
        site.autoclose.run("closing")
    assert site.autoclose.history()[0]["undone_by"] is not None
    assert site.autoclose.resume("closing") == 1
    run_at(site, NOON + 2 * HOUR)
    assert states(site, "task", late) == ["AUTOCLOSED"] * 3
    check_invariants(site)


def test_somebody_is_warned_and_the_grace_goes_by_before_a_row_is_closed(
    site: lockside.Session,
) -> None:
    alone(site, after="1h", grace="2h")
    late = overdue(site, 2)

    first = run_at(site, NOON)
    again = run_at(site, NOON + HOUR)
    early = states(site, "task", late)
    last = run_at(site, NOON + 2 * HOUR)

    assert [(each.stage, each.outcome) for each in first] == [("warn", "ran"), ("act", "nothing")]
    assert [(each.stage, each.outcome) for each in again] == [
        ("warn", "nothing"),
        ("act", "nothing"),
    ]
    assert early == ["ASSIGNED"] * 2
    assert [(each.stage, each.outcome) for each in last] == [("warn", "nothing"), ("act", "ran")]
    assert states(site, "task", late) == ["AUTOCLOSED"] * 2
    alerts = site.autoclose.alerts()
    assert {each["code"] for each in alerts} == {"closing_soon"}
    assert {each["entity_id"] for each in alerts} == set(late)
    assert alerts[0]["message"] == "due 2026-11-18 11:00 UTC, 60 minutes, limit 60"
    check_invariants(site)


def test_whoever_was_warned_late_has_the_whole_grace(site: lockside.Session) -> None:
    alone(site, after="1h", grace="2h")
    late = overdue(site, by=10 * HOUR)

    for n in range(2):
        run_at(site, NOON + n * HOUR)
    early = states(site, "task", late)
    run_at(site, NOON + 2 * HOUR)

    assert early == ["ASSIGNED"]
    assert states(site, "task", late) == ["AUTOCLOSED"]


def test_a_row_whose_time_began_anew_is_warned_of_anew(site: lockside.Session) -> None:
    alone(site, after="1h", grace="2h")
    (late,) = overdue(site, by=2 * HOUR)
    run_at(site)
    site.records("task").update(late, due_at=NOON)

    run_at(site, NOON + 2 * HOUR)
    early = states(site, "task", [late])
    run_at(site, NOON + 4 * HOUR)

    assert early == ["ASSIGNED"]
    assert states(site, "task", [late]) == ["AUTOCLOSED"]
    assert len(site.autoclose.alerts()) == 2


def test_a_breach_is_alerted_once_and_again_when_its_time_begins_anew(
    site: lockside.Session,
) -> None:
    alone(site, clock="due", verb="alert", target_state=None, comments=None)
    (late,) = overdue(site)

    for n in range(3):
        run_at(site, NOON + n * HOUR)
    once = len(site.autoclose.alerts())
    site.records("task").update(late, due_at=NOON + 2 * HOUR)
    run_at(site, NOON + 3 * HOUR)

    assert once == 1
    assert [each["entity_id"] for each in site.autoclose.alerts()] == [late, late]
    assert states(site, "task", [late]) == ["ASSIGNED"]
    check_invariants(site)


def test_alerts_are_acknowledged_and_those_of_others_are_not_found(site: lockside.Session) -> None:
    alone(site, clock="due", verb="alert", target_state=None, comments=None)
    overdue(site, 3)
    run_at(site)
    first = site.autoclose.alerts()[-1]["id"]

    assert site.autoclose.acknowledge([first]) == 1
    assert len(site.autoclose.alerts()) == 2
    assert len(site.autoclose.alerts(everything=True)) == 3
    with lockside.connect(settings=site.settings, tenant="other") as other:
        with pytest.raises(NotFound):
            other.autoclose.acknowledge([first])
        assert other.autoclose.alerts(everything=True) == []
    assert site.autoclose.acknowledge() == 2


def test_an_escalation_raises_the_priority_once(site: lockside.Session) -> None:
    alone(
        site,
        kind="ticket",
        selection="state in (NEW, OPEN) and priority=HIGH",
        clock="created",
        after="3d",
        verb="update",
        priority="CRITICAL",
        target_state=None,
        comments=None,
    )
    rows = tickets(site, 2, priority="HIGH")
    with site.platform.single.connect() as db:
        now = site.platform.clock(db)

    run_at(site, now + 2 * DAY)
    early = [site.row("ticket", each)["priority"] for each in rows]
    run_at(site, now + 4 * DAY)
    again = run_at(site, now + 5 * DAY)

    assert early == ["HIGH"] * 2
    assert [site.row("ticket", each)["priority"] for each in rows] == ["CRITICAL"] * 2
    assert [each.outcome for each in again] == ["nothing"]
    check_invariants(site)


def test_an_escalation_hands_work_to_another_team(site: lockside.Session) -> None:
    team = site.add_named("team", ["Night shift"])["Night shift"]
    alone(
        site,
        selection="state=ASSIGNED and assigned_to_team is empty",
        verb="assign",
        assigned_to_team="Night shift",
        target_state=None,
        comments=None,
    )
    (late,) = overdue(site)

    run_at(site)

    assert site.row("task", late)["assigned_to_team"] == team
    check_invariants(site)


def test_working_time_goes_by_the_calendar_of_the_site_and_else_by_the_tenants_own(
    site: lockside.Session,
) -> None:
    calendars = site.records("calendar")
    calendars.create(
        name="Office", zone="Europe/Berlin", hours="Mon-Fri 09:00-17:00", is_default=True
    )
    night = calendars.create(name="Night", zone="Asia/Kolkata", hours="Mon-Sun 00:00-24:00")
    plant = site.records("site").create(name="Plant", calendar_id=night["id"])
    alone(site, clock="due", after="8h", time="business")
    # Friday at noon UTC is 13:00 in Berlin: four hours are left of the day, the rest is Monday's.
    friday = datetime(2026, 11, 20, 12, tzinfo=UTC)
    office, plant_task = (
        overdue(site, 1, by=NOON - friday, **more)[0] for more in ({}, {"site_id": plant["id"]})
    )

    run_at(site, friday + 8 * HOUR)
    by_night = states(site, "task", [office, plant_task])
    run_at(site, datetime(2026, 11, 23, 11, 59, tzinfo=UTC))
    early = states(site, "task", [office])
    run_at(site, datetime(2026, 11, 23, 12, tzinfo=UTC))

    assert by_night == ["ASSIGNED", "AUTOCLOSED"]
    assert early == ["ASSIGNED"]
    assert states(site, "task", [office]) == ["AUTOCLOSED"]


def test_a_preview_says_why_of_each_row_in_the_time_of_its_calendar(site: lockside.Session) -> None:
    site.records("calendar").create(
        name="Office", zone="Europe/Berlin", hours="Mon-Fri 08:00-18:00", is_default=True
    )
    alone(site, clock="due", after="72h", time="business")
    overdue(site, by=NOON - datetime(2026, 11, 10, 8, 12, tzinfo=UTC))

    told = reasons(site, "closing", datetime(2026, 11, 19, 11, 30, tzinfo=UTC))

    assert told == ["due 2026-11-10 09:12 CET, 73 business hours, limit 72"]


def test_a_preview_changes_nothing_and_tells_what_would_be_left(site: lockside.Session) -> None:
    alone(site, cap=2, exempt="title contains keep")
    rows = overdue(site, 3)
    overdue(site, 1, by=2 * HOUR, title="keep this")

    with site.autoclose.preview("closing", at=NOON) as (stage,):
        found = [each["id"] for each in stage.rows]

    assert (stage.matched, stage.left, stage.exempt) == (3, 1, 1)
    assert sorted(found) == rows
    assert site.autoclose.history(idle=True) == []


def test_a_state_is_told_as_what_happened(site: lockside.Session) -> None:
    alone(
        site,
        kind="work_order",
        selection="state=DRAFT",
        clock="state",
        after="30d",
        target_state="CANCELLED",
        comments="A draft that nobody took up",
    )
    work_orders(site, 1, state="DRAFT")
    since = site.records("work_order").list()[0]["state_since"]

    (told,) = reasons(site, "closing", since + 31 * DAY)

    assert told == f"draft {since:%Y-%m-%d %H:%M} UTC, 744 hours, limit 720"


def test_a_person_runs_a_policy_now_and_the_history_tells_who(site: lockside.Session) -> None:
    alone(site, clock="created", selection="state=ASSIGNED")
    late = overdue(site, 2)

    run = site.autoclose.run("closing")
    end(site, run, on=site.platform)

    assert states(site, "task", late) == ["AUTOCLOSED"] * 2
    (told,) = site.autoclose.history("closing")
    assert (told["requested_by"], told["taken"], told["succeeded"]) == ("admin", 2, 2)


def test_who_may_not_change_policies_runs_none(site: lockside.Session) -> None:
    alone(site)
    with lockside.connect(settings=site.settings, actor="victor") as viewer:
        assert viewer.autoclose.policies()
        for refused in (
            lambda: viewer.autoclose.run("closing"),
            lambda: viewer.autoclose.resume("closing"),
            viewer.autoclose.acknowledge,
            lambda: viewer.autoclose.set_mode("closing", "off"),
        ):
            with pytest.raises(PermissionDenied):
                refused()


def test_an_unknown_policy_is_not_found(site: lockside.Session, says: Sentences) -> None:
    for refused in (
        lambda: site.autoclose.run("nothing"),
        lambda: site.autoclose.history("nothing"),
        lambda: site.autoclose.resume("nothing"),
    ):
        with pytest.raises(NotFound, check=says):
            refused()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"after": "soon"}, "after"),
        ({"grace": "-2h"}, "grace"),
        ({"selection": "state is"}, "selection"),
        ({"selection": "colour=RED"}, "selection"),
        ({"exempt": "and"}, "exempt"),
        ({"clock": "updated_at"}, "clock"),
        ({"target_state": "CLOSED"}, "target_state"),
        ({"verb": "alert"}, "verb"),
        ({"target_state": None}, "verb"),
        ({"comments": "Closed - {vendor}"}, "comments"),
        ({"every_minutes": 0}, "every_minutes"),
        ({"cap": 0}, "cap"),
        ({"mode": "maybe"}, "mode"),
        ({"kind": "invoice"}, "kind"),
        ({"breaker_factor": 1}, "breaker_factor"),
    ],
)
def test_a_policy_that_cannot_work_is_refused_when_it_is_made(
    site: lockside.Session, wrong: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        policy(site, name="wrong", **wrong)

    assert refused.value.facts["field"] == field


def test_clock_at_is_the_clock_that_runs_go_by(site: lockside.Session) -> None:
    alone(site)
    overdue(site)

    (run,) = run_at(site, on=clock_at(site, NOON))

    assert site.autoclose.history()[0]["as_of"] == NOON
    assert run.taken == 1


def test_what_somebody_let_go_on_or_looked_at_is_recorded(site: lockside.Session) -> None:
    alone(site, clock="due", verb="alert", target_state=None, comments=None)
    overdue(site)
    (run,) = run_at(site)
    policy(site, name="closes")
    (closed,) = run_at(site, NOON + HOUR)[1:]
    undo(site, closed)

    site.autoclose.acknowledge()
    site.autoclose.resume("closes")

    told = {each["body"]["kind"]: each for each in outbox(site) if each["body"].get("kind")}
    assert told["alert"]["changes"] == ['{"acknowledged": {"before": false, "after": true}}']
    assert told["scheduled_run"]["body"]["metadata"] == {"ids": [closed.id]}
    assert told["scheduled_run"]["body"]["actor_id"] == site.actor.person_id
    assert run.outcome == "ran"


def test_runs_that_found_nothing_are_forgotten_soon_but_for_the_last(
    site: lockside.Session,
) -> None:
    alone(site)
    overdue(site, 2)
    for n in range(4):
        run_at(site, NOON + n * HOUR)
    write_records(site.platform)

    forgotten = forget(clock_at(site, datetime.now(UTC) + 3 * DAY))

    assert forgotten.alerts == 0
    kept = site.autoclose.history(idle=True)
    assert [each["outcome"] for each in kept] == ["nothing", "ran"]
    assert kept[0]["as_of"] == NOON + 3 * HOUR
