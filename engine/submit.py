"""Taking work: one transaction makes the operation and its chunks, then hints are sent."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, select, text

from domain.errors import IdempotencyMismatch, InvalidInput, NotFound
from domain.machine import Machine
from domain.permissions import Actor
from engine.hints import send_chunk
from engine.platform import Pace, Platform
from models.base import kinds
from models.operation import Operation
from models.people import Person

ISOLATION_LEVELS = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
MAX_COMMENTS = 10_000
MAX_METADATA = 65_536


@dataclass(frozen=True, slots=True)
class Submission:
    """A request to move rows to a state, as the doors hand it over.

    Attributes:
        kind: The kind of work, e.g. `work_order`; a dash is taken for an underscore.
        target: The target state, in any case.
        ids: The rows; order doesn't matter, duplicates are refused.
        comments: Free text for the records and for rules that want it.
        metadata: Anything JSON, for the records.
        approved_by: The name of a person whose being a manager counts beside the actor's.
        atomic: All or nothing; otherwise each item for itself.
        dry_run: Judge only, change nothing.
        idempotency_key: The same key with the same content is the same operation.
        expected_versions: By id, what the caller saw; another version is a conflict.
        lease_s: How long locks and the claim outlive a dead worker; None is the default.
        wait_s: How long busy rows are waited for; None is the default.
        isolation_level: One of PostgreSQL's three.
        max_retries: How often a serialization failure or a deadlock is tried again.
        reason: Why, as in the contract; None is `bulk` or, for one row, `user_action`.
        chunk_items: The items of one chunk; None is the default.
    """

    kind: str
    target: str
    ids: Sequence[int]
    comments: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    approved_by: str | None = None
    atomic: bool = True
    dry_run: bool = False
    idempotency_key: str | None = None
    expected_versions: Mapping[int, int] = field(default_factory=dict)
    lease_s: float | None = None
    wait_s: float | None = None
    isolation_level: str = "READ COMMITTED"
    max_retries: int | None = None
    reason: str | None = None
    chunk_items: int | None = None


_INSERT = text("""
WITH submitted AS (
  INSERT INTO operation (id, tenant_id, actor_id, kind, verb, operation_type, state, reason,
    target_state, approved_by, comments, details, atomic, dry_run, isolation_level, max_retries,
    lease_seconds, wait_seconds, queue, total, idempotency_key, fingerprint)
  VALUES (:id, :tenant_id, :actor_id, :kind, 'transition', :operation_type, 'QUEUED', :reason,
    :target_state, :approved_by, :comments, CAST(:details AS jsonb), :atomic, :dry_run,
    :isolation_level, :max_retries, :lease_seconds, :wait_seconds, :queue, :total,
    :idempotency_key, :fingerprint)
  ON CONFLICT (tenant_id, actor_id, idempotency_key) WHERE idempotency_key IS NOT NULL
  DO NOTHING
  RETURNING id
)
INSERT INTO operation_chunk (operation_id, chunk_no, ids, expected_versions, published_at,
  published)
