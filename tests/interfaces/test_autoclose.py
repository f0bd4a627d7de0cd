"""What the clock does, as people and programs read it at the command line."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

import lockside
from engine.scheduling.autoclose import tick
from tests.engine.clockwork import OPEN, alone
from tests.engine.steps import drain
from tests.factories import tasks
from tests.interfaces.commands import call
from worker.settings import Settings

LONG_AGO = datetime(2026, 1, 5, 9, tzinfo=UTC)


@pytest.fixture
def closing(site: lockside.Session) -> Iterator[str]:
    """Make a policy that is alone with what it is to close; delete it afterwards."""
    name = f"closing-{uuid4().hex}"
    alone(site, name=name, cap=2, selection=f"{OPEN} and tags contains {name}")
    tasks(site, 3, due_at=LONG_AGO, tags=[name])
    yield name
    site.autoclose.set_mode(name, "off")


def test_a_preview_tells_how_many_and_why(settings: Settings, closing: str) -> None:
    shown = call(settings, "autoclose", "preview", closing, "--limit", "1")

    assert f"{closing}: 3 due, 1 of them left for the next run" in shown.out
    assert "due 2026-01-05 09:00 UTC" in shown.out
    assert "2 more; --limit shows them" in shown.err


def test_a_preview_of_a_later_time_tells_what_will_be_due(
    settings: Settings, site: lockside.Session, closing: str
) -> None:
    tasks(site, 1, due_at=datetime.now(UTC) + timedelta(days=2), tags=[closing])

    soon, later = (
        call(settings, "autoclose", "preview", closing, "--at", at, "--json").json
        for at in ("+1d", "+3d")
    )

    assert later[0]["matched"] == soon[0]["matched"] + 1


def test_a_run_is_told_with_what_is_left_and_stands_in_the_history(
    settings: Settings, site: lockside.Session, closing: str
) -> None:
    asked = call(settings, "autoclose", "run", closing, "--detach", "--json")
    told = asked.json
    drain(site, UUID(told["operation_id"]))

    history = call(settings, "autoclose", "history", closing, "--json").json
    shown = call(settings, "autoclose", "history", closing)

    assert (told["outcome"], told["taken"], told["left"]) == ("ran", 2, 1)
    assert [(each["taken"], each["left"], each["succeeded"]) for each in history] == [(2, 1, 2)]
    assert "2 done, 1 left, asked for by admin" in shown.out
    assert told["operation_id"] in shown.out


def test_what_is_off_is_not_run_and_the_error_says_what_to_do(
    settings: Settings, closing: str
) -> None:
    call(settings, "autoclose", "mode", closing, "off")

    refused = call(settings, "autoclose", "run", closing)

    assert refused.code == 5
    assert "set its mode to shadow or on first" in refused.err


def test_shadow_says_what_would_be_done(
    settings: Settings, site: lockside.Session, closing: str
) -> None:
    assert "in shadow mode" in call(settings, "autoclose", "mode", closing, "shadow").out
    for run in tick(site.platform):
        if run.operation_id is not None:
            drain(site, run.operation_id)

    assert "shadow: 2 would be done" in call(settings, "autoclose", "history", closing).out


def test_policies_are_listed_with_what_they_do(settings: Settings, closing: str) -> None:
    shown = call(settings, "autoclose", "policies").out

    assert closing in shown
    assert "30d state, grace 7d" in shown
    assert "2d created of working time" in shown


def test_alerts_are_listed_until_somebody_has_looked(
    settings: Settings, site: lockside.Session, closing: str
) -> None:
    site.records("policy").update(
        policy_id(site, closing), verb="alert", target_state=None, comments=None
    )
    for run in tick(site.platform):
        if run.operation_id is not None:
            drain(site, run.operation_id)

    shown = call(settings, "autoclose", "alerts", closing)
    done = call(settings, "autoclose", "acknowledge", "--all", "--json")
    after = call(settings, "autoclose", "alerts", closing)

    assert "overdue: due 2026-01-05 09:00 UTC" in shown.out
    assert done.json["acknowledged"] >= 2
    assert "No alert that nobody has looked at" in after.err


def test_ids_or_all_are_wanted_to_acknowledge(settings: Settings) -> None:
    assert call(settings, "autoclose", "acknowledge").code == 2
    assert call(settings, "autoclose", "acknowledge", "1", "--all").code == 2


def policy_id(site: lockside.Session, name: str) -> int:
    return next(int(each["id"]) for each in site.autoclose.policies() if each["name"] == name)


@pytest.mark.slow
def test_the_doctor_names_a_policy_that_waits_for_somebody(
    settings: Settings, site: lockside.Session, closing: str
) -> None:
    told = call(settings, "autoclose", "run", closing, "--detach", "--json").json
    drain(site, UUID(told["operation_id"]))
    undone = site.operation(told["operation_id"]).undo()
    drain(site, UUID(undone.id))

    stopped = policies_of(call(settings, "doctor", "--json").json)
    call(settings, "autoclose", "resume", closing)
    going_on = policies_of(call(settings, "doctor", "--json").json)

    assert (stopped["status"], stopped["found"]) == ("warn", f"stopped: {closing}")
    assert going_on["status"] == "ok"


def policies_of(told: dict[str, Any]) -> dict[str, Any]:
    (found,) = (each for each in told["checks"] if each["name"] == "policies")
    return dict(found)
