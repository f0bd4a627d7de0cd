"""Doctor: check everything that Lockside needs, and say how to mend it; nothing is changed."""

from collections.abc import Iterator
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from domain.errors import LocksideError, NotFound
from lockside.local.database_checks import DATABASE_CHECKS, CheckResult, check_result
from lockside.session.configuration import Settings, read_settings
from lockside.session.served_queues import served_queues
from models.schema_upgrade import missing_migrations
from reads.people import find_actor
from worker.app import make_app
from worker.platform_per_process import make_engine

_OLDEST_POSTGRES = 15
_ANSWER_S = 2.0


def examine(
    settings: Settings | None = None, *, tenant: str | None = None, actor: str | None = None
) -> Iterator[CheckResult]:
    """Yield the result of each check, in the order in which to mend.

    If a server doesn't answer, the checks that need it are left out.

    Args:
        settings: From the environment by default.
        tenant: The tenant that should exist; that of the settings by default.
        actor: The person of it who should exist; that of the settings by default, the system if
            empty.
    """
    try:
        resolved = (settings or read_settings()).resolved()
    except LocksideError as error:
        yield CheckResult(
            "settings", "fail", str(error), "Mend the variable, or start `lockside up`."
        )
        return
    actor_settings = {
        "tenant": tenant or resolved.tenant,
        "actor": resolved.actor if actor is None else actor,
    }
    resolved = resolved.model_copy(update=actor_settings)
    yield CheckResult("settings", "ok", resolved.environment)
    yield from _check_database(resolved)
    yield from _check_redis(resolved)


def _check_database(settings: Settings) -> Iterator[CheckResult]:
    engine = make_engine(str(settings.database_url))
    try:
        with engine.connect() as db:
            yield _check_version(db)
            missing = missing_migrations(engine)
            yield check_result(
                "migrations",
                not missing,
                f"{len(missing)} missing: {', '.join(missing)}" if missing else "current",
                "Run `lockside db upgrade`.",
            )
            if not missing:
                yield _check_tenant(db, settings)
                yield from (check(db) for check in DATABASE_CHECKS)
    except SQLAlchemyError as error:
        yield CheckResult(
            "PostgreSQL",
            "fail",
            str(getattr(error, "orig", error)).strip().partition("\n")[0],
            "Start it with `lockside up`, or check DATABASE_URL.",
        )
    finally:
        engine.dispose()


def _check_version(db: Connection) -> CheckResult:
    number = int(db.scalar(text("SHOW server_version_num")) or 0)
    return check_result(
        "PostgreSQL",
        number // 10_000 >= _OLDEST_POSTGRES,
        f"answers, version {number // 10_000}.{number % 10_000}",
        f"Lockside needs {_OLDEST_POSTGRES} or newer.",
    )


def _check_tenant(db: Connection, settings: Settings) -> CheckResult:
    try:
        find_actor(db, settings.tenant, settings.actor or None)
    except NotFound as error:
        mend = "Open it with `lockside tenants open`, or name another by --tenant and --actor."
        return CheckResult("tenant", "fail", str(error), mend)
    return CheckResult(
        "tenant", "ok", f"{settings.tenant}, acting as {settings.actor or 'the system'}"
    )


def _check_redis(settings: Settings) -> Iterator[CheckResult]:
    try:
        with Redis.from_url(
            str(settings.redis_url), socket_timeout=_ANSWER_S, socket_connect_timeout=_ANSWER_S
        ) as redis:
            info: dict[str, Any] = redis.info()
    except (RedisError, OSError, ValueError) as error:
        mend = "Start it with `lockside up`, or check REDIS_URL."
        yield CheckResult("Redis", "fail", str(error), mend)
        return
    name = info.get("server_name", "redis")
    yield CheckResult(
        "Redis", "ok", f"answers, {name} {info.get('valkey_version', info['redis_version'])}"
    )
    policy = info.get("maxmemory_policy")
    yield check_result(
        "eviction",
        policy == "noeviction",
        f"{policy}",
        "Set maxmemory-policy noeviction: evicted messages only come back by the sweeper.",
    )
    yield check_result(
        "append-only file",
        bool(info.get("aof_enabled")),
        "on" if info.get("aof_enabled") else "off",
        "Set appendonly yes: without it a restart of Redis delays all waiting work.",
        otherwise="warn",
    )
    yield from _check_workers(settings)


def _check_workers(settings: Settings) -> Iterator[CheckResult]:
    app = make_app(settings)
    try:
        served = served_queues(app)
    except LocksideError as error:
        yield CheckResult("workers", "fail", str(error), "Check REDIS_URL.")
        return
    finally:
        app.close()
    for queue, workers in served.items():
        yield check_result(
            f"queue {queue}",
            workers > 0,
            f"{workers} workers" if workers != 1 else "1 worker",
            "Start one: `lockside up`, or `celery -A worker.main worker`.",
        )
