"""The migrations lead exactly to the mapped tables, however often and by however many they run."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text

from domain.machines.machine import Machine, arrow
from domain.machines.operation import OPERATION
from domain.machines.work_order import WORK_ORDER
from models import migrations
from models.base import Base, kinds, records
from models.schema_upgrade import missing_migrations, store_arrows, upgrade
from tests.databases import Databases
from worker.local_servers import Servers
from worker.platform_per_process import make_engine


@pytest.fixture
def empty(servers: Servers) -> Iterator[Engine]:
    """Give a database in which nothing is yet."""
    name = f"empty_{uuid4().hex}"
    admin = servers.database_url_for("postgres").replace("+psycopg", "")
    with psycopg.connect(admin, autocommit=True) as db:
        db.execute(f"CREATE DATABASE {name}".encode())
        engine = make_engine(servers.database_url_for(name))
        yield engine
        engine.dispose()
        db.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def migrated(databases: Databases) -> Iterator[Engine]:
    """Give a database that has taken every step."""
    with databases.copy() as url:
        engine = make_engine(url)
        yield engine
        engine.dispose()


def differences(engine: Engine) -> list[Any]:
    """Return how the database differs from the mapped tables; months of records are no tables."""

    def mapped(_: object, name: str | None, sort: str, reflected: bool, _to: object) -> bool:
        return not (sort == "table" and reflected and name not in Base.metadata.tables)

    with engine.connect() as db:
        options = {
            "include_object": mapped,
            "compare_type": True,
            "compare_server_default": True,
        }
        return list(compare_metadata(MigrationContext.configure(db, opts=options), Base.metadata))


def content(engine: Engine) -> list[Any]:
    """Return everything an upgrade could change: columns, indexes, triggers, functions, arrows."""
    queries = (
        "SELECT table_name, column_name, data_type, column_default, is_nullable"
        " FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2",
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
        "SELECT tgrelid::regclass::text, tgname FROM pg_trigger ORDER BY 1, 2",
        "SELECT proname, prosrc FROM pg_proc WHERE proname LIKE 'lockside%' ORDER BY 1",
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint ORDER BY 1, 2",
        "SELECT kind, source, target, undo FROM machine_arrow ORDER BY 1, 2, 3",
        "SELECT version_num FROM alembic_version",
    )
    with engine.connect() as db:
        return [[tuple(row) for row in db.execute(text(each))] for each in queries]


def test_the_migrations_reach_exactly_the_mapped_tables(migrated: Engine) -> None:
    assert differences(migrated) == []


def test_every_mapped_table_is_there(migrated: Engine) -> None:
    with migrated.connect() as db:
        found = set(db.scalars(text("SELECT tablename FROM pg_tables")))

    assert set(Base.metadata.tables) <= found


def test_an_empty_database_lacks_every_migration_oldest_first(empty: Engine) -> None:
    assert missing_migrations(empty)[:2] == ("0001", "0002")


def test_an_upgraded_database_lacks_none(migrated: Engine) -> None:
    assert missing_migrations(migrated) == ()


def test_upgrading_twice_changes_nothing(migrated: Engine) -> None:
    before = content(migrated)

    upgrade(migrated)

    assert content(migrated) == before


def test_two_upgrades_at_once_both_succeed(empty: Engine) -> None:
    with ThreadPoolExecutor(2) as two:
        answers = list(two.map(upgrade, (empty, empty)))

    assert (answers, missing_migrations(empty)) == ([None, None], ())


def test_a_failed_upgrade_leaves_nothing(empty: Engine) -> None:
    with empty.begin() as db:
        db.execute(text("CREATE TABLE operation_chunk (in_the_way int)"))

    with pytest.raises(Exception, match="operation_chunk"):
        upgrade(empty)

    with empty.connect() as db:
        tables = db.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
        assert list(tables) == ["operation_chunk"]


# A tenant of the first release: who may do what, and a work order with a line.
OLD = """
INSERT INTO machine_arrow (kind, source, target, undo) VALUES ('work_order', '', 'DRAFT', false);
INSERT INTO tenant (name) VALUES ('old');
INSERT INTO person (tenant_id, name) SELECT id, 'asha' FROM tenant;
INSERT INTO role (tenant_id, name, permissions)
  SELECT id, unnest(ARRAY['manager', 'viewer']), '{}' FROM tenant;
