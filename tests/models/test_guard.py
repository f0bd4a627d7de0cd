"""The guard in the database, asked with raw SQL: what no interface lets through is refused."""

from itertools import product
from typing import Any

import psycopg
import pytest
from psycopg import sql

import lockside
from domain.machines.attendance import ATTENDANCE
from domain.machines.field_task import FIELD_TASK
from domain.machines.machine import Machine
from domain.machines.operation import OPERATION
from domain.machines.ticket import TICKET
from domain.machines.work_order import WORK_ORDER
from engine.audit.writer import write_records
from models.base import kinds
from tests.factories import MAKERS, work_orders

pytestmark = pytest.mark.slow

ALL = (WORK_ORDER, FIELD_TASK, ATTENDANCE, TICKET)
MACHINES = [pytest.param(each, id=each.kind) for each in ALL]
TENANT = "(SELECT id FROM tenant WHERE name = 'demo')"

Session = psycopg.Connection[Any]


def execute_as(raw: Session, kind: str, verb: str = "transition", state: str = "RUNNING") -> None:
    """Begin an operation that is executing, and act under it in the open transaction."""
    raw.execute(
        "WITH o AS (INSERT INTO operation (id, tenant_id, kind, verb, operation_type, state,"
        " reason, atomic, dry_run, isolation_level, max_retries, lease_seconds, wait_seconds,"
        " queue, total)"
        " VALUES (gen_random_uuid(), (SELECT id FROM tenant WHERE name = 'demo'), %s, %s, 'test',"
        " %s, 'bulk', true, false, 'READ COMMITTED', 3, 1, 1, 'bulk', 1) RETURNING id)"
        " SELECT set_config('lockside.operation_id', CAST(id AS text), true) FROM o",
        [kind, verb, state],
    )


def table(kind: str) -> sql.Identifier:
    """Return the table of a kind."""
    return sql.Identifier(kinds()[kind].__tablename__)


def one_in_each_state(site: lockside.Session, machine: Machine) -> dict[str, int]:
    """Import one row in each state of a kind; return its id by state."""
    return {state: MAKERS[machine.kind](site, 1, state=state)[0] for state in machine.states}


def attempt(raw: Session, kind: str, row_id: int, target: str) -> str | None:
    """Try a change of state and take it back; return the SQLSTATE of its refusal."""
    statement = sql.SQL("UPDATE {} SET state = %s, version = version + 1 WHERE id = %s")
    try:
        with raw.transaction(force_rollback=True):
            raw.execute(statement.format(table(kind)), [target, row_id])
    except psycopg.Error as error:
        return error.sqlstate
    return None


def passing(raw: Session, machine: Machine, ids: dict[str, int]) -> set[tuple[str, str]]:
    """Return the pairs of states that the database lets a row go, or stay in for a change."""
    pairs = product(machine.states, repeat=2)
    return {
        (source, target)
        for source, target in pairs
        if attempt(raw, machine.kind, ids[source], target) is None
    }


def declared(machine: Machine) -> set[tuple[str, str]]:
    """Return the arrows of a machine, and those of every open state to itself."""
    arrows = {(each.source, each.target) for each in machine.transitions}
    return arrows | {(each, each) for each in machine.states if each not in machine.final}


@pytest.mark.parametrize("machine", MACHINES)
def test_exactly_the_declared_arrows_pass(
    site: lockside.Session, raw: Session, machine: Machine
) -> None:
    ids = one_in_each_state(site, machine)
    execute_as(raw, machine.kind)

    passed = passing(raw, machine, ids)

    assert passed == declared(machine)


@pytest.mark.parametrize("machine", MACHINES)
def test_under_an_undo_the_arrows_that_may_be_undone_pass_backwards_too(
    site: lockside.Session, raw: Session, machine: Machine
) -> None:
    ids = one_in_each_state(site, machine)
    execute_as(raw, machine.kind, "undo")

    passed = passing(raw, machine, ids)

    backwards = {(t.target, t.source) for t in machine.transitions if t.undo}
    assert passed == declared(machine) | backwards


