"""Nobody brings work to a state that they may not move it to."""

import pytest

import lockside
from domain.errors import PermissionDenied
from tests.engine.work_files import faults_of, load, rejects_of
from tests.engine.works import denials
from tests.sentences import Sentences

HELD_BY_A_DISPATCHER = "DRAFT, SUBMITTED, IN_PROGRESS, CANCELLED"


@pytest.mark.parametrize("state", ["APPROVED", "CLOSED", "REJECTED"])
def test_a_line_in_a_state_that_one_may_not_move_work_to_stays_out(
    site: lockside.Session, state: str
) -> None:
    site.act_as("demo", "dora")
    text = f"title,state\nA,{state.lower()}\nB,SUBMITTED\nC,\n"

    (told,) = rejects_of(site, "work_order", text)

    assert (told.line, told.field, told.value, told.code) == (
        2,
        "state",
        state,
        "permission_denied",
    )
    assert told.reason.endswith(f"expected one of {HELD_BY_A_DISPATCHER}")
    assert site.states("work_order") == {"DRAFT": 1, "SUBMITTED": 1}


def test_rows_in_a_state_that_one_may_not_move_work_to_are_denied_as_a_whole(
    site: lockside.Session, says: Sentences
) -> None:
    site.act_as("demo", "dora")
    rows = [{"title": "A", "state": each} for each in ("DRAFT", "APPROVED")]

    with pytest.raises(PermissionDenied, check=says):
        site.import_work("work_order", rows)

    (denial,) = denials(site)
    assert (denial["attempted_action"], denial["kind"]) == ("approve", "work_order")
    assert site.states("work_order") == {}


def test_any_arrow_into_a_state_opens_it(site: lockside.Session) -> None:
    site.act_as("demo", "dora")

    ids = site.import_work("ticket", [{"title": "A", "state": "INPROGRESS"}])

    assert site.row("ticket", ids[0])["state"] == "INPROGRESS"


@pytest.mark.parametrize("person", ["asha", "admin", None])
def test_managers_administrators_and_the_system_bring_work_to_any_state(
    site: lockside.Session, person: str | None
) -> None:
    site.act_as("demo", person)
    text = "title,state\nA,CLOSED\nB,APPROVED\n"

    assert faults_of(site, "work_order", text) == []
    assert len(site.import_work("work_order", [{"title": "C", "state": "CLOSED"}])) == 1


def test_what_stayed_out_comes_in_once_it_may(site: lockside.Session) -> None:
    site.act_as("demo", "dora")
    text = "title,state\nA,CLOSED\nB,DRAFT\n"
    load(site, "work_order", text)
    person = site.actor.person_id
    site.act_as("demo", "admin")
    site.records("person_role").create(person_id=person, role="supervisor")
    site.act_as("demo", "dora")

    again = load(site, "work_order", text)

    assert (again.new, again.there, again.bad) == (1, 1, 0)