INSERT INTO person_role (tenant_id, person_id, role_name)
  SELECT p.tenant_id, p.id, r.name FROM person p, role r;
INSERT INTO operation (id, tenant_id, kind, verb, operation_type, state, reason, atomic, dry_run,
    isolation_level, max_retries, lease_seconds, wait_seconds, queue, total)
  SELECT gen_random_uuid(), id, 'work_order', 'import', 'import', 'RUNNING', 'import', true, false,
    'READ COMMITTED', 0, 0, 0, 'none', 1 FROM tenant;
SELECT set_config('lockside.operation_id', CAST(id AS text), true) FROM operation;
INSERT INTO work_order (tenant_id, title, state) SELECT id, 'Lift', 'DRAFT' FROM tenant;
INSERT INTO work_order_line (work_order_id, description, quantity)
  SELECT id, 'Rope', 2 FROM work_order;
"""


def migrate(engine: Engine, revision: str) -> None:
    """Take the migrations up to one of them."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with engine.begin() as db:
        config.attributes["connection"] = db
        command.upgrade(config, revision)


def test_an_upgrade_keeps_who_holds_which_role_and_whose_each_line_is(empty: Engine) -> None:
    migrate(empty, "0002")
    with empty.begin() as db:
        db.exec_driver_sql(OLD)

    upgrade(empty)

    with empty.connect() as db:
        held = db.execute(
            text(
                "SELECT p.name, r.name FROM person_role"
                " JOIN person p ON p.id = person_id JOIN role r ON r.id = role_id ORDER BY 2"
            )
        )
        lines = db.execute(
            text(
                "SELECT t.name, l.description, l.version, w.state, w.version FROM work_order_line l"
                " JOIN tenant t ON t.id = l.tenant_id JOIN work_order w ON w.id = work_order_id"
            )
        )
        assert held.all() == [("asha", "manager"), ("asha", "viewer")]
        assert lines.all() == [("old", "Rope", 1, "DRAFT", 1)]


# Operations that were paused or cancelled, and one whose caller only said so.
STEERED = """
INSERT INTO tenant (name) VALUES ('old');
INSERT INTO operation (id, tenant_id, kind, verb, operation_type, state, reason, atomic, dry_run,
    isolation_level, max_retries, lease_seconds, wait_seconds, queue, total, details)
  SELECT gen_random_uuid(), id, 'ticket', 'transition', 'x', state, 'bulk', true, false,
    'READ COMMITTED', 0, 0, 0, 'none', 1, CAST(details AS jsonb)
    FROM tenant, (VALUES ('PAUSED', '{"a": 1, "paused_by": "asha"}'),
                         ('PAUSED', '{"paused_by": "its canary"}'),
                         ('CANCELLING', '{"cancelled_by": "asha"}'),
                         ('QUEUED', '{"cancelled_by": "The weather"}')) AS given(state, details);
"""


def test_an_upgrade_keeps_who_paused_and_who_cancelled(empty: Engine) -> None:
    migrate(empty, "0007")
    with empty.begin() as db:
        db.exec_driver_sql(STEERED)

    upgrade(empty)

    with empty.connect() as db:
        found = db.execute(
            text("SELECT paused_by, held, cancelled_by, details FROM operation ORDER BY 1, 3")
        )
        assert found.all() == [
            ("asha", False, None, {"a": 1}),
            ("its canary", True, None, {}),
            (None, False, "asha", {}),
            (None, False, None, {"cancelled_by": "The weather"}),
        ]