@pytest.mark.parametrize("machine", MACHINES)
def test_not_even_a_value_of_a_row_in_a_final_state_changes(
    site: lockside.Session, raw: Session, machine: Machine
) -> None:
    ids = one_in_each_state(site, machine)
    execute_as(raw, machine.kind, "update")
    statement = sql.SQL("UPDATE {} SET reference = 'X', version = version + 1 WHERE id = %s")

    for state in machine.final:
        with (
            pytest.raises(psycopg.Error, match=f"that is {state} changes no more"),
            raw.transaction(force_rollback=True),
        ):
            raw.execute(statement.format(table(machine.kind)), [ids[state]])


def test_one_bad_row_among_many_is_refused_with_all_of_them(
    site: lockside.Session, raw: Session
) -> None:
    work_orders(site, 20)
    work_orders(site, 1, state="DRAFT")
    execute_as(raw, "work_order")

    with pytest.raises(psycopg.Error, match="no transition of a work_order from DRAFT to APPROVED"):
        raw.execute("UPDATE work_order SET state = 'APPROVED', version = version + 1")


def test_a_change_without_an_operation_is_refused_with_a_hint(
    site: lockside.Session, raw: Session
) -> None:
    work_orders(site, 1)

    with pytest.raises(psycopg.Error, match="needs an operation") as refused:
        raw.execute("UPDATE work_order SET state = 'APPROVED', version = version + 1")

    assert "lockside submit" in str(refused.value.diag.message_hint)


def test_an_update_that_finds_no_row_needs_no_operation(
    site: lockside.Session, raw: Session
) -> None:
    changed = raw.execute("UPDATE work_order SET state = 'APPROVED' WHERE id = -1").rowcount

    assert changed == 0


CHANGES = [
    pytest.param("version = version", "next version", id="the same version"),
    pytest.param("version = version + 2", "next version", id="a version skipped"),
    pytest.param("version = version - 1", "next version", id="a version back"),
    pytest.param("remarks = 'x'", "next version", id="no version for a remark"),
    pytest.param(
        "version = version + 1, uuid = gen_random_uuid()", "never change", id="another uuid"
    ),
    pytest.param(
        "version = version + 1, tenant_id = (SELECT id FROM tenant WHERE name = 'other')",
        "never change",
        id="another tenant",
    ),
    pytest.param("id = DEFAULT, version = version + 1", "never change", id="another id"),
]


@pytest.mark.parametrize(("change", "complaint"), CHANGES)
def test_what_is_fixed_stays_and_each_change_is_the_next_version(
    site: lockside.Session, raw: Session, change: str, complaint: str
) -> None:
    work_orders(site, 1, vendor=False)
    execute_as(raw, "work_order")

    with pytest.raises(psycopg.Error, match=complaint):
        raw.execute(f"UPDATE work_order SET {change}".encode())


def test_other_columns_change_as_the_next_version(site: lockside.Session, raw: Session) -> None:
    work_orders(site, 1)
    execute_as(raw, "work_order")

    raw.execute("UPDATE work_order SET remarks = 'new', version = version + 1")

    assert raw.execute("SELECT version FROM work_order").fetchall() == [(2,)]


@pytest.mark.parametrize(
    ("tenant", "kind"), [("other", "work_order"), ("demo", "ticket")], ids=["tenant", "kind"]
)
def test_an_operation_changes_rows_of_its_own_tenant_and_kind_only(
    site: lockside.Session, raw: Session, tenant: str, kind: str
) -> None:
    site.act_as(tenant, "admin")
    work_orders(site, 1)
    execute_as(raw, kind)

    with pytest.raises(psycopg.Error, match="another tenant or kind of work"):
        raw.execute("UPDATE work_order SET state = 'APPROVED', version = version + 1")


@pytest.mark.parametrize(
    "state", [s for s in OPERATION.states if s not in ("RUNNING", "CANCELLING")]
)
def test_the_id_of_an_operation_that_does_not_execute_is_worth_nothing(
    site: lockside.Session, raw: Session, state: str
) -> None:
    work_orders(site, 1)
    execute_as(raw, "work_order", state=state)

    with pytest.raises(psycopg.Error, match="is not executing"):
        raw.execute("UPDATE work_order SET state = 'APPROVED', version = version + 1")


