"""Doctor: check everything that Lockside needs, and say how to mend it; nothing is changed."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import SQLAlchemyError

from domain.errors import LocksideError, NotFound
from domain.machines.machine import Machine
from domain.machines.operation import CLAIMABLE_STATES, OPERATION
from lockside.session.configuration import Settings, read_settings
from lockside.session.served_queues import served_queues
from models.audit import Outbox
from models.base import kinds
from models.operation import Chunk, MachineArrow, OperationRow
from models.schema import missing_migrations
from reads.people import find_actor
from reads.policies import find_troubled
from worker.app import make_app
from worker.processes import make_engine

_OLDEST_POSTGRES = 15
_MOST_SKEW_S = 2.0
_MOST_WAITING_S = 60.0
_ANSWER_S = 2.0

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check: what was checked, its status, what was found, how to mend it."""

    name: str
    status: Status
    found: str
    mend: str = ""


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
            yield _result(
                "migrations",
                not missing,
                f"{len(missing)} missing: {', '.join(missing)}" if missing else "current",
                "Run `lockside db upgrade`.",
            )
            if not missing:
                yield _check_tenant(db, settings)
                yield from (check(db) for check in _DATABASE_CHECKS)
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
    return _result(
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


def _check_guard(db: Connection) -> CheckResult:
    machines = [kind.machine for kind in kinds().values()] + [OPERATION]
    expected = {(m.kind, t.source, t.target, t.undo) for m in machines for t in m.transitions}
    expected |= {(m.kind, "", m.initial, False) for m in machines}
    expected |= {(m.kind, state, state, False) for m in machines for state in _open_states(m)}
    arrow = MachineArrow
    stored = {
        tuple(row) for row in db.execute(select(arrow.kind, arrow.source, arrow.target, arrow.undo))
    }
    disabled = db.scalars(
        text("SELECT tgname FROM pg_trigger WHERE tgname LIKE 'guard\\_%' AND tgenabled = 'D'")
    ).all()
    differ = len(expected ^ stored)
    message = f"{differ} arrows differ from the machines, {len(disabled)} triggers are disabled"
    return _result(
        "guard",
        not differ and not disabled,
        message if differ or disabled else f"knows all {len(stored)} arrows",
        "Run `lockside db upgrade`; ENABLE TRIGGER what was disabled.",
    )


def _open_states(machine: Machine) -> set[str]:
    return set(machine.states) - set(machine.final)


def _check_clocks(db: Connection) -> CheckResult:
    before = time.time()
    there = db.scalar(text("SELECT extract(epoch FROM clock_timestamp())::float")) or 0.0
    skew_s = there - (before + time.time()) / 2
    return _result(
        "clocks",
        abs(skew_s) < _MOST_SKEW_S,
        f"PostgreSQL's is {abs(skew_s):.3f} s {'ahead' if skew_s > 0 else 'behind'}",
        "Set both by NTP; times in the records are PostgreSQL's.",
    )


def _check_waiting_work(db: Connection) -> CheckResult:
    waiting_s = db.scalar(
        select(_age_s(func.min(Chunk.run_after)))
        .join(OperationRow, OperationRow.id == Chunk.operation_id)
        .where(
            Chunk.status == "PENDING",
            Chunk.run_after <= func.clock_timestamp(),
            OperationRow.state.in_(CLAIMABLE_STATES),
        )
    )
    return _result(
        "waiting work",
        (waiting_s or 0) < _MOST_WAITING_S,
        "none" if waiting_s is None else f"the oldest chunk waits for {waiting_s:.0f} s",
        "Start more workers, or look into the log of those that run.",
        otherwise="warn",
    )


def _check_outbox(db: Connection) -> CheckResult:
    age_s = db.scalar(select(_age_s(func.min(Outbox.occurred_at))))
    return _result(
        "outbox",
        (age_s or 0) < _MOST_WAITING_S,
        "empty" if age_s is None else f"the oldest change waits {age_s:.0f} s for its record",
        "Start a worker that serves the queue audit, and beat.",
        otherwise="warn",
    )


def _check_dead_letters(db: Connection) -> CheckResult:
    dead = db.scalar(
        select(func.count())
        .select_from(Chunk)
        .join(OperationRow, OperationRow.id == Chunk.operation_id)
        .where(
            Chunk.status == "DEAD",
            OperationRow.created_at > func.clock_timestamp() - text("interval '1 day'"),
        )
    )
    return _result(
        "dead-lettered chunks",
        not dead,
        f"{dead} in a day" if dead else "none in a day",
        "`lockside operations list --state FAILED`; the workers' logs say why they died.",
        otherwise="warn",
    )


def _check_policies(db: Connection) -> CheckResult:
    stopped, late = find_troubled(db)
    if late:
        message = f"{late:,} weren't run when it was their time"
        return CheckResult(
            "policies", "warn", message, "Start beat, and a worker for the queue upkeep."
        )
    return _result(
        "policies",
        not stopped,
        f"stopped: {', '.join(stopped)}" if stopped else "run in their periods",
        "`lockside autoclose policies` says why, `autoclose resume` lets one go on.",
        otherwise="warn",
    )


_DATABASE_CHECKS: tuple[Callable[[Connection], CheckResult], ...] = (
    *(_check_guard, _check_clocks, _check_waiting_work),
    *(_check_outbox, _check_dead_letters, _check_policies),
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
    yield _result(
        "eviction",
        policy == "noeviction",
        f"{policy}",
        "Set maxmemory-policy noeviction: evicted messages only come back by the sweeper.",
    )
    yield _result(
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
        yield _result(
            f"queue {queue}",
            workers > 0,
            f"{workers} workers" if workers != 1 else "1 worker",
            "Start one: `lockside up`, or `celery -A worker.main worker`.",
        )


def _age_s(moment: Any) -> Any:
    return func.extract("epoch", func.clock_timestamp() - moment)


def _result(
    name: str,
    is_ok: bool,  # noqa: FBT001 -- the result itself
    message: str,
    mend: str,
    *,
    otherwise: Status = "fail",
) -> CheckResult:
    return (
        CheckResult(name, "ok", message) if is_ok else CheckResult(name, otherwise, message, mend)
    )
