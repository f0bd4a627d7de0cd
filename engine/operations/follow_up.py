"""Follow-up operations: execute a plan, retry failures or undo changes of an ended operation.

Each is an operation of its own, and there is one of each kind: asking again returns the same.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

from psycopg.errors import ForeignKeyViolation
from sqlalchemy import BigInteger, Connection, Row, TextualSelect, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError

from domain.bulk import Outcome
from domain.errors import IllegalTransition, InvalidInput
from domain.permissions import Actor
from engine.input.database_errors import refuse_oversized
from engine.operations.change_for_verb import EDITS, TRANSITION, UNDO
from engine.operations.chunking import ChunkPlan, materialize, origin_of
from engine.operations.dispatch import dispatch_first, in_flight_room
from engine.operations.steering import authorize_steering, operation_not_found
from engine.ports.platform import Platform
from models.base import kinds

# Chunks are as large as the parent's largest one. An operation of all or nothing has one chunk, so
# its size says nothing.
_PARENT = text("""
SELECT id, kind, verb, operation_type, state, reason, target_state,
       CAST(changes AS text) AS changes, approved_by, comments,
       CAST(details AS text) AS details,
       atomic, dry_run, isolation_level, max_retries, lease_seconds, wait_seconds,
       stop_at_first_failure, parallel, canary, rate, queue, finished_at,
       EXISTS (SELECT FROM scheduled_run r WHERE r.operation_id = operation.id) AS of_policy,
       CASE WHEN NOT atomic THEN (
         SELECT max(cardinality(c.ids)) FROM operation_chunk c
          WHERE c.operation_id = operation.id AND c.chunk_no >= 0) END AS chunk_items,
       (SELECT sum(c.failed + c.cancelled) FROM operation_chunk c
         WHERE c.operation_id = operation.id) AS undone
  FROM operation WHERE id = :operation_id AND tenant_id = :tenant_id
""")

# The rows of an undone run are due as before: its policy waits until somebody releases it.
_HOLD_POLICY = text("""
UPDATE scheduled_run SET held_because = 'undone', released_at = NULL, released_by = NULL
 WHERE operation_id = :parent_id
""")

_CHILD = text("SELECT id FROM operation WHERE parent_id = :parent_id AND purpose = :purpose")

# Rows are expected to have the versions that a plan saw or an operation left, so that a change
# since then is a conflict. An undo needs no inputs from the parent's file.
_DONE = """
SELECT i.id, i.version,
       CASE WHEN NOT :is_undo THEN c.inputs -> CAST(i.id AS text) END AS inputs
  FROM operation_chunk c, unnest(c.ids, c.outcomes, c.versions) AS i(id, outcome, version)
 WHERE c.operation_id = :parent_id AND i.outcome = :succeeded
"""

# Who retries the conflicts by their code means the rows as they are now, whoever changed them; all
# others keep their expected version. An undo never overwrites somebody's change. What was retried
# by its code belongs to that retry; a plain retry takes what is left.
_FAILED = """
SELECT i.id,
       CASE WHEN :is_undo OR CAST(:only AS text) IS DISTINCT FROM 'concurrency_conflict'
            THEN i.version END AS version,
       c.inputs -> CAST(i.id AS text) AS inputs
  FROM operation_chunk c, unnest(c.ids, c.outcomes, c.expected_versions) AS i(id, outcome, version)
 CROSS JOIN LATERAL (
   SELECT c.failures -> CAST(i.id AS text) ->> 'code' AS code) AS told
 WHERE c.operation_id = :parent_id AND i.id > 0
   AND i.outcome IN (:failed, :cancelled)
   AND CASE WHEN CAST(:only AS text) IS NOT NULL THEN told.code = :only
            ELSE NOT EXISTS (
              SELECT FROM operation o
               WHERE o.parent_id = :parent_id AND o.purpose = 'retry:' || told.code) END
"""

# Lines of a file that name no row have ids below zero: there is nothing to retry.
_CODES = text("""
SELECT DISTINCT code FROM operation_chunk c, jsonb_object_keys(c.failure_codes) AS code
 WHERE c.operation_id = :parent_id AND c.chunk_no >= 0 ORDER BY code
