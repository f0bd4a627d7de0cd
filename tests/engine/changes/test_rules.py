"""The rules of tasks and attendance, held against what stands in the database."""

from datetime import date, timedelta
from typing import Any

import pytest

import lockside
from tests.checker import check_invariants
from tests.engine.steps import drain
from tests.engine.works import (
    AT_THE_OFFICE,
    DAY,
    ELSEWHERE,
    OFFICE,
    PUNCHED,
    attended,
    clock_at,
    do,
    move,
    period,
    read,
    task,
    why,
)

CUTOFF = PUNCHED + timedelta(days=5)
SECOND = timedelta(seconds=1)


def test_a_task_of_nobody_does_not_start(site: lockside.Session) -> None:
    row_id = task(site, state="ASSIGNED")

    assert why(move(site, "task", row_id, "INPROGRESS")) == ["assignee_missing"]


@pytest.mark.parametrize("assignee", ["assigned_to_user", "assigned_to_team"])
def test_a_task_of_a_person_or_of_a_team_alone_starts(
    site: lockside.Session, assignee: str
) -> None:
    team = site.add_named("team", ["Plumbing"])["Plumbing"]
    who = team if assignee == "assigned_to_team" else site.actor.person_id
    given: dict[str, Any] = {assignee: who}
    row_id = task(site, state="ASSIGNED", **given)

    assert why(move(site, "task", row_id, "INPROGRESS")) == []


def test_a_task_starts_after_it_was_assigned_to_a_team(site: lockside.Session) -> None:
    site.add_named("team", ["Plumbing"])
    row_id = task(site, state="ASSIGNED")

    drain(site, do(site, "task", row_id, verb="assign", values={"assigned_to_team": "Plumbing"}))

    assert why(move(site, "task", row_id, "INPROGRESS")) == []
    check_invariants(site)


@pytest.mark.parametrize("state", ["INPROGRESS", "WORKING"])
def test_a_task_without_the_readings_of_its_job_is_not_completed(
    site: lockside.Session, state: str
) -> None:
    row_id = task(site, state=state, asks=["pressure", "flow"])
    read(site, row_id, "flow")

    assert why(move(site, "task", row_id, "COMPLETED")) == ["readings_missing"]


def test_a_task_is_told_which_readings_it_lacks(site: lockside.Session) -> None:
    row_id = task(site, asks=["pressure", "flow", "noise"])
    read(site, row_id, "flow")

    told = move(site, "task", row_id, "COMPLETED")

    assert told["failure_details"][str(row_id)].endswith("the job asks for: pressure, noise")


def test_a_task_is_completed_after_its_last_reading(site: lockside.Session) -> None:
    row_id = task(site, asks=["pressure", "flow"])
    read(site, row_id, "flow")
    move(site, "task", row_id, "COMPLETED")
    read(site, row_id, "pressure")

    assert why(move(site, "task", row_id, "COMPLETED")) == []
    check_invariants(site)


def test_a_reading_of_another_name_or_task_does_not_help(site: lockside.Session) -> None:
    row_id, other = task(site, asks=["flow"]), task(site, asks=["flow"])
    read(site, row_id, "Flow")
    read(site, other, "flow")

    assert why(move(site, "task", row_id, "COMPLETED")) == ["readings_missing"]


def test_a_deleted_reading_is_missing(site: lockside.Session) -> None:
    row_id = task(site, asks=["flow"])
    site.records("reading").delete(read(site, row_id, "flow"))

    assert why(move(site, "task", row_id, "COMPLETED")) == ["readings_missing"]


def test_a_task_whose_job_asks_for_nothing_is_completed(site: lockside.Session) -> None:
    job = site.records("job").create(name="Look around")

    assert why(move(site, "task", task(site), "COMPLETED")) == []
    assert why(move(site, "task", task(site, job_id=job["id"]), "COMPLETED")) == []


def test_many_tasks_are_judged_each_by_its_own_job(site: lockside.Session) -> None:
    ready, unready, free = task(site, asks=["flow"]), task(site, asks=["flow"]), task(site)
    read(site, ready, "flow")

    told = drain(site, do(site, "task", [ready, unready, free], target="COMPLETED", atomic=False))

    assert told["failed_ids"] == [str(unready)]
    assert told["successful_ids"] == [str(ready), str(free)]


@pytest.mark.parametrize("state", ["ASSIGNED", "WORKING", "COMPLETED"])
def test_a_person_does_not_close_a_task_for_the_system(site: lockside.Session, state: str) -> None:
    row_id = task(site, state=state)

    assert why(move(site, "task", row_id, "AUTOCLOSED")) == ["system_only"]


def test_the_system_closes_a_task_with_its_comment(site: lockside.Session) -> None:
    row_id = task(site, state="STANDBY")
    site.act_as("demo", None)

    assert why(move(site, "task", row_id, "AUTOCLOSED", comments=None)) == ["comments_required"]
    assert why(move(site, "task", row_id, "AUTOCLOSED")) == []


@pytest.mark.parametrize(
    ("after", "told"), [(-SECOND, []), (0 * SECOND, ["after_cutoff"]), (SECOND, ["after_cutoff"])]
)
def test_the_platforms_clock_says_whether_the_cutoff_is_over(
    site: lockside.Session, after: timedelta, told: list[str]
) -> None:
    period(site, cutoff_at=CUTOFF)
    row_id = attended(site)

    now = clock_at(site, CUTOFF + after)

    assert why(move(site, "attendance", row_id, "APPROVED", platform=now)) == told