SELECT submitted.id, first / :chunk_items, given.ids[first + 1 : first + :chunk_items],
       given.versions[first + 1 : first + :chunk_items],
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
        NotFound: There is no person of the name in `approved_by`.
        IdempotencyMismatch: The key was used for another content.
    """
    machine, ids = _checked(platform.pace, submission)
    values = _values(platform.pace, actor, submission, machine, ids)
    with platform.single.connect() as db:
        if submission.approved_by is not None:
            values["approved_by"] = _person(db, actor.tenant_id, submission.approved_by)
        stored = db.execute(_INSERT, values).rowcount
        if not stored:
            return _earlier(db, actor, values)
    platform.step("submitted")
    for chunk_no in range(min(stored, platform.pace.window)):
        send_chunk(platform, values["id"], chunk_no, values["queue"])
    platform.step("hinted")
    operation_id: UUID = values["id"]
    return operation_id


def _checked(pace: Pace, submission: Submission) -> tuple[Machine, list[int]]:
    known = kinds()
    kind = str(submission.kind).replace("-", "_")
    if kind not in known:
        raise InvalidInput(field="kind", got=submission.kind, expected=f"one of {', '.join(known)}")
    machine = known[kind].machine
    if str(submission.target).upper() not in machine.states:
        raise InvalidInput(
            field="target_state",
            got=submission.target,
            expected=f"one of {', '.join(machine.states)}",
        )
    _check_texts(submission)
    return machine, _checked_ids(pace, submission)


def _check_texts(submission: Submission) -> None:
    if submission.isolation_level not in ISOLATION_LEVELS:
        raise InvalidInput(
            field="isolation_level",
            got=submission.isolation_level,
            expected=f"one of {', '.join(ISOLATION_LEVELS)}",
        )
    if len(submission.comments or "") > MAX_COMMENTS:
        raise InvalidInput(
            field="comments",
            got=f"{len(submission.comments or '')} characters",
            expected=f"at most {MAX_COMMENTS}",
        )
    for name, value in (("comments", submission.comments), ("key", submission.idempotency_key)):
        if value and "\x00" in value:
            raise InvalidInput(field=name, got="a NUL character", expected="text without it")
    try:
        metadata = json.dumps(dict(submission.metadata), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            field="metadata", got=str(error), expected="an object of plain JSON values"
        ) from error
    if len(metadata) > MAX_METADATA or "\\u0000" in metadata:
        raise InvalidInput(
            field="metadata",
            got=f"{len(metadata)} characters",
            expected=f"at most {MAX_METADATA}, and no NUL among them",
        )


def _checked_ids(pace: Pace, submission: Submission) -> list[int]:
    ids = list(submission.ids)
    wrong = next((each for each in ids if not _is_id(each)), None)
    if wrong is not None:
        raise InvalidInput(field="ids", got=wrong, expected="whole numbers from 1 on")
    ids.sort()
    twice = sorted({a for a, b in pairwise(ids) if a == b})
    if twice:
        raise InvalidInput(
            field="ids",
            got=f"{', '.join(map(str, twice[:10]))} more than once",
            expected="every id once",
        )
    most = pace.atomic_items if submission.atomic else pace.operation_items
    if not 1 <= len(ids) <= most:
        raise InvalidInput(field="ids", got=f"{len(ids)} ids", expected=_how_many(pace, submission))
    foreign = submission.expected_versions.keys() - set(ids)
    if foreign:
        raise InvalidInput(
            field="expected_versions", got=min(foreign), expected="ids of this request only"
        )
    return ids


def _is_id(given: object) -> bool:
    return isinstance(given, int) and not isinstance(given, bool) and 0 < given < 2**63


def _how_many(pace: Pace, submission: Submission) -> str:
    if submission.atomic:
        return (
            f"1 to {pace.atomic_items:,} for all or nothing; "
            f"continue on error to take up to {pace.operation_items:,}"
        )
    return f"1 to {pace.operation_items:,}"


def _values(
    pace: Pace, actor: Actor, submission: Submission, machine: Machine, ids: list[int]
) -> dict[str, Any]:
    total = len(ids)
    person = total == 1
    target = submission.target.upper()
    expected = submission.expected_versions
    values = {
        "tenant_id": actor.tenant_id,
        "actor_id": actor.person_id,
        "kind": machine.kind,
        "operation_type": f"transition_to_{target}",
        "reason": submission.reason or ("user_action" if person else "bulk"),
        "target_state": target,
        "approved_by": submission.approved_by,
        "comments": submission.comments,
        "details": json.dumps(dict(submission.metadata), sort_keys=True),
        "atomic": submission.atomic,
        "dry_run": submission.dry_run,
        "isolation_level": submission.isolation_level,
        "max_retries": pace.retries if submission.max_retries is None else submission.max_retries,
        "lease_seconds": submission.lease_s or (pace.person_lease_s if person else pace.lease_s),
        "wait_seconds": _first(submission.wait_s, pace.person_wait_s if person else pace.wait_s),
        "total": total,
        "ids": ids,
        "versions": [expected.get(each) for each in ids] if expected else None,
    }
    # The content alone: the same request through another door is still the same.
    content = json.dumps(values, sort_keys=True).encode()
    return values | {
        "id": uuid4(),
        "window": pace.window,
        "queue": "interactive" if person else "bulk",
        # All or nothing is one transaction, and a transaction is a chunk.
        "chunk_items": total if submission.atomic else submission.chunk_items or pace.chunk_items,
        "idempotency_key": submission.idempotency_key,
        "fingerprint": hashlib.sha256(content).digest() if submission.idempotency_key else None,
    }


def _first(given: float | None, default: float) -> float:
    return default if given is None else given


def _person(db: Connection, tenant_id: int, name: str) -> int:
    found = db.scalar(select(Person.id).filter_by(tenant_id=tenant_id, name=name))
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
