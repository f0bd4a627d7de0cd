"""What comes out of an operation that has ended: its plan executed, its failures tried again.

Each is an operation of its own, once: asked for again it is the same one.
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
from engine.input.database_errors import holdable
from engine.operations.change_for_verb import EDITS, TRANSITION, UNDO
from engine.operations.chunking import ChunkPlan, materialize, origin_of
from engine.operations.dispatch import dispatch_first, find_room
from engine.operations.steering import demand_own, not_there
from engine.ports.platform import Platform
from models.base import kinds

# It is cut as it was: its largest chunk tells, but for all or nothing, which is one.
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

# What was undone is due as before: its policy waits until somebody lets it go on.
_HOLD_POLICY = text("""
UPDATE scheduled_run SET held_because = 'undone', released_at = NULL, released_by = NULL
 WHERE operation_id = :parent_id
""")

_CHILD = text("SELECT id FROM operation WHERE parent_id = :parent_id AND purpose = :purpose")

# The versions that a plan saw, or an operation left, are expected of the rows: so a change since
# then is a conflict. What goes back needs nothing of what a file brought.
_DONE = """
SELECT i.id, i.version,
       CASE WHEN NOT :is_undo THEN c.inputs -> CAST(i.id AS text) END AS inputs
  FROM operation_chunk c, unnest(c.ids, c.outcomes, c.versions) AS i(id, outcome, version)
 WHERE c.operation_id = :parent_id AND i.outcome = :succeeded
"""

# Who asks for the conflicts by name means the rows as they are now, whoever changed them; all
# others keep the version that they expect. An undo never goes over somebody's change.
# What was tried again by its code is that operation's; a plain retry takes what is left.
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

# Lines of a file that name no row stand below zero: there is nothing to try again.
_CODES = text("""
SELECT DISTINCT code FROM operation_chunk c, jsonb_object_keys(c.failure_codes) AS code
 WHERE c.operation_id = :parent_id AND c.chunk_no >= 0 ORDER BY code
