"""Policy commands: run a policy now, resume one that was stopped, acknowledge alerts."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

from sqlalchemy import Connection, Row, select, text
from sqlalchemy.exc import DBAPIError

from domain.errors import NotFound, RuleRefused
from domain.permissions import Actor
from domain.policies.policy import ACT, OFF
from engine.access.permissions import authorize
from engine.audit.outbox import log_entities
from engine.input.database_errors import refusal_of_database_error
from engine.input.fields import find_ids, plain
from engine.input.record_types import table_of
from engine.policies.runs import Run, Turn
from engine.ports.platform import Platform
from engine.scheduling.autoclose import run_policy
from models.policy import Policy
from models.scheduled_run import HELD

RESOURCE_TYPE = Policy.resource_type
Change = Mapping[str, Mapping[str, Any]]

_HELD = text(f"""
SELECT id, held_because, message FROM scheduled_run WHERE policy_id = :policy_id AND {HELD}
 ORDER BY id DESC
""")  # noqa: S608 -- made of a constant
_RELEASE = text(f"""
UPDATE scheduled_run SET released_at = :now, released_by = :person_id
 WHERE policy_id = :policy_id AND {HELD} RETURNING id
""")  # noqa: S608
# An alert that was acknowledged already keeps who did it first.
_ACKNOWLEDGE = text("""
WITH done AS (UPDATE alert SET acknowledged_at = :now, acknowledged_by = :person_id
 WHERE tenant_id = :tenant_id AND acknowledged_at IS NULL
   AND (CAST(:ids AS bigint[]) IS NULL OR id = ANY(:ids)) RETURNING id)
SELECT count(*) AS alerts, min(id) AS first, max(id) AS last FROM done
""")
_EXISTING = text("SELECT id FROM alert WHERE tenant_id = :tenant_id AND id = ANY(:ids)")


def policy_named(db: Connection, tenant_id: int, name: str | int) -> dict[str, Any]:
    """Return a tenant's policy by its name or id, as runs store it.

    Raises:
        NotFound: There is no such policy.
    """
    ids, ambiguous = find_ids(db, tenant_id, RESOURCE_TYPE, [name])
    if name not in ids or name in ambiguous:
        raise NotFound(what=RESOURCE_TYPE, got=name)
    table = table_of(Policy)
    row = db.execute(select(table).where(table.c.id == ids[name])).one()
    return {column: plain(value) for column, value in row._mapping.items()}


def run_now(platform: Platform, actor: Actor, name: str | int) -> Run:
    """Run a policy now, whatever its period; in shadow mode it only judges.

    Whoever may change the policy may run it.

    Raises:
        NotFound: There is no policy of that name.
        PermissionDenied: The actor may not; the denial is recorded.
        RuleRefused: It is off, it was stopped, or its last run hasn't ended.
    """
    authorize(platform, actor, RESOURCE_TYPE, "update")
    with platform.single.connect() as db:
        policy = policy_named(db, actor.tenant_id, name)
        stopped = db.execute(_HELD, {"policy_id": policy["id"]}).first()
        now = platform.clock(db)
    if policy["mode"] == OFF:
        _refuse("policy_off", f"{policy['name']} is off: set its mode to shadow or on first")
    if stopped is not None:
        _refuse("policy_stopped", _stopped_message(policy["name"], stopped))
    run = _run_policy(platform, Turn(policy["id"], ACT, now, actor.person_id))
    if run is None:
        _refuse("policy_running", f"{policy['name']} is running: wait for its operation to end")
    return run


def _run_policy(platform: Platform, turn: Turn) -> Run | None:
    try:
        return run_policy(platform, turn)
    except DBAPIError as error:
        refusal = refusal_of_database_error(error)
        if refusal is None:
            raise
        raise refusal from error


def resume_policy(platform: Platform, actor: Actor, name: str | int) -> int:
    """Resume a policy that was stopped or undone; return how many runs had stopped it.

    Whoever may change the policy may resume it.

    Raises:
        NotFound: There is no policy of that name.
        PermissionDenied: The actor may not; the denial is recorded.
    """
    authorize(platform, actor, RESOURCE_TYPE, "update")
    with platform.database.begin() as db:
        policy = policy_named(db, actor.tenant_id, name)
        now = platform.clock(db)
        names = {"policy_id": policy["id"], "now": now, "person_id": actor.person_id}
        released = [row.id for row in db.execute(_RELEASE, names)]
        change = {"policy": {"before": "stopped", "after": policy["mode"]}}
        if released:
            _log(db, actor, "scheduled_run", about={"ids": released}, change=change, now=now)
    return len(released)


def acknowledge(platform: Platform, actor: Actor, ids: Sequence[int] | None) -> int:
    """Acknowledge some alerts, or all of them; return how many weren't acknowledged yet.

    Whoever may change policies may acknowledge.

    Raises:
        NotFound: The tenant has no alert of one of these ids.
        PermissionDenied: The actor may not; the denial is recorded.
    """
    authorize(platform, actor, RESOURCE_TYPE, "update")
    names = {"tenant_id": actor.tenant_id, "ids": None if ids is None else list(ids)}
    with platform.database.begin() as db:
        if ids is not None:
            existing = set(db.scalars(_EXISTING, names))
            missing = next((alert_id for alert_id in ids if alert_id not in existing), None)
            if missing is not None:
                raise NotFound(what="alert", got=missing)
        now = platform.clock(db)
        done = db.execute(_ACKNOWLEDGE, names | {"now": now, "person_id": actor.person_id}).one()
        if done.alerts:
            change = {"acknowledged": {"before": False, "after": True}}
            _log(db, actor, "alert", about=dict(done._mapping), change=change, now=now)
    return int(done.alerts)


def _log(
    db: Connection,
    actor: Actor,
    kind: str,
    *,
    about: Mapping[str, Any],
    change: Change,
    now: datetime,
) -> None:
    """Record that somebody resumed a policy or acknowledged alerts; neither has a version."""
    log_entities(
        db,
        event_type="UPDATED",
        kind=kind,
        tenant_id=actor.tenant_id,
        actor_id=actor.person_id,
        correlation_id=None,
        reason="user_action",
        ids=[None],
        versions=[None],
        changes=[json.dumps(change)],
        details=about,
        now=now,
        origin=actor.origin.as_dict,
    )


def _stopped_message(name: str, run: Row[Any]) -> str:
    if run.held_because == "stopped":
        return f"{name} is stopped: {run.message}"
    return (
        f"{name} is stopped: its last run was undone. `lockside autoclose resume {name}` lets "
        "it go on"
    )


def _refuse(code: str, message: str) -> NoReturn:
    raise RuleRefused(message=message, reasons=[{"code": code}])
