"""Parts: a line, a reading, a member, a role held; written with what they are a part of."""

import pytest

import lockside
from domain.errors import InvalidInput, NotFound, RuleRefused
from engine.audit.writer import write_records
from tests.checker import check_invariants
from tests.engine.resource_types import EXAMPLES, each_part, make
from tests.engine.works import move, ordered, read, task, why


@each_part
def test_a_part_makes_the_next_version_of_its_parent_and_says_so(
    site: lockside.Session, resource_type: str
) -> None:
    parent, column = EXAMPLES[resource_type].parent or ("", "")
    made = make(site, resource_type)
    parent_id = made[column]

    site.records(resource_type).update(made["id"], **EXAMPLES[resource_type].change)
    site.records(resource_type).delete(made["id"])
    write_records(site.platform)

    told = site.timeline(parent, parent_id)
    assert site.records(parent).get(parent_id)["version"] == 4
    assert [(each["event_type"], each["version"]) for each in told] == [
        *(("CREATED", 1), ("UPDATED", 2)),
        *(("UPDATED", 3), ("UPDATED", 4)),
    ]
    assert [list(each["changes"]) for each in told[1:]] == [[f"{resource_type} {made['id']}"]] * 3
    check_invariants(site)


@each_part
def test_a_parent_shows_its_parts_until_they_are_deleted(
    site: lockside.Session, resource_type: str
) -> None:
    parent, column = EXAMPLES[resource_type].parent or ("", "")
    made = make(site, resource_type)

    before = site.records(parent).get(made[column])[f"{resource_type}s"]
    site.records(resource_type).delete(made["id"])

    assert before == [made]
    assert site.records(parent).get(made[column])[f"{resource_type}s"] == []


@each_part
def test_a_part_stays_a_part_of_what_it_was(site: lockside.Session, resource_type: str) -> None:
    _, column = EXAMPLES[resource_type].parent or ("", "")
    made, other = make(site, resource_type), make(site, resource_type)

    with pytest.raises(InvalidInput) as told:
        site.records(resource_type).update(made["id"], **{column: other[column]})

    assert told.value.facts["field"] == column


@each_part
def test_a_part_of_what_is_not_there_is_refused(site: lockside.Session, resource_type: str) -> None:
    parent, column = EXAMPLES[resource_type].parent or ("", "")
    values = EXAMPLES[resource_type].values(site)
    gone = values[column]
    site.records(parent).delete(gone)

    for each in (gone, 10**9):
        with pytest.raises(NotFound):
            site.records(resource_type).create(**values | {column: each})


@each_part
def test_a_part_goes_with_its_parent(site: lockside.Session, resource_type: str) -> None:
    parent, column = EXAMPLES[resource_type].parent or ("", "")
    made = make(site, resource_type)

    site.records(parent).delete(made[column])

    assert made["id"] not in [each["id"] for each in site.records(resource_type).each()]
    with pytest.raises(NotFound):
        site.records(resource_type).get(made["id"])


# What a state stands on stays while the row is in it.


def completed(site: lockside.Session, kind: str) -> tuple[int, list[int]]:
    """Return completed work and the parts that it was completed with."""
    if kind == "task":
        row_id = task(site, asks=["flow", "pressure"])
        parts = [read(site, row_id, each) for each in ("flow", "pressure")]
    else:
        row_id = ordered(site, state="IN_PROGRESS", lines=1)
        parts = [each["id"] for each in site.row(kind, row_id)["work_order_lines"]]
    assert why(move(site, kind, row_id, "COMPLETED")) == []
    return row_id, parts


@pytest.mark.parametrize(
    ("kind", "resource_type", "code"),
    [("task", "reading", "readings_missing"), ("work_order", "work_order_line", "lines_missing")],
)
def test_completed_work_keeps_what_it_was_completed_with(
    site: lockside.Session, kind: str, resource_type: str, code: str
) -> None:
    row_id, parts = completed(site, kind)

    with pytest.raises(RuleRefused) as told:
        site.records(resource_type).delete(parts[0])

    assert [each["code"] for each in told.value.facts["reasons"]] == [code]
    assert len(site.row(kind, row_id)[f"{resource_type}s"]) == len(parts)
    check_invariants(site)


def test_a_completed_tasks_reading_keeps_its_name_and_may_change_its_value(
    site: lockside.Session,
) -> None:
    _, parts = completed(site, "task")

    with pytest.raises(RuleRefused):
        site.records("reading").update(parts[0], name="Flow")

    assert site.records("reading").update(parts[0], value="7")["value"] == "7"


def test_a_completed_work_order_may_lose_any_line_but_its_last(site: lockside.Session) -> None:
    row_id, (first,) = completed(site, "work_order")
    second = site.records("work_order_line").create(work_order_id=row_id, description="Oil")["id"]

    site.records("work_order_line").delete(first)

    with pytest.raises(RuleRefused):
        site.records("work_order_line").delete(second)


def test_what_was_completed_elsewhere_may_be_completed_here(site: lockside.Session) -> None:
    row_id = task(site, state="COMPLETED", asks=["flow", "pressure"])

    reading = read(site, row_id, "flow")
    site.records("reading").update(reading, value="7")
    site.records("reading").delete(reading)

    assert site.row("task", row_id)["version"] == 4


def test_work_that_was_rejected_may_lose_its_lines(site: lockside.Session) -> None:
    row_id, (line,) = completed(site, "work_order")
    move(site, "work_order", row_id, "REJECTED")

    site.records("work_order_line").delete(line)

    assert site.row("work_order", row_id)["work_order_lines"] == []