def test_the_id_of_a_finished_operation_can_not_be_borrowed(
    site: lockside.Session, raw: Session
) -> None:
    work_orders(site, 1)
    raw.execute("SELECT set_config('lockside.operation_id', CAST(id AS text), true) FROM operation")

    with pytest.raises(psycopg.Error, match="is not executing"):
        raw.execute("UPDATE work_order SET state = 'APPROVED', version = version + 1")


def test_an_operation_that_was_never_submitted_is_worth_nothing(
    site: lockside.Session, raw: Session
) -> None:
    work_orders(site, 1)
    raw.execute("SET LOCAL lockside.operation_id = '00000000-0000-0000-0000-000000000000'")

    with pytest.raises(psycopg.Error, match="is not executing"):
        raw.execute("UPDATE work_order SET state = 'APPROVED', version = version + 1")


def override(raw: Session, statement: str) -> None:
    raw.execute("SET LOCAL lockside.override = 'repair after the flood'")
    raw.execute(statement.encode())
    raw.commit()


def test_an_override_leaves_its_record_in_the_outbox(site: lockside.Session, raw: Session) -> None:
    ids = work_orders(site, 2)

    override(raw, "UPDATE work_order SET state = 'APPROVED', version = version + 1")

    rows = raw.execute(
        "SELECT body ->> 'reason', body ->> 'comments', entity_ids, versions, from_states"
        " FROM outbox ORDER BY id"
    ).fetchall()
    assert rows == [
        ("import", None, ids, [1, 1], None),
        ("override", "repair after the flood", ids, [2, 2], ["SUBMITTED"] * 2),
    ]


def test_an_override_that_changes_a_value_leaves_its_record_too(
    site: lockside.Session, raw: Session
) -> None:
    ids = work_orders(site, 1)

    override(raw, "UPDATE work_order SET remarks = 'dry again', version = version + 1")

    rows = raw.execute(
        "SELECT entity_ids, versions, from_states, body ->> 'to_state' FROM outbox"
        " WHERE body ->> 'reason' = 'override'"
    ).fetchall()
    assert rows == [(ids, [2], ["SUBMITTED"], "SUBMITTED")]


def test_an_override_ends_in_the_timeline_of_each_row(site: lockside.Session, raw: Session) -> None:
    (row_id,) = work_orders(site, 1)
    override(raw, "UPDATE work_order SET state = 'APPROVED', version = version + 1")

    write_records(site.platform)

    created, record = site.timeline("work_order", row_id)
    assert created["event_type"] == "CREATED"
    told = {name: record[name] for name in ("from_state", "to_state", "version", "reason")}
    assert told == {
        "from_state": "SUBMITTED",
        "to_state": "APPROVED",
        "version": 2,
        "reason": "override",
    }


def test_not_even_an_override_makes_an_undeclared_change(
    site: lockside.Session, raw: Session
) -> None:
    work_orders(site, 1, state="CLOSED")

    with pytest.raises(psycopg.Error, match="from CLOSED to DRAFT"):
        override(raw, "UPDATE work_order SET state = 'DRAFT', version = version + 1")


def test_an_override_ends_with_its_transaction(site: lockside.Session, raw: Session) -> None:
    work_orders(site, 1)
    override(raw, "UPDATE work_order SET state = 'APPROVED', version = version + 1")

    with pytest.raises(psycopg.Error, match="needs an operation"):
        raw.execute("UPDATE work_order SET state = 'IN_PROGRESS', version = version + 1")


def test_not_even_an_override_changes_what_is_final(site: lockside.Session, raw: Session) -> None:
    work_orders(site, 1, state="CLOSED")

    with pytest.raises(psycopg.Error, match="that is CLOSED changes no more"):
        override(raw, "UPDATE work_order SET remarks = 'x', version = version + 1")


BARE = {
    "attendance": (
        "person_id, datefor, punchintime, ctzoffset",
        "(SELECT min(id) FROM person WHERE name = 'tomas'), '2026-11-20', now(), 330",
    )
}
"""The columns that a row of a kind can't be without, and values for them; else a title."""


