"""Auto-closure: run each policy once a period on the rows whose time is over.

A tick means nothing by itself. It finds the policies with a period that has no run yet; one
transaction stores the run and the operation that does the work. So any number of ticks may come
at once, or none for hours: the next one runs all that is due.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Text, case, func, literal, null
from sqlalchemy.dialects.postgresql import JSONB

from domain.errors import LocksideError
from domain.policies.policy import (
    ASSIGN,
    ON,
    TRANSITION,
    UPDATE,
    WARN,
    plain_comment,
    template_fields,
)
from engine.input.database_errors import plain_message
from engine.operations.chunking import ChunkPlan, Rows, materialize
from engine.operations.dispatch import dispatch_first, in_flight_room
from engine.policies.alerts import VERB as ALERT_VERB
from engine.policies.due import Due, find_due
from engine.policies.runs import (
    Run,
    Turn,
    alert,
    begin_run,
    end_run,
    has_failed_before,
    most_rows,
    refused_last,
    turns,
)
from engine.ports.platform import Platform

LEASE_S = 15.0
WAIT_S = 10.0
METADATA = {"autoclosed_by_server": True}
REASON = "system_auto"

_log = logging.getLogger(__name__)


def tick(platform: Platform) -> list[Run]:
    """Run every policy of every tenant whose period has no run yet."""
    with platform.single.connect() as db:
        due = turns(db, platform.clock(db))
    platform.step("ticked")
    runs = []
    for turn in due:
        try:
            runs.append(run_policy(platform, turn))
        except Exception as error:  # noqa: BLE001 -- reported; other policies must still run
            runs.append(_fail(platform, turn, error))
    return [run for run in runs if run is not None]


def run_policy(platform: Platform, turn: Turn) -> Run | None:
    """Run one stage of a policy for a period, unless it was run already.

    Returns:
        The run; None if it is being run elsewhere, or was run already.
    """
    try:
        with platform.database.begin() as db:
            run, chunks = _run(platform, db, turn)
    except LocksideError as error:
        return _fail(platform, turn, error)
    if run is not None and run.operation_id is not None:
        platform.step("run_stored")
        dispatch_first(platform, run.operation_id, "bulk", chunks, 0.0)
    return run


def _run(platform: Platform, db: Connection, turn: Turn) -> tuple[Run | None, int]:
    """Return the stored run, and how many chunks of its operation to dispatch."""
    now = platform.clock(db)
    run = begin_run(db, turn, now)
    if run is None:
        return None, 0
    due = find_due(db, run.policy, now, stage=turn.stage)
    matched = db.scalar(due.select(func.count()).where(due.is_due)) or 0
    run = replace(run, matched=matched, usual=most_rows(db, run))
    chunks = 0
    if run.usual is not None and matched > run.usual:
        run = replace(run, outcome="stopped", message=_too_many_message(run))
        alert(db, run, now)
        _log.warning("policy_stopped", extra={"policy": run.policy["name"], "matched": matched})
    elif matched:
        run, chunks = _store_operation(platform, db, run, due)
    end_run(db, run)
    return run, chunks


def _fail(platform: Platform, turn: Turn, error: Exception) -> Run | None:
    """Store that a policy can't be run as it is; raise an alert, once.

    Raises:
        DBAPIError: The database doesn't answer; the next tick tries again.
    """
    message = str(error) if isinstance(error, LocksideError) else plain_message(error)
    _log.error("policy_failed", extra={"policy_id": turn.policy_id, "error": message})
    with platform.database.begin() as db:
        now = platform.clock(db)
        run = begin_run(db, turn, now)
        if run is None:
            return None
        run = replace(run, outcome="failed", message=message)
        end_run(db, run)
        if not has_failed_before(db, run):
            alert(db, run, now)
    return run


def _too_many_message(run: Run) -> str:
    name = run.policy["name"]
    return (
        f"{run.matched:,} rows matched, {run.usual:,} at most were expected: nothing was done. "
        f"Look at `lockside autoclose preview {name}`, change the policy if it is wrong, and let "
        f"it go on with `lockside autoclose resume {name}`"
    )


def _store_operation(platform: Platform, db: Connection, run: Run, due: Due) -> tuple[Run, int]:
    """Store the operation that does the work of a run."""
    policy, pace = run.policy, platform.pace
    is_shadow = policy["mode"] != ON
    values = _operation(run, max_retries=pace.retries, is_shadow=is_shadow)
    room = in_flight_room(db, pace, policy["tenant_id"], "bulk")
    plan = ChunkPlan.of(pace, atomic=False)
    plan = replace(plan, in_flight_limit=min(plan.in_flight_limit, room))
    cap = min(policy["cap"], pace.operation_items)
    stored = materialize(db, values, _chosen(policy, due, cap), plan, most=cap)
    if not stored.chunks:
        return replace(run, matched=0), 0
    run = replace(run, outcome="shadow" if is_shadow else "ran", operation_id=values["id"])
    # More rows may have become due since they were counted.
    run = replace(run, taken=stored.total, matched=max(run.matched, stored.total))
    return run, min(stored.chunks, plan.in_flight_limit)


def _chosen(policy: Mapping[str, Any], due: Due, cap: int) -> Rows:
    """Return the query for the rows of a run, longest due first."""
    inputs: Any = null().cast(JSONB)
    template = policy["comments"]
    for name in template_fields(template):
        word_column = due.model.words[name]
        comments = func.replace(literal(template, Text), f"{{{name}}}", word_column)
        inputs = case((word_column.is_not(None), func.jsonb_build_object("comments", comments)))
    version = null().cast(due.model.id.type)
    query = due.select(due.model.id, version.label("version"), inputs.label("inputs"))
    # Rows that failed in the last run must not keep the others from their turn.
    refused = due.model.id.in_(refused_last(policy["id"]))
    return query.where(due.is_due).order_by(refused, due.since, due.model.id).limit(cap)


def _operation(run: Run, *, max_retries: int, is_shadow: bool) -> dict[str, Any]:
    """Return the columns of the operation of a run."""
    policy = run.policy
    verb = ALERT_VERB if run.stage == WARN else policy["verb"]
    target = policy["target_state"] if verb == TRANSITION else None
    changed = {ASSIGN: "assigned_to_team", UPDATE: "priority"}.get(verb)
    return {
        "id": uuid4(),
        "tenant_id": policy["tenant_id"],
        "actor_id": None,
        "kind": policy["kind"],
        "verb": verb,
        "operation_type": f"transition_to_{target}" if target else verb,
        "state": "QUEUED",
        "reason": REASON,
        "target_state": target,
        "changes": json.dumps({changed: policy[changed]}) if changed else None,
        "selection": policy["selection"],
        "comments": plain_comment(policy["comments"]),
        "details": json.dumps(METADATA),
        "atomic": False,
        "dry_run": is_shadow,
        "isolation_level": "READ COMMITTED",
        "max_retries": max_retries,
        "lease_seconds": LEASE_S,
        "wait_seconds": WAIT_S,
        "queue": "bulk",
        "stop_at_first_failure": False,
    }
