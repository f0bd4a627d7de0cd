"""The doctor finds what isn't well, says how to mend it, and changes nothing."""

from collections.abc import Iterator

import pytest
from redis import Redis
from sqlalchemy import Engine, text

import lockside
from lockside.local.database_checks import CheckResult
from lockside.local.doctor import examine
from lockside.session.machines import check_machines
from tests.factories import work_orders
from tests.interfaces.commands import call
from worker.platform_per_process import make_engine
from worker.settings import Settings

WELL = {"settings", "PostgreSQL", "migrations", "tenant", "guard", "clocks", "Redis", "eviction"}


@pytest.fixture
def database(settings: Settings) -> Iterator[Engine]:
    """Give the database itself, to break something in it."""
    engine = make_engine(str(settings.database_url))
    yield engine
    engine.dispose()


def finding(settings: Settings, name: str) -> CheckResult:
    return next(each for each in examine(settings) if each.name == name)


def test_what_is_well_is_ok(settings: Settings) -> None:
    found = {each.name: each.status for each in examine(settings)}

    assert {name: found[name] for name in WELL} == dict.fromkeys(WELL, "ok")


def test_a_queue_without_a_worker_is_told(settings: Settings) -> None:
    answer = call(settings, "doctor", "--json")

    queues = {each["name"] for each in answer.json["checks"] if each["status"] == "fail"}
    assert answer.code == 75
    assert queues == {"queue interactive", "queue bulk", "queue audit", "queue upkeep"}


def test_a_finding_says_how_to_mend_it(settings: Settings) -> None:
    answer = call(settings, "doctor")

    assert "lockside up" in answer.out


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("--tenant", "other"), "other, acting as admin"),
        (("--actor", "dora"), "demo, acting as dora"),
        (("--tenant", "nowhere"), "No tenant nowhere"),
        (("--tenant", "other", "--actor", "nobody"), "No person nobody"),
    ],
)
def test_it_looks_for_the_tenant_and_the_person_that_are_asked_for(
    settings: Settings, words: tuple[str, ...], found: str
) -> None:
    answer = call(settings, "doctor", *words)

    (line,) = [each for each in answer.out.splitlines() if each.split()[1] == "tenant"]
    assert found in line


def test_missing_migrations_are_named(settings: Settings) -> None:
    empty = str(settings.database_url).rpartition("/")[0] + "/postgres"

    found = finding(settings.model_copy(update={"database_url": empty}), "migrations")

    assert (found.status, "0001" in found.found) == ("fail", True)
    assert "lockside db upgrade" in found.mend


def test_a_guard_that_knows_other_arrows_is_told_and_mended(
    settings: Settings, database: Engine
) -> None:
    with database.begin() as db:
        db.execute(
            text(
                "DELETE FROM machine_arrow WHERE kind = 'ticket' AND source = 'NEW'"
                " AND target = 'OPEN'"
            )
        )

    broken = finding(settings, "guard")
    call(settings, "db", "upgrade")
    mended = finding(settings, "guard")

    assert (broken.status, broken.found[:1], mended.status) == ("fail", "1", "ok")


def test_a_disabled_guard_is_told(settings: Settings, database: Engine) -> None:
    with database.begin() as db:
        db.execute(text("ALTER TABLE ticket DISABLE TRIGGER guard_update"))

    found = finding(settings, "guard")

    with database.begin() as db:
        db.execute(text("ALTER TABLE ticket ENABLE TRIGGER guard_update"))
    assert (found.status, "1 triggers are disabled" in found.found) == ("fail", True)


def test_work_that_waits_long_is_told(
    site: lockside.Session, settings: Settings, database: Engine
) -> None:
    operation = site.transition("work_order", to="APPROVED", ids=work_orders(site, 1))
    with database.begin() as db:
        db.execute(text("UPDATE operation_chunk SET run_after = run_after - interval '90 s'"))

    found = finding(settings, "waiting work")

    operation.cancel()
    assert (found.status, "waits for 9" in found.found) == ("warn", True)


def test_an_eviction_policy_that_drops_messages_is_told(settings: Settings) -> None:
    with Redis.from_url(str(settings.redis_url)) as redis:
        redis.config_set("maxmemory-policy", "allkeys-lru")

        found = finding(settings, "eviction")

        redis.config_set("maxmemory-policy", "noeviction")
    assert (found.status, found.found) == ("fail", "allkeys-lru")


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("PostgreSQL", {"database_url": "postgresql+psycopg://nobody@127.0.0.1:1/none"}),
        ("Redis", {"redis_url": "redis://127.0.0.1:1/0"}),
    ],
)
def test_a_server_that_is_away_is_told(
    settings: Settings, name: str, address: dict[str, str]
) -> None:
    found = finding(settings.model_copy(update=address), name)

    assert (found.status, "lockside up" in found.mend) == ("fail", True)


def test_without_anything_it_says_how_to_start(settings: Settings) -> None:
    nowhere = settings.model_copy(update={"database_url": "", "redis_url": ""})

    answer = call(nowhere, "doctor")

    assert answer.code == 75
    assert "lockside up" in answer.out


def test_every_machine_is_sound() -> None:
    checked = {each["kind"]: each["faults"] for each in check_machines()}

    assert set(checked) == {"work_order", "task", "attendance", "ticket", "operation"}
    assert set(map(tuple, checked.values())) == {()}
