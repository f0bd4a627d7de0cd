"""Tours have two levels, however a task becomes a checkpoint."""

import pytest

import lockside
from domain.errors import RuleRefused
from engine.operations.run_chunk import run_chunk
from tests.engine.steps import at_once, drain, query
from tests.engine.work_files import faults_of, load
from tests.engine.works import do, why
from tests.factories import tasks
from tests.sentences import Sentences


def refused(site: lockside.Session, row_id: int, parent_id: int) -> str:
    """Return the code against making one task the checkpoint of another."""
    with pytest.raises(RuleRefused) as told:
        site.records("task").update(row_id, parent_id=parent_id)
    return str(told.value.facts["reasons"][0]["code"])


def test_a_tour_is_no_checkpoint_of_its_own_checkpoint(site: lockside.Session) -> None:
    first, second = tasks(site, 2)
    site.records("task").update(first, parent_id=second)

    assert refused(site, second, first) == "tour_nested"


def test_a_checkpoint_has_no_checkpoints(site: lockside.Session, says: Sentences) -> None:
    tour, other = tasks(site, 2)
    (checkpoint,) = tasks(site, 1, parent_id=tour)

    assert refused(site, other, checkpoint) == "tour_nested"
    with pytest.raises(RuleRefused, check=says):
        site.records("task").create(title="Door", parent_id=checkpoint)


def test_a_task_with_checkpoints_becomes_none(site: lockside.Session) -> None:
    tour, other = tasks(site, 2)
    tasks(site, 1, parent_id=tour)

    assert refused(site, tour, other) == "tour_nested"


def test_a_task_is_not_its_own_tour(site: lockside.Session) -> None:
    (row_id,) = tasks(site, 1)

    assert refused(site, row_id, row_id) == "tour_nested"


def test_a_tour_whose_checkpoints_were_deleted_becomes_one(site: lockside.Session) -> None:
    tour, other = tasks(site, 2)
    (checkpoint,) = tasks(site, 1, parent_id=tour)
    site.records("task").delete(checkpoint)

    assert site.records("task").update(tour, parent_id=other)["parent_id"] == other


def test_an_operation_leaves_out_what_would_nest(site: lockside.Session) -> None:
    tour, other, free = tasks(site, 3)
    tasks(site, 1, parent_id=tour)

    told = drain(
        site,
        do(
            site,
            "task",
            [tour, other, free],
            verb="update",
            values={"parent_id": other},
            atomic=False,
        ),
    )

    assert why(told) == ["tour_nested"]
    assert told["successful_ids"] == [str(free)]


def test_two_who_would_make_a_circle_make_none(site: lockside.Session) -> None:
    first, second = tasks(site, 2)

    asked = do(site, "task", second, verb="update", values={"parent_id": first})
    at_once(
        lambda: site.records("task").update(first, parent_id=second),
        lambda: run_chunk(site.platform, asked, 0),
    )

    rows = query(site, "SELECT id FROM field_task WHERE parent_id IS NOT NULL")
    assert len(rows) == 1


def test_a_line_that_would_nest_stays_out(site: lockside.Session) -> None:
    load(site, "task", "reference,title,parent\nT,Tour,\nC,Door,T\n")
    text = "reference,title,parent\nN,Tour,\nD,Door,N\nE,deep,D\nF,deep,C\nG,Door,T\n"

    told = faults_of(site, "task", text)

    assert told == [(4, "parent_id", "tour_nested"), (5, "parent_id", "tour_nested")]
    assert len(site.ids("task")) == 5
