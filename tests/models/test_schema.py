"""The migrations lead exactly to the mapped tables, however often and by however many they run."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text

from domain.machine import Machine, arrow
from domain.operation import OPERATION
from domain.work_order import WORK_ORDER
from models.base import Base, kinds
from models.schema import missing_migrations, store_arrows, upgrade
from worker import embedded
from worker.processes import make_engine


@pytest.fixture
def empty(servers: embedded.Servers) -> Iterator[Engine]:
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
def migrated(database_url: str) -> Iterator[Engine]:
    """Give a database that has taken every step."""
    engine = make_engine(database_url)
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


def test_the_database_knows_the_arrows_of_the_machines(migrated: Engine) -> None:
    machines = [*(each.machine for each in kinds().values()), OPERATION]
    with migrated.connect() as db:
        rows = db.execute(text("SELECT kind, source, target, undo FROM machine_arrow"))
        known = {tuple(each) for each in rows}

    declared = {(m.kind, t.source, t.target, t.undo) for m in machines for t in m.transitions}
    assert known == declared | {(m.kind, "", m.initial, False) for m in machines}


def test_an_arrow_that_a_machine_lost_is_forgotten(migrated: Engine) -> None:
    door = Machine("door", "OPEN", ("SHUT",), (arrow("OPEN", "SHUT", "shut"),))
    with migrated.begin() as db:
        store_arrows(db, [WORK_ORDER, door])

        store_arrows(db, [door])

        left = db.execute(text("SELECT kind, source, target FROM machine_arrow ORDER BY source"))
        assert left.all() == [("door", "", "OPEN"), ("door", "OPEN", "SHUT")]


def test_the_kinds_of_work_find_themselves() -> None:
    assert set(kinds()) >= {"ticket", "work_order"}


def test_this_month_and_the_next_three_have_partitions_of_their_own(migrated: Engine) -> None:
    with migrated.connect() as db:
        months = db.execute(
            text(
                "SELECT inhparent::regclass::text, count(*) FROM pg_inherits"
                " JOIN pg_class c ON c.oid = inhparent AND c.relkind = 'p' GROUP BY 1"
            )
        )

        assert dict(months.all()) == {"bulk_operation_audit": 5, "state_transition_audit": 5}