""")


def execute_plan(platform: Platform, actor: Actor, plan_id: UUID) -> UUID:
    """Do what a dry run found that can be done; each item is judged again, once the plan is.

    It begins with the plan's canary, and keeps to its rate.
    Items that the plan saw fail are left out; those that have changed since are conflicts. All or
    nothing leaves nothing out. Who submitted the plan may, and who holds `operation.execute`.

    Raises:
        NotFound: The actor's tenant has no such operation.
        PermissionDenied: It is somebody else's; the denial is recorded.
        InvalidInput: It is no dry run, or it found nothing that can be done, or not all of what
            is all or nothing.
        IllegalTransition: It hasn't ended yet.
    """
    demand_own(platform, actor, plan_id, "execute")
    plan = _ended(platform, actor, plan_id)
    _demand_person(plan, "turn the policy on with `lockside autoclose mode`")
    if not plan.dry_run:
        raise InvalidInput(field="plan", got=str(plan_id), expected="a dry run's id")
    if plan.atomic and plan.undone:
        got = f"{plan.undone:,} that can't be done"
        raise InvalidInput(field="plan", got=got, expected="none: it is all or nothing")
    chosen = _chosen(_DONE, plan_id, succeeded=Outcome.SUCCEEDED, is_undo=False)
    return _derive(platform, actor, plan, chosen, {"purpose": "plan", "canary": plan.canary})


def retry(platform: Platform, actor: Actor, operation_id: UUID, *, only: str | None = None) -> UUID:
    """Try again what failed, or *only* what failed by one code; once for each.

    All or nothing that was rolled back is tried again as a whole; what was cancelled, or left
    undone after the first failure, is tried with what failed; what was tried by its code is not.
    A conflict stays one, unless *only* conflicts are meant: then the rows are taken as they are.
    Who submitted it may, and who holds `operation.retry`.

    Raises:
        NotFound: The actor's tenant has no such operation.
        PermissionDenied: It is somebody else's; the denial is recorded.
        InvalidInput: Nothing failed, or nothing by that code; or it is a dry run.
        IllegalTransition: It hasn't ended yet.
    """
    demand_own(platform, actor, operation_id, "retry")
    parent = _ended(platform, actor, operation_id)
    if parent.dry_run or parent.verb not in (TRANSITION, *EDITS, UNDO):
        expected = "an operation that changes work; a dry run changes nothing"
        raise InvalidInput(field="operation_id", got=str(operation_id), expected=expected)
    _demand_person(parent, "its policy tries again: now with `lockside autoclose run`")
    if parent.atomic and only is not None:
        raise InvalidInput(field="only", got=only, expected="nothing: it is all or nothing")
    if only is not None:
        _demand_code(platform, operation_id, only)
    chosen = _chosen(
        _FAILED,
        operation_id,
        failed=Outcome.FAILED,
        cancelled=Outcome.CANCELLED,
        is_undo=parent.verb == UNDO,
        only=only,
    )
    purpose = "retry" if only is None else f"retry:{only}"
    return _derive(platform, actor, parent, chosen, {"purpose": purpose})


def undo(platform: Platform, actor: Actor, operation_id: UUID) -> UUID:
    """Take back what an operation did, item by item, where nobody has changed it since.

    Who submitted it may, and who holds `operation.undo`; and each item needs the permission
    that its change needed. What was changed since is left alone and reported.

    Raises:
        NotFound: The actor's tenant has no such operation.
        PermissionDenied: It is somebody else's; the denial is recorded.
        InvalidInput: It did nothing, or what it did can't be taken back.
        IllegalTransition: It hasn't ended yet.
    """
    demand_own(platform, actor, operation_id, "undo")
    parent = _ended(platform, actor, operation_id)
    if parent.dry_run or parent.verb not in (TRANSITION, *EDITS):
        given = "a dry run" if parent.dry_run else "an undo" if parent.verb == UNDO else parent.verb
        expected = "a transition, an assignment or an update that was done"
        raise InvalidInput(field="operation_id", got=given, expected=expected)
    _demand_way_back(parent)
    chosen = _chosen(_DONE, operation_id, succeeded=Outcome.SUCCEEDED, is_undo=True)
    own = {
        "purpose": "undo",
        "verb": UNDO,
        "operation_type": f"undo_{parent.operation_type}",
        "reason": "undo",
        "approved_by": None,
        "comments": None,
        "atomic": False,
        "stop_at_first_failure": False,
    }
    return _derive(platform, actor, parent, chosen, own)


def _ended(platform: Platform, actor: Actor, operation_id: UUID) -> Row[Any]:
    names = {"operation_id": operation_id, "tenant_id": actor.tenant_id}
    with platform.single.connect() as db:
        found = db.execute(_PARENT, names).one_or_none()
    if found is None:
        raise not_there(platform, operation_id)
    if found.finished_at is None:
        told = f"The operation is {found.state}; wait until it has ended, or cancel it"
        raise IllegalTransition(message=told, state=found.state, allowed=[])
    return found


def _demand_person(parent: Row[Any], instead: str) -> None:
    # The clock judges by its policy, and as the system; nobody does that for it.
    if parent.of_policy:
        expected = f"what a person handed in; {instead}"
        raise InvalidInput(field="operation_id", got="a run of the clock", expected=expected)


def _demand_way_back(parent: Row[Any]) -> None:
    machine, target = kinds()[parent.kind].machine, parent.target_state
    arrows = [each for each in machine.transitions if each.target == target]
    if arrows and not any(each.undo for each in arrows):
        expected = f"one that can be taken back: no way to {target} can"
        raise InvalidInput(field="operation_id", got=f"a way to {target}", expected=expected)


def _demand_code(platform: Platform, parent_id: UUID, only: str) -> None:
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


def _derive(
    platform: Platform,
    actor: Actor,
    parent: Row[Any],
    chosen: TextualSelect,
    own: dict[str, Any],
) -> UUID:
    values = dict(parent._mapping) | {"canary": None} | own
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
    # What one person waits for stays as quick as it was: its lease and its waits are short.
    queue = values["queue"]
    with (
        _still_there(platform, parent.id),
        holdable("operation_id"),
        platform.database.begin() as db,
    ):
        if queue == "bulk":
            room = find_room(db, pace, actor.tenant_id, queue)
            plan = replace(plan, in_flight_limit=min(plan.in_flight_limit, room))
        stored = materialize(db, values, chosen, plan, most=most)
        if not stored.chunks:
            return _known(db, parent.id, own["purpose"], stored.total, most)
        if values["verb"] == UNDO:
            db.execute(_HOLD_POLICY, {"parent_id": parent.id})
    operation_id: UUID = values["id"]
    dispatch_first(
        platform, operation_id, queue, min(stored.chunks, plan.in_flight_limit), plan.apart_s
    )
    return operation_id


@contextmanager
def _still_there(platform: Platform, parent_id: UUID) -> Iterator[None]:
    """Say so if the operation was forgotten while something was to come out of it."""
    try:
        yield
    except IntegrityError as error:
        if not isinstance(error.orig, ForeignKeyViolation):
            raise
        raise not_there(platform, parent_id) from error


def _known(db: Connection, parent_id: UUID, purpose: str, total: int, most: int) -> UUID:
    known: UUID | None = db.scalar(_CHILD, {"parent_id": parent_id, "purpose": purpose})
    if known is None:
        got = f"{total:,} items to {purpose}"
        raise InvalidInput(field="operation_id", got=got, expected=f"1 to {most:,}")
    return known
