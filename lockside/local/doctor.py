"""What is well and what isn't: each finding says how to mend it. Looks only, changes nothing."""

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
class Finding:
    """One finding: what was looked at, how it is, what was found, how to mend it."""

    name: str
    status: Status
    found: str
    mend: str = ""


def examine(
    settings: Settings | None = None, *, tenant: str | None = None, actor: str | None = None
) -> Iterator[Finding]:
    """Yield a finding for everything that Lockside needs, in the order in which to mend.

    Where a server doesn't answer, what depends on it isn't looked at.

    Args:
        settings: From the environment by default.
        tenant: Which tenant is meant to be there; that of the settings by default.
        actor: Which of its people; that of the settings by default, the system if empty.
    """
    try:
        known = (settings or read_settings()).resolved()
    except LocksideError as error:
        yield Finding("settings", "fail", str(error), "Mend the variable, or start `lockside up`.")
        return
    asked = {"tenant": tenant or known.tenant, "actor": known.actor if actor is None else actor}
    known = known.model_copy(update=asked)
    yield Finding("settings", "ok", known.environment)
    yield from _database(known)
    yield from _redis(known)


def _database(settings: Settings) -> Iterator[Finding]:
    engine = make_engine(str(settings.database_url))
    try:
        with engine.connect() as db:
            yield _version(db)
            missing = missing_migrations(engine)
            yield _ok(
                "migrations",
                not missing,
                f"{len(missing)} missing: {', '.join(missing)}" if missing else "current",
                "Run `lockside db upgrade`.",
            )
            if not missing:
                yield _tenant(db, settings)
                yield from (look(db) for look in _LOOKS)
    except SQLAlchemyError as error:
        yield Finding(
            "PostgreSQL",
            "fail",
            str(getattr(error, "orig", error)).strip().partition("\n")[0],
            "Start it with `lockside up`, or check DATABASE_URL.",
        )
    finally:
        engine.dispose()


def _version(db: Connection) -> Finding:
    number = int(db.scalar(text("SHOW server_version_num")) or 0)
    return _ok(
        "PostgreSQL",
        number // 10_000 >= _OLDEST_POSTGRES,
        f"answers, version {number // 10_000}.{number % 10_000}",
        f"Lockside needs {_OLDEST_POSTGRES} or newer.",
    )


def _tenant(db: Connection, settings: Settings) -> Finding:
    try:
        find_actor(db, settings.tenant, settings.actor or None)
    except NotFound as error:
        mend = "Open it with `lockside tenants open`, or name another by --tenant and --actor."
        return Finding("tenant", "fail", str(error), mend)
    return Finding("tenant", "ok", f"{settings.tenant}, acting as {settings.actor or 'the system'}")


def _guard(db: Connection) -> Finding:
    machines = [each.machine for each in kinds().values()] + [OPERATION]
    wanted = {(m.kind, t.source, t.target, t.undo) for m in machines for t in m.transitions}
    wanted |= {(m.kind, "", m.initial, False) for m in machines}
    wanted |= {(m.kind, each, each, False) for m in machines for each in _open_states(m)}
    arrow = MachineArrow
    known = {
        tuple(each)
        for each in db.execute(select(arrow.kind, arrow.source, arrow.target, arrow.undo))
    }
    disabled = db.scalars(
        text("SELECT tgname FROM pg_trigger WHERE tgname LIKE 'guard\\_%' AND tgenabled = 'D'")
    ).all()
    differ = len(wanted ^ known)
    found = f"{differ} arrows differ from the machines, {len(disabled)} triggers are disabled"
    return _ok(
        "guard",
        not differ and not disabled,
        found if differ or disabled else f"knows all {len(known)} arrows",
        "Run `lockside db upgrade`; ENABLE TRIGGER what was disabled.",
    )


def _open_states(machine: Machine) -> set[str]:
    return set(machine.states) - set(machine.final)


def _clock(db: Connection) -> Finding:
    before = time.time()
    there = db.scalar(text("SELECT extract(epoch FROM clock_timestamp())::float")) or 0.0
    skew_s = there - (before + time.time()) / 2
    return _ok(
        "clocks",
        abs(skew_s) < _MOST_SKEW_S,
        f"PostgreSQL's is {abs(skew_s):.3f} s {'ahead' if skew_s > 0 else 'behind'}",
        "Set both by NTP; times in the records are PostgreSQL's.",
    )


