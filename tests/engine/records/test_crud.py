"""Records of every type: created, read, listed, updated and deleted, each write a version."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import Connection

import lockside
from domain.errors import InvalidInput, NotFound, PermissionDenied, StaleVersion
from domain.permissions import Actor
from engine.audit.writer import write_records
from engine.operations.run_chunk import run_chunk
from engine.ports.platform import database_clock
from lockside.session.records import Records
from models.base import kinds, records
from tests.checker import check_invariants
from tests.engine.resource_types import EXAMPLES, each_resource_type, make
from tests.engine.steps import at_once, outbox, query, somebody_waits_for_a_row, then, until
from tests.engine.works import denials, do, move, why
from tests.factories import work_orders

each_named = pytest.mark.parametrize(
    "resource_type", [each for each, model in records().items() if "name" in model.__table__.c
             and each != "reading"],
)  # fmt: skip


def test_every_resource_type_is_among_these() -> None:
    assert set(EXAMPLES) == set(records())


@each_resource_type
def test_a_new_record_is_its_first_version_and_reads_back(
    site: lockside.Session, resource_type: str
) -> None:
    made = make(site, resource_type)

    assert made == site.records(resource_type).get(made["id"])
    assert (made["version"], made["created_by"], made["updated_by"]) == (
        *(1, site.actor.person_id),
        site.actor.person_id,
    )
    assert {"tenant_id", "deleted_at"}.isdisjoint(made)


@each_resource_type
def test_a_new_record_is_listed(site: lockside.Session, resource_type: str) -> None:
    made = [make(site, resource_type)["id"] for _ in range(3)]

    listed = [each["id"] for each in site.records(resource_type).each()]

    assert listed == sorted(listed)
    assert set(made) <= set(listed)


@each_resource_type
def test_an_update_is_the_next_version(site: lockside.Session, resource_type: str) -> None:
    made = make(site, resource_type)

    site.act_as("demo", "admin")
    changed = site.records(resource_type).update(
        made["id"], expected_version=1, **EXAMPLES[resource_type].change
    )

    assert (changed["version"], changed["created_at"]) == (2, made["created_at"])
    assert changed["updated_at"] > made["updated_at"]
    assert changed == site.records(resource_type).get(made["id"])


@each_resource_type
def test_an_update_that_changes_nothing_is_no_version(
    site: lockside.Session, resource_type: str
) -> None:
    made = make(site, resource_type)
    site.records(resource_type).update(made["id"], **EXAMPLES[resource_type].change)
    before = query(site, "SELECT count(*) AS n FROM operation")

    again = site.records(resource_type).update(
        made["id"], expected_version=2, **EXAMPLES[resource_type].change
    )

    assert again["version"] == 2
    assert query(site, "SELECT count(*) AS n FROM operation") == before


@each_resource_type
def test_a_stale_version_is_a_conflict_as_the_contract_words_it(
    site: lockside.Session, resource_type: str
) -> None:
    made = make(site, resource_type)
    site.records(resource_type).update(made["id"], **EXAMPLES[resource_type].change)

    with pytest.raises(StaleVersion) as told:
        site.records(resource_type).delete(made["id"], expected_version=1)

    shown = told.value.to_dict()
    assert (shown["error"], shown["message"]) == (
        "concurrency_conflict",
        "This record was modified by another user.",
    )
    assert shown["resolution"] == {
        "action": "refresh_and_retry",
        "your_version": 1,
        "current_version": 2,
    }
    assert shown["current"]["updated_by"] == "admin"
    assert shown["current"]["updated_at"].endswith("Z")
    assert ("state" in shown["current"]) is (resource_type in kinds())
    assert all(each["after"] is None for each in shown["changes"].values())


@each_resource_type
def test_of_two_who_saw_the_same_version_one_writes(
    site: lockside.Session, resource_type: str
) -> None:
    made = make(site, resource_type)
    change = EXAMPLES[resource_type].change

    answers = at_once(
        lambda: site.records(resource_type).update(made["id"], expected_version=1, **change),
        lambda: site.records(resource_type).delete(made["id"], expected_version=1),
    )

    refused = [each for each in answers if isinstance(each, Exception)]
    assert [type(each) in (StaleVersion, NotFound) for each in refused] == [True]
    table = records()[resource_type].__tablename__
    assert query(site, f"SELECT version FROM {table} WHERE id = :id", id=made["id"]) == [
        {"version": 2}
    ]


@each_resource_type
def test_what_was_deleted_is_nowhere_to_be_found(
    site: lockside.Session, resource_type: str
) -> None:
    made = make(site, resource_type)
    known = site.records(resource_type)

    assert known.delete(made["id"], expected_version=1) == 2

    assert made["id"] not in [each["id"] for each in known.each()]
    for ask in (
        lambda: known.get(made["id"]),
        lambda: known.delete(made["id"]),
        lambda: known.update(made["id"], **EXAMPLES[resource_type].change),
    ):
        with pytest.raises(NotFound):
            ask()


@each_resource_type
def test_what_was_deleted_is_still_stored(site: lockside.Session, resource_type: str) -> None:
    made = make(site, resource_type)

    site.records(resource_type).delete(made["id"])

    (row,) = query(
        site,
        f"SELECT deleted_at, version FROM {records()[resource_type].__tablename__} WHERE id = :id",
        id=made["id"],
    )
    assert (row["deleted_at"] is not None, row["version"]) == (True, 2)


@each_resource_type
@pytest.mark.slow
def test_every_version_of_a_record_is_in_its_timeline(
    site: lockside.Session, resource_type: str
) -> None:
    made = make(site, resource_type)
    site.records(resource_type).update(made["id"], **EXAMPLES[resource_type].change)
    site.records(resource_type).delete(made["id"])
    write_records(site.platform)

    told = site.timeline(resource_type, made["id"])

    assert [(each["event_type"], each["version"], each["actor_id"]) for each in told] == [
        ("CREATED", 1, site.actor.person_id),
        ("UPDATED", 2, site.actor.person_id),
        ("DELETED", 3, site.actor.person_id),
    ]
    created, updated, deleted = (each["changes"] for each in told)
    assert all(each["before"] is None for each in created.values())
    assert all(each["before"] != each["after"] for each in updated.values())
    assert all(each["after"] is None for each in deleted.values())
    check_invariants(site)


@each_resource_type
def test_another_tenants_record_answers_as_one_that_is_not_there(
    site: lockside.Session, resource_type: str
) -> None:
    theirs, nothing = make(site, resource_type)["id"], 10**9
    site.act_as("other", "admin")
    known = site.records(resource_type)

    for ask in (
        known.get,
        known.delete,
        lambda each: known.update(each, **EXAMPLES[resource_type].change),
    ):
        answers = []
        for named in (theirs, nothing):
            with pytest.raises(NotFound) as told:
                ask(named)
            answers.append(str(told.value).replace(str(named), "…"))
        assert answers[0] == answers[1]
    assert theirs not in [each["id"] for each in known.each()]


@each_resource_type
def test_who_may_only_look_changes_nothing_and_is_recorded(
    site: lockside.Session, resource_type: str
) -> None:
    values = EXAMPLES[resource_type].values(site)
    made = make(site, resource_type)
    site.act_as("demo", "victor")
    known = site.records(resource_type)

    for ask in (
        lambda: known.create(**values),
        lambda: known.update(made["id"], **EXAMPLES[resource_type].change),
        lambda: known.delete(made["id"]),
    ):
        with pytest.raises(PermissionDenied):
            ask()

    assert known.get(made["id"])["version"] == 1
    told = [each["required_permissions"] for each in denials(site)]
    assert told == [[each] for each in needed(resource_type)]


def needed(resource_type: str) -> Iterator[str]:
    """Yield the permission for creating, updating and deleting."""
    parent, model = EXAMPLES[resource_type].parent, records()[resource_type]
    for verb in ("create", "update", "delete"):
        if parent is None or model.permit is None:
            yield f"{resource_type}.{verb}"
        else:
            yield f"{parent[0]}.{model.permit}"


@each_named
def test_a_name_is_one_records_until_it_is_deleted(
    site: lockside.Session, resource_type: str
) -> None:
    made = make(site, resource_type)
    values = EXAMPLES[resource_type].values(site) | {"name": made["name"]}

    with pytest.raises(InvalidInput) as told:
        site.records(resource_type).create(**values)
    site.records(resource_type).delete(made["id"])

    assert told.value.facts["field"] == "name"
    assert site.records(resource_type).create(**values)["name"] == made["name"]


@each_named
def test_another_tenant_has_the_same_names(site: lockside.Session, resource_type: str) -> None:
    values = EXAMPLES[resource_type].values(site)
    site.records(resource_type).create(**values)
    site.act_as("other", "admin")

    assert site.records(resource_type).create(**values)["name"] == values["name"]


@pytest.mark.parametrize("kind", kinds())
def test_deleted_work_is_not_found_by_any_verb(site: lockside.Session, kind: str) -> None:
    made = site.records(kind).create(**EXAMPLES[kind].values(site), reference="R-1")
    machine = kinds()[kind].machine
    site.records(kind).delete(made["id"])

    told = move(site, kind, made["id"], machine.leaving(machine.initial)[0].target)

    assert why(told) == ["not_found"]
    assert (site.ids(kind), site.states(kind), site.ids_by_reference(kind, ["R-1"])) == ([], {}, {})
    with pytest.raises(NotFound):
        site.explain(kind, made["id"])


@pytest.mark.parametrize("kind", kinds())
def test_new_work_begins_in_its_initial_state_whatever_is_asked(
    site: lockside.Session, kind: str
) -> None:
    machine = kinds()[kind].machine

    made = make(site, kind)
    with pytest.raises(InvalidInput):
        site.records(kind).create(**EXAMPLES[kind].values(site), state=machine.states[1])

    assert made["state"] == machine.initial


def test_an_unknown_noun_is_refused_with_those_that_are_known(site: lockside.Session) -> None:
    with pytest.raises(InvalidInput) as told:
        site.records("spaceship")

    assert "work_order_line" in told.value.facts["expected"]
    assert site.records("work-order-line").resource_type == "work_order_line"


def test_records_without_states_are_not_listed_by_one(site: lockside.Session) -> None:
    with pytest.raises(InvalidInput):
        site.records("vendor").list(state="OPEN")


def test_records_written_one_by_one_are_no_operations_to_watch(site: lockside.Session) -> None:
    made = make(site, "ticket")
    site.records("ticket").update(made["id"], priority="HIGH")
    site.records("ticket").delete(made["id"])

    told = query(site, "SELECT verb, state, queue FROM operation ORDER BY created_at")
    assert site.operations() == []
    assert told == [
        {"verb": verb, "state": "SUCCEEDED", "queue": "none"}
        for verb in ("create", "update_record", "delete")
    ]


@pytest.mark.slow
def test_a_record_that_somebody_holds_for_long_is_told_as_locked(site: lockside.Session) -> None:
    made = make(site, "ticket")
    with site.platform.database.connect() as other:
        other.exec_driver_sql(f"SELECT FROM ticket WHERE id = {made['id']} FOR UPDATE")

        with pytest.raises(lockside.LockBusy) as told:
            site.records("ticket").update(made["id"], priority="HIGH")

    assert told.value.retryable
    assert site.row("ticket", made["id"])["version"] == 1
    assert outbox(site)[-1]["error_codes"] == ["locked"]


def test_whoever_waited_for_a_row_wrote_it_later(site: lockside.Session) -> None:
    (row_id,) = work_orders(site, 1)
    second = Thread(target=lambda: site.records("work_order").update(row_id, remarks="Then"))

    def ask_late(db: Connection) -> datetime:
        """Ask for the time when the row is locked and somebody waits for it."""
        if second.ident is None:
            second.start()
            until(lambda: somebody_waits_for_a_row(site))
        return database_clock(db)

    asked = do(site, "work_order", row_id, target="APPROVED")
    run_chunk(replace(site.platform, clock=ask_late), asked, 0)
    second.join()
    check_invariants(site)

    told = [(each["version"], each["event_type"]) for each in site.timeline("work_order", row_id)]
    assert told == [(1, "CREATED"), (2, "STATE_CHANGED"), (3, "UPDATED")]


def test_a_record_that_open_changes_refer_to_is_free(site: lockside.Session) -> None:
    (row_id,) = work_orders(site, 1)
    site.act_as("demo", "asha")
    asked = do(site, "work_order", row_id, target="APPROVED")
    asha = int(site.actor.person_id or 0)
    site.act_as("demo", "admin")
    seen: list[dict[str, Any]] = []

    def rename() -> None:
        seen.append(site.records("person").update(asha, name="Asha B."))

    run_chunk(then(site.platform, "writing", rename), asked, 0)

    assert seen[0]["name"] == "Asha B."
    assert site.row("work_order", row_id)["updated_by"] == asha


def test_two_who_change_each_other_both_do(site: lockside.Session) -> None:
    me, other = int(site.actor.person_id or 0), make(site, "person")["id"]
    (role,) = query(site, "SELECT id FROM role WHERE name = 'admin' ORDER BY id LIMIT 1")
    site.records("person_role").create(person_id=other, role_id=role["id"])
    theirs = Records(site.platform, Actor(site.actor.tenant_id, other), "person")

    for turn in range(10):
        answers = at_once(
            lambda: site.records("person").update(other, name=f"Theirs {turn}"),  # noqa: B023
            lambda: theirs.update(me, name=f"Mine {turn}"),  # noqa: B023
        )
        assert [each for each in answers if isinstance(each, Exception)] == []
