"""Tags: written by every way that writes work, found by filters, and taken back by an undo."""

import json
from io import BytesIO
from typing import Any

import pytest

import lockside
from domain.errors import InvalidInput
from engine.operations.follow_up import undo
from models.base import kinds
from models.facts import select_rows
from tests.checker import check_invariants
from tests.engine.steps import drain, query
from tests.engine.works import do
from tests.factories import MAKERS, tickets
from tests.sentences import Sentences

ODD = ['say "hi"', "back\\slash", "{brace}", "NULL", "ä€😀", "on hold"]
each_kind = pytest.mark.parametrize("kind", MAKERS)


def tags(site: lockside.Session, row_id: int, kind: str = "ticket") -> list[str]:
    found: list[str] = site.row(kind, row_id)["tags"]
    return found


@each_kind
def test_work_of_every_kind_has_tags_and_none_at_first(site: lockside.Session, kind: str) -> None:
    (plain,) = MAKERS[kind](site, 1)
    (tagged,) = MAKERS[kind](site, 1, tags=["vip", "hold"])

    assert (tags(site, plain, kind), tags(site, tagged, kind)) == ([], ["vip", "hold"])
    assert site.ids(kind, where="tags contains hold") == [tagged]


def test_tags_are_created_changed_and_taken_away_one_row_at_a_time(site: lockside.Session) -> None:
    records = site.records("ticket")
    row_id = records.create(title="Leak", tags="vip, hold")["id"]

    assert records.update(row_id, tags=["hold"])["tags"] == ["hold"]
    assert records.update(row_id, tags="")["tags"] == []
    assert records.update(row_id, tags=None)["version"] == 3


def test_odd_tags_come_in_as_they_are(site: lockside.Session) -> None:
    rows: list[dict[str, Any]] = [
        {"title": "A", "tags": ODD},
        {"title": "B", "tags": []},
        {"title": "C", "tags": None},
    ]

    first, second, third = site.import_work("ticket", rows)

    assert [tags(site, each) for each in (first, second, third)] == [ODD, [], []]
    assert all(site.ids("ticket", where=f"tags contains '{each}'") == [first] for each in ODD)
    check_invariants(site)


def test_an_operation_writes_the_same_tags_to_many_rows(site: lockside.Session) -> None:
    ids = tickets(site, 3)

    told = drain(site, do(site, "ticket", ids, verb="update", values={"tags": "hold"}))

    assert told["successful_items"] == 3
    assert site.ids("ticket", where="tags contains hold") == ids


def test_each_line_of_a_file_brings_tags_of_its_own(site: lockside.Session) -> None:
    one, two, three = tickets(site, 3, tags=["old"])
    file = BytesIO(f'id,tags\n{one},"vip,hold"\n{two},\n{three},old\n'.encode())

    drain(site, site.update("ticket", atomic=False, file=file, form="csv")._id)

    assert [tags(site, each) for each in (one, two, three)] == [["vip", "hold"], [], ["old"]]
    check_invariants(site)


def test_an_undo_brings_back_the_tags_that_were(site: lockside.Session) -> None:
    one, two = tickets(site, 1, tags=ODD) + tickets(site, 1)
    changed = do(site, "ticket", [one, two], verb="update", values={"tags": ["new"]})
    drain(site, changed)

    drain(site, undo(site.platform, site.actor, changed))

    assert (tags(site, one), tags(site, two)) == (ODD, [])


def test_records_tell_what_tags_were_before_and_after(site: lockside.Session) -> None:
    row_id = site.records("ticket").create(title="Leak", tags=["vip"])["id"]
    site.records("ticket").update(row_id, tags=["vip", "hold"])
    site.import_work("ticket", [{"title": "A", "tags": ["new"]}])

    told = query(site, "SELECT unnest(changes) AS changes FROM outbox ORDER BY id")

    changes = [json.loads(each["changes"])["tags"] for each in told]
    assert changes == [
        {"before": None, "after": ["vip"]},
        {"before": ["vip"], "after": ["vip", "hold"]},
        {"before": None, "after": ["new"]},
    ]


@pytest.mark.parametrize(
    ("where", "meant"),
    [
        ("tags contains hold", "A"),
        ("tags contains HOLD", "B"),
        ("tags contains hol", ""),
        ("tags contains 'on hold'", "C"),
        ("not tags contains hold", "BCD"),
        ("tags is empty", "D"),
        ("tags is not empty", "ABC"),
        ("tags contains vip and tags contains hold", "A"),
    ],
)
def test_a_filter_finds_rows_by_a_whole_tag(site: lockside.Session, where: str, meant: str) -> None:
    given: list[Any] = [["vip", "hold"], ["HOLD"], ["on hold"], []]
    rows = [{"title": "?", "tags": each} for each in given]
    found = dict(zip("ABCD", site.import_work("ticket", rows), strict=True))

    assert site.ids("ticket", where=where) == [found[each] for each in meant]


@pytest.mark.parametrize("where", ["tags = hold", "tags != a", "tags in (a, b)", "tags < b"])
def test_another_comparison_of_a_list_is_refused(
    site: lockside.Session, where: str, says: Sentences
) -> None:
    with pytest.raises(InvalidInput, check=says):
        site.ids("ticket", where=where)


def test_lists_of_other_records_are_found_by_a_word_too(site: lockside.Session) -> None:
    jobs = site.records("job")
    job = jobs.create(name="Round", asks_for="flow,pressure")["id"]
    jobs.create(name="Visit")

    assert [each["id"] for each in jobs.list(where="asks_for contains flow")] == [job]


@each_kind
def test_a_transition_reads_no_tags(kind: str) -> None:
    model = kinds()[kind]

    assert "tags" not in str(select_rows(model, model.machine.facts))