""")


def execute_plan(platform: Platform, actor: Actor, plan_id: UUID) -> UUID:
    """Execute a dry run: do what it found possible; each item is judged again at that time.

    It begins with the plan's canary, and keeps its rate.
    Items that failed in the plan are left out; those that changed since are conflicts. All or
    nothing leaves nothing out. Who submitted the plan may, and holders of `operation.execute`.

    Raises:
        NotFound: The actor's tenant has no such operation.
        PermissionDenied: It is another person's operation; the denial is recorded.
        InvalidInput: It is no dry run, or nothing in it can be done, or it is all or nothing and
            not everything can be done.
        IllegalTransition: It hasn't ended yet.
    """
    authorize_steering(platform, actor, plan_id, "execute")
    plan = _read_ended(platform, actor, plan_id)
    _require_person(plan, "turn the policy on with `lockside autoclose mode`")
    if not plan.dry_run:
        raise InvalidInput(field="plan", got=str(plan_id), expected="a dry run's id")
    if plan.atomic and plan.undone:
        got = f"{plan.undone:,} that can't be done"
        raise InvalidInput(field="plan", got=got, expected="none: it is all or nothing")
    chosen = _chosen(_DONE, plan_id, succeeded=Outcome.SUCCEEDED, is_undo=False)
    return _store_follow_up(
        platform, actor, plan, chosen, {"purpose": "plan", "canary": plan.canary}
    )


def retry(platform: Platform, actor: Actor, operation_id: UUID, *, only: str | None = None) -> UUID:
    """Retry what failed, or *only* what failed with one code; each can be retried once.

    All or nothing that was rolled back is retried as a whole. What was cancelled, or left undone
    after the first failure, is retried with what failed; what was retried by its code is not.
    A conflict stays one, unless *only* conflicts are meant: then the rows are taken as they are.
    Who submitted it may, and holders of `operation.retry`.

    Raises:
        NotFound: The actor's tenant has no such operation.
        PermissionDenied: It is another person's operation; the denial is recorded.
        InvalidInput: Nothing failed, or nothing with that code; or it is a dry run.
        IllegalTransition: It hasn't ended yet.
    """
    authorize_steering(platform, actor, operation_id, "retry")
    parent = _read_ended(platform, actor, operation_id)
    if parent.dry_run or parent.verb not in (TRANSITION, *EDITS, UNDO):
        expected = "an operation that changes work; a dry run changes nothing"
        raise InvalidInput(field="operation_id", got=str(operation_id), expected=expected)
    _require_person(parent, "its policy tries again: now with `lockside autoclose run`")
    if parent.atomic and only is not None:
        raise InvalidInput(field="only", got=only, expected="nothing: it is all or nothing")
    if only is not None:
        _require_code(platform, operation_id, only)
    chosen = _chosen(
        _FAILED,
        operation_id,
        failed=Outcome.FAILED,
        cancelled=Outcome.CANCELLED,
        is_undo=parent.verb == UNDO,
        only=only,
    )
    purpose = "retry" if only is None else f"retry:{only}"
    return _store_follow_up(platform, actor, parent, chosen, {"purpose": purpose})


def undo(platform: Platform, actor: Actor, operation_id: UUID) -> UUID:
    """Undo what an operation did, item by item, where nobody has changed it since.

    Who submitted it may, and holders of `operation.undo`; each item needs the permission that its
    change needed. What was changed since is left alone and reported.

    Raises:
        NotFound: The actor's tenant has no such operation.
        PermissionDenied: It is another person's operation; the denial is recorded.
        InvalidInput: It did nothing, or what it did can't be undone.
        IllegalTransition: It hasn't ended yet.
    """
    authorize_steering(platform, actor, operation_id, "undo")
    parent = _read_ended(platform, actor, operation_id)
    if parent.dry_run or parent.verb not in (TRANSITION, *EDITS):
        got = "a dry run" if parent.dry_run else "an undo" if parent.verb == UNDO else parent.verb
        expected = "a transition, an assignment or an update that was done"
        raise InvalidInput(field="operation_id", got=got, expected=expected)
    _require_way_back(parent)
    chosen = _chosen(_DONE, operation_id, succeeded=Outcome.SUCCEEDED, is_undo=True)
    columns = {
        "purpose": "undo",
        "verb": UNDO,
        "operation_type": f"undo_{parent.operation_type}",
        "reason": "undo",
        "approved_by": None,
        "comments": None,
        "atomic": False,
        "stop_at_first_failure": False,
    }
    return _store_follow_up(platform, actor, parent, chosen, columns)


def _read_ended(platform: Platform, actor: Actor, operation_id: UUID) -> Row[Any]:
    names = {"operation_id": operation_id, "tenant_id": actor.tenant_id}
    with platform.single.connect() as db:
        parent = db.execute(_PARENT, names).one_or_none()
    if parent is None:
        raise operation_not_found(platform, operation_id)
    if parent.finished_at is None:
        message = f"The operation is {parent.state}; wait until it has ended, or cancel it"
        raise IllegalTransition(message=message, state=parent.state, allowed=[])
    return parent


def _require_person(parent: Row[Any], instead: str) -> None:
    # A policy's run is judged by its policy, and as the system; a person can't do that for it.
    if parent.of_policy:
        expected = f"what a person submitted; {instead}"
        raise InvalidInput(field="operation_id", got="a run of the clock", expected=expected)


def _require_way_back(parent: Row[Any]) -> None:
    machine, target = kinds()[parent.kind].machine, parent.target_state
    arrows = [arrow for arrow in machine.transitions if arrow.target == target]
    if arrows and not any(arrow.undo for arrow in arrows):
        expected = f"one that can be taken back: no way to {target} can"
        raise InvalidInput(field="operation_id", got=f"a way to {target}", expected=expected)


def _require_code(platform: Platform, parent_id: UUID, only: str) -> None:
    with platform.single.connect() as db:
        codes = db.scalars(_CODES, {"parent_id": parent_id}).all()
    if only not in codes:
        expected = f"a code that rows failed by: {', '.join(codes) or 'none did'}"
        raise InvalidInput(field="only", got=only, expected=expected)


def _chosen(query: str, parent_id: UUID, **names: Any) -> TextualSelect:
    return (
        text(query)
        .bindparams(parent_id=parent_id, **names)
        .columns(id=BigInteger, version=BigInteger, inputs=JSONB)
    )


def _store_follow_up(
    platform: Platform,
    actor: Actor,
    parent: Row[Any],
    chosen: TextualSelect,
    columns: dict[str, Any],
) -> UUID:
    values = dict(parent._mapping) | {"canary": None} | columns
    values |= {
        "id": uuid4(),
        "tenant_id": actor.tenant_id,
        "actor_id": actor.person_id,
        "origin": origin_of(actor),
        "parent_id": parent.id,
        "state": "QUEUED",
        "dry_run": False,
        "finished_at": None,
    }
    pace = platform.pace
    most = pace.atomic_items if values["atomic"] else pace.operation_items
    shape = {name: values[name] for name in ("atomic", "rate", "parallel", "canary")}
    plan = ChunkPlan.of(pace, items=values["chunk_items"], **shape)
    # What one person waits for stays as quick as its parent: short leases and waits.
    queue = values["queue"]
    with (
        _still_there(platform, parent.id),
        refuse_oversized("operation_id"),
        platform.database.begin() as db,
    ):
        if queue == "bulk":
            room = in_flight_room(db, pace, actor.tenant_id, queue)
            plan = replace(plan, in_flight_limit=min(plan.in_flight_limit, room))
        stored = materialize(db, values, chosen, plan, most=most)
        if not stored.chunks:
            return _existing_follow_up(db, parent.id, columns["purpose"], stored.total, most)
        if values["verb"] == UNDO:
            db.execute(_HOLD_POLICY, {"parent_id": parent.id})
    operation_id: UUID = values["id"]
    dispatch_first(
        platform, operation_id, queue, min(stored.chunks, plan.in_flight_limit), plan.apart_s
    )
    return operation_id


@contextmanager
def _still_there(platform: Platform, parent_id: UUID) -> Iterator[None]:
    """Raise `NotFound` if the parent is deleted while its follow-up operation is stored."""
    try:
        yield
    except IntegrityError as error:
        if not isinstance(error.orig, ForeignKeyViolation):
            raise
        raise operation_not_found(platform, parent_id) from error


def _existing_follow_up(
    db: Connection, parent_id: UUID, purpose: str, total: int, most: int
) -> UUID:
    existing: UUID | None = db.scalar(_CHILD, {"parent_id": parent_id, "purpose": purpose})
    if existing is None:
        got = f"{total:,} items to {purpose}"
        raise InvalidInput(field="operation_id", got=got, expected=f"1 to {most:,}")
    return existing
