"""Derived facts: filters ask what stands in other rows, true or false."""

import pytest

import lockside
from domain.errors import InvalidInput
from tests.factories import tasks
from tests.sentences import Sentences


@pytest.fixture
def tours(site: lockside.Session) -> dict[str, int]:
    """Bring in tours, each called by what its checkpoints are: done, partial, open or gone."""
    states = {"D": "COMPLETED", "P": "PARTIALLYCOMPLETED", "O": "WORKING", "A": "AUTOCLOSED"}
    found = {}
    for name in ("", "D", "O", "DP", "DO", "PO", "DA", "DG", "OG"):
        (found[name],) = tasks(site, 1)
        for each in name:
            (row_id,) = tasks(site, 1, state=states.get(each, "WORKING"), parent_id=found[name])
            if each == "G":
                site.records("task").delete(row_id)
    return found


PARTLY = {"DO", "PO", "DA"}
TOURS = "parent is empty"


@pytest.mark.parametrize(
    ("where", "is_partly"),
    [
        ("partly_done = true", True),
        ("partly_done = TRUE", True),
        ("partly_done != false", True),
        ("partly_done = false", False),
        ("partly_done != true", False),
        ("not partly_done = true", False),
    ],
)
def test_a_tour_is_partly_done_if_some_checkpoints_are_and_some_are_not(
    site: lockside.Session, tours: dict[str, int], where: str, *, is_partly: bool
) -> None:
    meant = sorted(row for name, row in tours.items() if (name in PARTLY) is is_partly)

    assert site.ids("task", where=f"{where} and {TOURS}") == meant
    assert site.count("task", f"{where} and {TOURS}") == len(meant)
    assert [each["id"] for each in site.records("task").list(where=f"{where} and {TOURS}")] == meant


def test_rows_are_chosen_for_work_by_a_derived_fact(
    site: lockside.Session, tours: dict[str, int]
) -> None:
    told = site.update("task", values={"remarks": "Look"}, where="partly_done = true", dry_run=True)

    assert {int(each["id"]) for each in told.results()} == {tours[each] for each in PARTLY}


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("partly_done = yes", "true or false"),
        ("partly_done in (true, false)", "= or !=, with true or false"),
        ("partly_done is empty", "= or !=, with true or false"),
        ("partly_done contains true", "= or !=, with true or false"),
        ("partly_done < true", "= or !=, with true or false"),
    ],
)
def test_another_question_about_a_derived_fact_is_refused(
    site: lockside.Session, where: str, expected: str
) -> None:
    with pytest.raises(InvalidInput) as told:
        site.ids("task", where=where)

    assert told.value.facts["expected"] == expected


def test_a_kind_without_the_fact_knows_no_such_field(
    site: lockside.Session, says: Sentences
) -> None:
    with pytest.raises(InvalidInput, check=says):
        site.ids("ticket", where="partly_done = true")