def test_the_database_knows_the_arrows_of_the_machines(migrated: Engine) -> None:
    machines = [*(each.machine for each in kinds().values()), OPERATION]
    with migrated.connect() as db:
        rows = db.execute(text("SELECT kind, source, target, undo FROM machine_arrow"))
        known = {tuple(each) for each in rows}

    declared = {(m.kind, t.source, t.target, t.undo) for m in machines for t in m.transitions}
    begun = {(m.kind, "", m.initial, False) for m in machines}
    changing = {(m.kind, s, s, False) for m in machines for s in m.states if s not in m.final}
    assert known == declared | begun | changing


def test_an_arrow_that_a_machine_lost_is_forgotten(migrated: Engine) -> None:
    door = Machine("door", "OPEN", ("SHUT",), (arrow("OPEN", "SHUT", "shut"),))
    with migrated.begin() as db:
        store_arrows(db, [WORK_ORDER, door])

        store_arrows(db, [door])

        left = db.execute(text("SELECT kind, source, target FROM machine_arrow ORDER BY 2, 3"))
        assert left.all() == [
            ("door", "", "OPEN"),
            ("door", "OPEN", "OPEN"),
            ("door", "OPEN", "SHUT"),
        ]


def test_the_kinds_of_work_find_themselves() -> None:
    assert set(kinds()) == {"attendance", "task", "ticket", "work_order"}


def test_the_records_find_themselves_work_and_its_parts_among_them() -> None:
    assert set(records()) == {
        *kinds(),
        *("work_order_line", "reading", "job", "ticket_category", "payroll_period"),
        *("person", "person_role", "role", "team", "team_member", "vendor", "site"),
        *("subscription", "calendar", "policy"),
    }


# The columns that the specification wants of every row of work.
OF_WORK = {
    *("id", "uuid", "tenant_id", "state", "version", "state_since"),
    *("created_at", "created_by", "updated_at", "updated_by"),
}


def columns(engine: Engine, table: str) -> set[str]:
    """Return the names of a table's columns as the database has them."""
    query = text("SELECT column_name FROM information_schema.columns WHERE table_name = :table")
    with engine.connect() as db:
        return set(db.scalars(query, {"table": table}))


@pytest.mark.parametrize("kind", kinds())
def test_every_kind_has_the_columns_of_work(migrated: Engine, kind: str) -> None:
    assert columns(migrated, kinds()[kind].__tablename__) >= OF_WORK


@pytest.mark.parametrize("resource_type", records())
def test_every_record_is_of_a_tenant_and_has_a_version(
    migrated: Engine, resource_type: str
) -> None:
    found = columns(migrated, records()[resource_type].__tablename__)

    assert found >= OF_WORK - {"uuid", "state", "state_since"}


@pytest.mark.parametrize("kind", kinds())
def test_every_kind_is_guarded(migrated: Engine, kind: str) -> None:
    query = text(
        "SELECT tgname, encode(tgargs, 'escape') FROM pg_trigger"
        " WHERE tgrelid = CAST(:table AS regclass) AND tgname LIKE 'guard%' AND tgenabled = 'O'"
    )
    with migrated.connect() as db:
        found = db.execute(query, {"table": kinds()[kind].__tablename__})
        guards = {name: told.removesuffix("\\000") for name, told in found}

    assert guards == {
        "guard_insert": kind,
        "guard_update": kind,
        "guard_delete": "",
        "guard_truncate": "",
    }


def test_this_month_and_the_next_three_have_partitions_of_their_own(migrated: Engine) -> None:
    with migrated.connect() as db:
        months = db.execute(
            text(
                "SELECT inhparent::regclass::text, count(*) FROM pg_inherits"
                " JOIN pg_class c ON c.oid = inhparent AND c.relkind = 'p' GROUP BY 1"
            )
        )

        # These four, and the default partition.
        assert dict(months.all()) == dict.fromkeys(
            (
                *("state_transition_audit", "bulk_operation_audit"),
                *("audit_log", "permission_denial_audit"),
            ),
            5,
        )