def test_nothing_is_approved_in_a_closed_period(site: lockside.Session) -> None:
    november = period(site)
    row_id = attended(site)
    site.records("payroll_period").update(november["id"], closed_at=CUTOFF)

    assert why(move(site, "attendance", row_id, "APPROVED")) == ["after_cutoff"]


@pytest.mark.parametrize(
    ("day", "told"),
    [
        (date(2026, 10, 31), []),
        (date(2026, 11, 1), ["after_cutoff"]),
        (date(2026, 11, 30), ["after_cutoff"]),
        (date(2026, 12, 1), []),
    ],
)
def test_a_period_holds_its_first_and_its_last_day(
    site: lockside.Session, day: date, told: list[str]
) -> None:
    period(site, closed_at=CUTOFF)

    assert why(move(site, "attendance", attended(site, datefor=day), "APPROVED")) == told


def test_a_period_of_another_tenant_or_a_deleted_one_closes_nothing(site: lockside.Session) -> None:
    site.act_as("other", "admin")
    period(site, closed_at=CUTOFF)
    site.act_as("demo", "admin")
    gone = period(site, closed_at=CUTOFF)
    site.records("payroll_period").delete(gone["id"])

    assert why(move(site, "attendance", attended(site), "APPROVED")) == []


def test_a_closed_period_does_not_keep_anybody_from_rejecting(site: lockside.Session) -> None:
    period(site, closed_at=CUTOFF)

    assert why(move(site, "attendance", attended(site), "REJECTED")) == []


def test_adjusting_wants_a_manager_and_comments(site: lockside.Session) -> None:
    row_id = attended(site, state="APPROVED")
    site.open_tenant("demo", {"ada": ["admin"]})
    site.act_as("demo", "ada")

    told = drain(site, do(site, "attendance", row_id, target="ADJUSTED"))
    (failure,) = site.operation(told["operation_id"]).failures()

    assert set(failure.codes) == {"comments_required", "manager_required"}
    assert why(move(site, "attendance", row_id, "ADJUSTED", approved_by="asha")) == []


def test_a_punch_within_the_geofence_is_approved(site: lockside.Session) -> None:
    office = site.records("site").create(name="Office", **OFFICE)

    row_id = attended(site, site_id=office["id"], **AT_THE_OFFICE)

    assert why(move(site, "attendance", row_id, "APPROVED")) == []


def test_a_punch_outside_the_geofence_is_refused_at_approval(site: lockside.Session) -> None:
    office = site.records("site").create(name="Office", **OFFICE)

    row_id = attended(site, site_id=office["id"], **ELSEWHERE)

    assert why(move(site, "attendance", row_id, "APPROVED")) == ["outside_geofence"]


def test_a_punch_outside_the_geofence_comes_in_with_a_warning(site: lockside.Session) -> None:
    office = site.records("site").create(name="Office", **OFFICE)
    punch = {"person": "admin", "datefor": DAY, "punchintime": PUNCHED, "ctzoffset": 330}

    made = site.records("attendance").create(site="Office", **punch, **ELSEWHERE)
    imported = attended(site, site_id=office["id"], **ELSEWHERE)

    warned = [made, site.row("attendance", imported)]
    assert [[each["code"] for each in row["warnings"]] for row in warned] == [
        ["outside_geofence"],
        ["outside_geofence"],
    ]


def test_of_many_punches_only_those_outside_are_warned_about(site: lockside.Session) -> None:
    office = site.records("site").create(name="Office", **OFFICE)
    good = attended(site, site_id=office["id"], **AT_THE_OFFICE)
    free = attended(site)

    warned = [site.row("attendance", each)["warnings"] for each in (good, free)]

    assert warned == [[], []]


def warned_of(site: lockside.Session, row_id: int) -> list[str]:
    return [each["code"] for each in site.row("attendance", row_id)["warnings"]]


def test_a_punch_that_was_corrected_is_warned_about_no_more(site: lockside.Session) -> None:
    office = site.records("site").create(name="Office", **OFFICE)
    first, second, third = (attended(site, site_id=office["id"], **ELSEWHERE) for _ in range(3))

    site.records("attendance").update(first, **AT_THE_OFFICE)
    drain(site, do(site, "attendance", second, verb="update", values=AT_THE_OFFICE))

    assert [warned_of(site, each) for each in (first, second)] == [[], []]
    assert warned_of(site, third) == ["outside_geofence"]


def test_a_warning_stays_as_long_as_its_rule_is_broken(site: lockside.Session) -> None:
    office = site.records("site").create(name="Office", **OFFICE)
    row_id = attended(site, site_id=office["id"], **ELSEWHERE)

    site.records("attendance").update(row_id, remarks="Bus was late")

    assert warned_of(site, row_id) == ["outside_geofence"]


def test_a_punch_that_was_corrected_is_approved(site: lockside.Session) -> None:
    office = site.records("site").create(name="Office", **OFFICE)
    row_id = attended(site, site_id=office["id"], **ELSEWHERE)

    site.records("attendance").update(row_id, **AT_THE_OFFICE)

    assert why(move(site, "attendance", row_id, "APPROVED")) == []
