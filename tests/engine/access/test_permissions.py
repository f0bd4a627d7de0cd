"""Who may see and do what, where it is easy to forget to ask."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from sqlalchemy import Connection, Row

import lockside
from domain.errors import InvalidInput, NotFound, PermissionDenied, RuleRefused
from engine.access.permissions import authorize
from engine.audit.writer import write_records
from engine.operations.run_chunk import run_chunk
from engine.operations.sweeper import sweep
from engine.ports.hooks import Hook
from engine.records.standard_roles import update_standard_roles
from tests.checker import check_invariants
from tests.engine.steps import ask, drain, due_now, operation, outcomes, query
from tests.engine.works import attended, denials, do, why
from tests.factories import tickets, work_orders
from tests.sentences import Sentences

NO_ID = 2**70


@pytest.fixture
def nobody(site: lockside.Session) -> str:
    """Hire somebody without any role."""
    return str(site.records("person").create(name="nobody")["name"])


def test_an_id_that_no_row_can_have_is_not_found(site: lockside.Session) -> None:
    records = site.records("ticket")

    for asked in (records.get, records.update, records.delete):
        with pytest.raises(NotFound):
            asked(NO_ID)


def test_a_denial_with_such_an_id_stops_nobodys_records(site: lockside.Session) -> None:
    site.act_as("demo", "victor")

    with pytest.raises(PermissionDenied):
        authorize(site.platform, site.actor, "ticket", "delete", [NO_ID, 7])

    write_records(site.platform)
    assert [each["entity_ids"] for each in denials(site)] == [[7]]


def test_nobody_adds_people_to_the_tenant_of_another(
    site: lockside.Session, says: Sentences
) -> None:
    with pytest.raises(InvalidInput, check=says):
        site.open_tenant("other", {"mallory": ["admin"]})

    assert query(site, "SELECT id FROM person WHERE name = 'mallory'") == []


def test_who_opens_a_tenant_stands_in_its_records(site: lockside.Session) -> None:
    tenant = site.open_tenant("third", {"zoe": ["admin"]})

    write_records(site.platform)

    who = query(site, "SELECT DISTINCT actor_id FROM audit_log WHERE tenant_id = :id", id=tenant)
    assert who == [{"actor_id": site.actor.person_id}]


def test_a_conflict_tells_nothing_to_who_may_not_update(
    site: lockside.Session, nobody: str
) -> None:
    (row_id,) = tickets(site, 1, description="Behind the safe")
    site.act_as("demo", nobody)

    wanted = {"verb": "update", "values": {"description": "x"}, "expected_versions": {row_id: 9}}
    told = drain(site, do(site, "ticket", row_id, **wanted))

    assert why(told) == ["permission_denied"]
    assert "safe" not in str(query(site, "SELECT failures FROM operation_chunk"))


def test_a_conflict_tells_nothing_to_who_may_not_transit(
    site: lockside.Session, nobody: str
) -> None:
    (row_id,) = work_orders(site, 1)
    site.act_as("demo", nobody)

    told = drain(site, ask(site, [row_id], expected_versions={row_id: 9}))

    assert why(told) == ["permission_denied"]


def test_an_operation_of_others_is_seen_by_who_may_view_its_kind(
    site: lockside.Session, nobody: str
) -> None:
    handed_in = ask(site, work_orders(site, 1))
    site.act_as("demo", "victor")
    assert site.operation(handed_in).show()["state"] == "QUEUED"
    site.act_as("demo", nobody)

    for asked in ("show", "failure_groups"):
        with pytest.raises(PermissionDenied):
            getattr(site.operation(handed_in), asked)()
    with pytest.raises(PermissionDenied):
        next(site.operation(handed_in).results())
    assert site.operations() == []


def test_ones_own_operation_is_always_seen(site: lockside.Session, nobody: str) -> None:
    ids = work_orders(site, 1)
    site.act_as("demo", nobody)

    handed_in = ask(site, ids)

    assert site.operation(handed_in).show()["state"] == "QUEUED"
    assert [each["id"] for each in site.operations()] == [str(handed_in)]


def test_the_punches_of_an_approved_record_are_adjusted_not_overwritten(
    site: lockside.Session, says: Sentences
) -> None:
    row_id = attended(site, state="APPROVED")
    new: dict[str, Any] = {"punchintime": datetime.now(UTC) - timedelta(hours=20)}

    with pytest.raises(RuleRefused, check=says):
        site.records("attendance").update(row_id, **new)
    told = drain(site, do(site, "attendance", row_id, verb="update", values=new))

    assert why(told) == ["record_locked"]
    assert site.records("attendance").update(row_id, remarks="Bus was late")["version"] == 2


def test_an_adjusted_record_takes_new_punches(site: lockside.Session) -> None:
    row_id = attended(site, state="ADJUSTED")

    row = site.records("attendance").update(row_id, remarks="Checked", punchouttime=None)

    assert row["version"] == 2


@pytest.mark.parametrize("state", ["APPROVED", "IN_PROGRESS", "COMPLETED"])
@pytest.mark.parametrize("vendor", [None, "Bright Clean"])
def test_an_approved_work_order_keeps_the_vendor_that_it_was_approved_with(
    site: lockside.Session, state: str, vendor: str | None, says: Sentences
) -> None:
    (row_id,) = work_orders(site, 1, state=state)

    with pytest.raises(RuleRefused, check=says):
        site.records("work_order").update(row_id, vendor=vendor)
    told = drain(site, do(site, "work_order", row_id, verb="update", values={"vendor": vendor}))

    assert why(told) == ["record_locked"]
    assert site.records("work_order").update(row_id, remarks="Two visits")["version"] == 2


def test_an_update_assigns_nobody(site: lockside.Session, says: Sentences) -> None:
    (row_id,) = tickets(site, 1)

    with pytest.raises(InvalidInput, check=says):
        site.update("ticket", row_id, {"assigned_to_user": "asha"})


def test_a_record_is_given_to_somebody_by_who_may_assign(
    site: lockside.Session, says: Sentences
) -> None:
    site.act_as("demo", "tomas")
    assert site.records("ticket").create(title="Leak")["state"] == "NEW"

    with pytest.raises(PermissionDenied, check=says):
        site.records("ticket").create(title="Leak", assigned_to_user="asha")


def test_who_may_change_people_does_not_give_roles(site: lockside.Session, says: Sentences) -> None:
    role = site.records("role").create(name="hr", permissions="person.create,person.update")
    site.records("person").create(name="hana")
    site.records("person_role").create(person="hana", role=role["id"])
    site.act_as("demo", "hana")

    with pytest.raises(PermissionDenied, check=says):
        site.records("person_role").create(person="hana", role="admin")


def test_who_may_write_a_record_sees_what_they_wrote(site: lockside.Session) -> None:
    role = site.records("role").create(name="reporter", permissions="ticket.create")
    site.records("person").create(name="rita")
    site.records("person_role").create(person="rita", role=role["id"])
    site.act_as("demo", "rita")

    assert site.records("ticket").create(title="Leak")["title"] == "Leak"


def test_names_are_listed_to_who_may_view_them(
    site: lockside.Session, nobody: str, says: Sentences
) -> None:
    site.act_as("demo", nobody)

    with pytest.raises(PermissionDenied, check=says):
        site.add_named("person", [])


def test_only_records_with_a_name_are_added_by_it(site: lockside.Session, says: Sentences) -> None:
    with pytest.raises(InvalidInput, check=says):
        site.add_named("person_role", ["x"])


def test_a_role_of_the_tenants_own_survives_an_upgrade(site: lockside.Session) -> None:
    roles = site.records("role")
    standard = next(each for each in roles.each() if each["name"] == "viewer")
    roles.delete(standard["id"])
    own = roles.create(name="viewer", permissions="ticket.view")

    update_standard_roles(site.platform)

    assert roles.get(own["id"])["permissions"] == ["ticket.view"]


def test_who_was_deleted_meanwhile_gets_no_work(site: lockside.Session) -> None:
    (row_id,) = tickets(site, 1)
    bob = site.records("person").create(name="bob")
    later = do(
        site,
        "ticket",
        row_id,
        verb="assign",
        values={"assigned_to_user": "bob"},
        run_at=datetime.now(UTC) + timedelta(hours=1),
    )
    site.records("person").delete(bob["id"])
    due_now(site)

    told = drain(site, later)

    assert why(told) == ["not_found"]
    check_invariants(site)


def test_a_denied_dry_run_is_a_denial(site: lockside.Session) -> None:
    (row_id,) = work_orders(site, 1)
    site.act_as("demo", "victor")

    drain(site, ask(site, [row_id], dry_run=True))

    assert [each["attempted_action"] for each in denials(site)] == ["approve"]


class Fails(Hook):
    """Wants to follow everything, itself too, and breaks when it is asked."""

    name: ClassVar[str] = "fails"
    wanted: ClassVar[str | None] = "true"

    def follow(
        self, db: Connection, operation: Row[Any], told: Mapping[str, Any]
    ) -> Sequence[int] | None:
        raise KeyError(operation.id)


def test_a_hook_that_breaks_keeps_no_other_operation_from_its_end(
    site: lockside.Session, says: Sentences
) -> None:
    broken, sound = (ask(site, [each]) for each in work_orders(site, 2))
    failing = replace(site.platform, hooks=(Fails(),))
    with pytest.raises(RuntimeError, check=says):
        run_chunk(failing, broken, 0)

    sweep(failing)

    assert operation(site, broken)["state"] == "RUNNING"
    drain(site, sound)
    assert set(outcomes(site, sound).values()) == {"SUCCEEDED"}


class Echoes(Hook):
    """Follows everything, itself too if it were asked."""

    name: ClassVar[str] = "echoes"
    wanted: ClassVar[str | None] = "true"

    def follow(
        self, db: Connection, operation: Row[Any], told: Mapping[str, Any]
    ) -> Sequence[int] | None:
        return [1]


def test_what_follows_is_followed_by_nothing(site: lockside.Session) -> None:
    platform = replace(site.platform, hooks=(Echoes(),))

    drain(site, ask(site, work_orders(site, 1)), platform)
    (followed,) = query(site, "SELECT id FROM operation WHERE verb = 'hook'")
    drain(site, followed["id"], platform)

    assert len(query(site, "SELECT id FROM operation WHERE verb = 'hook'")) == 1