def insertion(kind: str, tenant: str = "demo") -> sql.Composed:
    """Return the statement that makes the barest row of a kind, in a state and of a version."""
    columns, values = BARE.get(kind, ("title", "'New'"))
    statement = (
        f"INSERT INTO {{}} (tenant_id, {columns}, state, version)"
        f" VALUES ({TENANT.replace('demo', tenant)}, {values}, %s, %s)"
    )
    return sql.SQL(statement).format(table(kind))


@pytest.mark.parametrize("machine", MACHINES)
def test_a_new_row_begins_in_the_initial_state_only(
    site: lockside.Session, raw: Session, machine: Machine
) -> None:
    execute_as(raw, machine.kind, "create")
    statement = insertion(machine.kind)
    begun = set()

    for state in machine.states:
        try:
            with raw.transaction(force_rollback=True):
                raw.execute(statement, [state, 1])
        except psycopg.Error:
            continue
        begun.add(state)

    assert begun == {machine.initial}


@pytest.mark.parametrize("machine", MACHINES)
def test_an_import_begins_in_any_state_of_the_machine(
    site: lockside.Session, raw: Session, machine: Machine
) -> None:
    execute_as(raw, machine.kind, "import")

    for state in machine.states:
        raw.execute(insertion(machine.kind), [state, 1])

    counted = sql.SQL("SELECT count(*) FROM {}").format(table(machine.kind))
    assert raw.execute(counted).fetchone() == (len(machine.states),)


REFUSED_INSERTS = [
    pytest.param("import", ("NOWHERE", 1), "initial state", id="unknown state"),
    pytest.param("import", ("NEW", 2), "version 1", id="a later version"),
    pytest.param("transition", ("OPEN", 1), "initial state", id="a later state"),
    pytest.param("create", ("OPEN", 1), "initial state", id="a later state of a new one"),
]


@pytest.mark.parametrize(("verb", "row", "complaint"), REFUSED_INSERTS)
def test_a_new_row_that_has_a_past_is_refused(
    site: lockside.Session, raw: Session, verb: str, row: tuple[str, int], complaint: str
) -> None:
    execute_as(raw, "ticket", verb)

    with pytest.raises(psycopg.Error, match=complaint):
        raw.execute(insertion("ticket"), row)


@pytest.mark.parametrize("machine", MACHINES)
def test_a_new_row_needs_an_operation(raw: Session, machine: Machine) -> None:
    with pytest.raises(psycopg.Error, match="needs an operation"):
        raw.execute(insertion(machine.kind), [machine.initial, 1])


def test_an_override_makes_no_new_row(raw: Session) -> None:
    raw.execute("SET LOCAL lockside.override = 'repair after the flood'")

    with pytest.raises(psycopg.Error, match="needs an operation"):
        raw.execute(insertion("ticket"), ["NEW", 1])


def test_an_operation_makes_no_row_for_another_tenant(raw: Session) -> None:
    execute_as(raw, "ticket")

    with pytest.raises(psycopg.Error, match="another tenant"):
        raw.execute(insertion("ticket", tenant="other"), ["NEW", 1])


def test_an_operation_makes_no_row_of_another_kind(raw: Session) -> None:
    execute_as(raw, "work_order", "import")

    with pytest.raises(psycopg.Error, match="another kind of work"):
        raw.execute(insertion("ticket"), ["NEW", 1])


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_work_is_never_deleted(
    site: lockside.Session, raw: Session, machine: Machine, statement: str
) -> None:
    MAKERS[machine.kind](site, 1)
    execute_as(raw, machine.kind)

    with pytest.raises(psycopg.Error, match="never deleted"):
        raw.execute(sql.SQL(statement).format(table(machine.kind)))


def test_an_operation_lives_as_its_machine_says(site: lockside.Session, raw: Session) -> None:
    lives = set()

    for source, target in product(OPERATION.states, repeat=2):
        try:
            with raw.transaction(force_rollback=True):
                execute_as(raw, "ticket", state=source)
                raw.execute(
                    "UPDATE operation SET state = %s"
                    " WHERE id = CAST(current_setting('lockside.operation_id') AS uuid)",
                    [target],
                )
        except psycopg.Error:
            continue
        if source != target:
            lives.add((source, target))

    assert lives == {(each.source, each.target) for each in OPERATION.transitions}