def _waiting(db: Connection) -> Finding:
    waiting_s = db.scalar(
        select(_age_s(func.min(Chunk.run_after)))
        .join(OperationRow, OperationRow.id == Chunk.operation_id)
        .where(
            Chunk.status == "PENDING",
            Chunk.run_after <= func.clock_timestamp(),
            OperationRow.state.in_(CLAIMABLE_STATES),
        )
    )
    return _ok(
        "waiting work",
        (waiting_s or 0) < _MOST_WAITING_S,
        "none" if waiting_s is None else f"the oldest chunk waits for {waiting_s:.0f} s",
        "Start more workers, or look into the log of those that run.",
        otherwise="warn",
    )


def _outbox(db: Connection) -> Finding:
    age_s = db.scalar(select(_age_s(func.min(Outbox.occurred_at))))
    return _ok(
        "outbox",
        (age_s or 0) < _MOST_WAITING_S,
        "empty" if age_s is None else f"the oldest change waits {age_s:.0f} s for its record",
        "Start a worker that serves the queue audit, and beat.",
        otherwise="warn",
    )


def _dead(db: Connection) -> Finding:
    dead = db.scalar(
        select(func.count())
        .select_from(Chunk)
        .join(OperationRow, OperationRow.id == Chunk.operation_id)
        .where(
            Chunk.status == "DEAD",
            OperationRow.created_at > func.clock_timestamp() - text("interval '1 day'"),
        )
    )
    return _ok(
        "dead chunks",
        not dead,
        f"{dead} in a day" if dead else "none in a day",
        "`lockside operations list --state FAILED`; the workers' logs say why they died.",
        otherwise="warn",
    )


def _policies(db: Connection) -> Finding:
    stopped, late = find_troubled(db)
    if late:
        found = f"{late:,} weren't run when it was their time"
        return Finding("policies", "warn", found, "Start beat, and a worker for the queue upkeep.")
    return _ok(
        "policies",
        not stopped,
        f"stopped: {', '.join(stopped)}" if stopped else "run in their periods",
        "`lockside autoclose policies` says why, `autoclose resume` lets one go on.",
        otherwise="warn",
    )


_LOOKS: tuple[Callable[[Connection], Finding], ...] = (
    *(_guard, _clock, _waiting, _outbox, _dead, _policies),
)


def _redis(settings: Settings) -> Iterator[Finding]:
    try:
        with Redis.from_url(
            str(settings.redis_url), socket_timeout=_ANSWER_S, socket_connect_timeout=_ANSWER_S
        ) as redis:
            info: dict[str, Any] = redis.info()
    except (RedisError, OSError, ValueError) as error:
        mend = "Start it with `lockside up`, or check REDIS_URL."
        yield Finding("Redis", "fail", str(error), mend)
        return
    name = info.get("server_name", "redis")
    yield Finding(
        "Redis", "ok", f"answers, {name} {info.get('valkey_version', info['redis_version'])}"
    )
    policy = info.get("maxmemory_policy")
    yield _ok(
        "eviction",
        policy == "noeviction",
        f"{policy}",
        "Set maxmemory-policy noeviction: evicted messages only come back by the sweeper.",
    )
    yield _ok(
        "append-only file",
        bool(info.get("aof_enabled")),
        "on" if info.get("aof_enabled") else "off",
        "Set appendonly yes: without it a restart of Redis delays all waiting work.",
        otherwise="warn",
    )
    yield from _workers(settings)


def _workers(settings: Settings) -> Iterator[Finding]:
    app = make_app(settings)
    try:
        served = served_queues(app)
    except LocksideError as error:
        yield Finding("workers", "fail", str(error), "Check REDIS_URL.")
        return
    finally:
        app.close()
    for queue, workers in served.items():
        yield _ok(
            f"queue {queue}",
            workers > 0,
            f"{workers} workers" if workers != 1 else "1 worker",
            "Start one: `lockside up`, or `celery -A worker.main worker`.",
        )


def _age_s(moment: Any) -> Any:
    return func.extract("epoch", func.clock_timestamp() - moment)


def _ok(
    name: str,
    is_well: bool,  # noqa: FBT001 -- what the finding is about
    found: str,
    mend: str,
    *,
    otherwise: Status = "fail",
) -> Finding:
    return Finding(name, "ok", found) if is_well else Finding(name, otherwise, found, mend)
