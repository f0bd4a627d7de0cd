"""Taking work: one transaction makes the operation and its chunks, then hints are sent."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, select, text

from domain.errors import IdempotencyMismatch, NotFound
from domain.permissions import Actor
from engine.fields import plain, resolve_references
from engine.hints import send_chunk
from engine.platform import Pace, Platform
from engine.submission import Checked, Submission, checked
from models.operation import Operation
from models.people import Person

_INSERT = text("""
WITH submitted AS (
  INSERT INTO operation (id, tenant_id, actor_id, kind, verb, operation_type, state, reason,
    target_state, changes, approved_by, comments, details, atomic, dry_run, isolation_level,
    max_retries, lease_seconds, wait_seconds, queue, run_at, stop_at_first_failure, parallel,
    total, idempotency_key, fingerprint)
  VALUES (:id, :tenant_id, :actor_id, :kind, :verb, :operation_type, 'QUEUED', :reason,
    :target_state, CAST(:changes AS jsonb), :approved_by, :comments, CAST(:details AS jsonb),
    :atomic, :dry_run, :isolation_level, :max_retries, :lease_seconds, :wait_seconds, :queue,
    :run_at, :stop_at_first_failure, :parallel, :total, :idempotency_key, :fingerprint)
  ON CONFLICT (tenant_id, actor_id, idempotency_key) WHERE idempotency_key IS NOT NULL
  DO NOTHING
  RETURNING id
)
INSERT INTO operation_chunk (operation_id, chunk_no, ids, expected_versions, run_after,
  published_at, published)
SELECT submitted.id, first / :chunk_items, given.ids[first + 1 : first + :chunk_items],
       given.versions[first + 1 : first + :chunk_items],
       coalesce(CAST(:run_at AS timestamptz), clock_timestamp()),
       CASE WHEN first / :chunk_items < :window THEN clock_timestamp() END,
       CASE WHEN first / :chunk_items < :window THEN 1 ELSE 0 END
  FROM submitted,
       (SELECT CAST(:ids AS bigint[]) AS ids, CAST(:versions AS bigint[]) AS versions) AS given,
       generate_series(0, :total - 1, :chunk_items) AS first
""")


def submit(platform: Platform, actor: Actor, submission: Submission) -> UUID:
    """Make a durable operation of a submission and send its first hints.

    Returns:
        The operation's id; the earlier one's for an idempotency key that was used before
        with the same content.

    Raises:
        InvalidInput: A value is not what was expected; nothing was stored.
        NotFound: There is no person of the name in `approved_by`, or no record of a name or id
            among the values.
        IdempotencyMismatch: The key was used for another content.
    """
    asked = checked(platform.pace, submission)
    values = _values(platform.pace, actor, submission, asked)
    with platform.single.connect() as db:
        if submission.approved_by is not None:
            values["approved_by"] = _person(db, actor.tenant_id, submission.approved_by)
        if asked.values is not None:
            resolved = resolve_references(db, actor.tenant_id, asked.model, asked.values)
            values["changes"] = _written(resolved)
        stored = db.execute(_INSERT, values).rowcount
        if not stored:
            return _earlier(db, actor, values)
    platform.step("submitted")
    for chunk_no in range(min(stored, values["window"])):
        if not send_chunk(platform, values["id"], chunk_no, values["queue"]):
            break  # a silent broker costs seconds a message; the sweeper sends the rest
    platform.step("hinted")
    operation_id: UUID = values["id"]
    return operation_id


def _values(pace: Pace, actor: Actor, submission: Submission, asked: Checked) -> dict[str, Any]:
    total = len(asked.ids)
    person = total == 1
    expected = submission.expected_versions
    what = f"transition_to_{asked.target}" if asked.target else submission.verb
    values = {
        "tenant_id": actor.tenant_id,
        "actor_id": actor.person_id,
        "kind": asked.model.noun,
        "verb": submission.verb,
        "operation_type": what,
        "reason": submission.reason or ("user_action" if person else "bulk"),
        "target_state": asked.target,
        "changes": None if asked.values is None else _written(asked.values),
        "approved_by": submission.approved_by,
        "comments": submission.comments,
        "details": json.dumps(dict(submission.metadata), sort_keys=True),
        "atomic": submission.atomic,
        "dry_run": submission.dry_run,
        "isolation_level": submission.isolation_level,
        "max_retries": pace.retries if submission.max_retries is None else submission.max_retries,
        "lease_seconds": submission.lease_s or (pace.person_lease_s if person else pace.lease_s),
        "wait_seconds": _first(submission.wait_s, pace.person_wait_s if person else pace.wait_s),
        "run_at": submission.run_at,
        "stop_at_first_failure": submission.stop_at_first_failure,
        "parallel": submission.parallel,
        "total": total,
        "ids": asked.ids,
        "versions": [expected.get(each) for each in asked.ids] if expected else None,
    }
    return values | {
        "id": uuid4(),
        # What is for later has no message; the sweeper sends it when it is due.
        "window": 0 if submission.run_at else min(pace.window, submission.parallel or pace.window),
        "queue": "interactive" if person else "bulk",
        # All or nothing is one transaction, and a transaction is a chunk.
        "chunk_items": total if submission.atomic else submission.chunk_items or pace.chunk_items,
        "idempotency_key": submission.idempotency_key,
        "fingerprint": _fingerprint(submission, values) if submission.idempotency_key else None,
    }


def _fingerprint(submission: Submission, values: Mapping[str, Any]) -> bytes:
    # What was asked, without defaults: a door with other settings sends the same request.
    asked = {
        **values,
        "lease_seconds": submission.lease_s,
        "wait_seconds": submission.wait_s,
        "max_retries": submission.max_retries,
        "run_at": submission.run_at and submission.run_at.timestamp(),
    }
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).digest()


def _written(values: Mapping[str, Any]) -> str:
    return json.dumps({name: plain(value) for name, value in values.items()}, sort_keys=True)


def _first(given: float | None, default: float) -> float:
    return default if given is None else given


def _person(db: Connection, tenant_id: int, name: str) -> int:
    found = db.scalar(select(Person.id).filter_by(tenant_id=tenant_id, name=name, deleted_at=None))
    if found is None:
        raise NotFound(what="person", got=name)
    return found


def _earlier(db: Connection, actor: Actor, values: Mapping[str, Any]) -> UUID:
    same_person = (
        Operation.actor_id.is_(None)
        if actor.person_id is None
        else Operation.actor_id == actor.person_id
    )
    earlier = db.execute(
        select(Operation.id, Operation.fingerprint).where(
            Operation.tenant_id == actor.tenant_id,
            same_person,
            Operation.idempotency_key == values["idempotency_key"],
        )
    ).one()
    if earlier.fingerprint != values["fingerprint"]:
        raise IdempotencyMismatch(key=values["idempotency_key"], operation_id=str(earlier.id))
    operation_id: UUID = earlier.id
    return operation_id
