"""Submit: store an operation with its chunks in one transaction, then dispatch them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NoReturn
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, Connection, func, literal, null, select, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from domain.errors import IdempotencyMismatch, InvalidInput, NotFound
from domain.permissions import Actor
from engine.access.cross_tenant_watch import watch_probes
from engine.access.permissions import authorize
from engine.files.source import Load
from engine.input.database_errors import refuse_oversized
from engine.input.fields import plain, resolve_references
from engine.input.filters import select_where
from engine.operations.chunking import ChunkPlan, Rows, StoredChunks, materialize, origin_of
from engine.operations.dispatch import dispatch_first, in_flight_room
from engine.operations.request import (
    CheckedSubmission,
    Submission,
    allowed_items,
    check_submission,
    most_items,
)
from engine.operations.row_file import copy_row_file
from engine.operations.row_file_buffer import buffer_row_file
from engine.operations.row_file_faults import refuse_faults, store_faults
from engine.ports.platform import Pace, Platform
from models.base import kinds
from models.operation import OperationRow
from models.people import Person

_INSERT = text("""
WITH submitted AS (
  INSERT INTO operation (id, tenant_id, actor_id, kind, verb, operation_type, state, reason,
    target_state, changes, approved_by, comments, details, origin, atomic, dry_run,
    isolation_level, max_retries, lease_seconds, wait_seconds, queue, run_at,
    stop_at_first_failure, parallel, total, idempotency_key, fingerprint)
  VALUES (:id, :tenant_id, :actor_id, :kind, :verb, :operation_type, 'QUEUED', :reason,
    :target_state, CAST(:changes AS jsonb), :approved_by, :comments, CAST(:details AS jsonb),
    CAST(:origin AS jsonb), :atomic, :dry_run, :isolation_level, :max_retries, :lease_seconds,
    :wait_seconds, :queue, :run_at, :stop_at_first_failure, :parallel, :total, :idempotency_key,
    :fingerprint)
  ON CONFLICT (tenant_id, actor_id, idempotency_key) WHERE idempotency_key IS NOT NULL
  DO NOTHING
  RETURNING id
)
INSERT INTO operation_chunk (operation_id, chunk_no, ids, expected_versions, run_after,
  published_at, published)
SELECT submitted.id, first / :chunk_items, given.ids[first + 1 : first + :chunk_items],
       given.versions[first + 1 : first + :chunk_items],
       coalesce(CAST(:run_at AS timestamptz), clock_timestamp()),
       CASE WHEN first / :chunk_items < :in_flight_limit THEN clock_timestamp() END,
       CASE WHEN first / :chunk_items < :in_flight_limit THEN 1 ELSE 0 END
  FROM submitted,
       (SELECT CAST(:ids AS bigint[]) AS ids, CAST(:versions AS bigint[]) AS versions) AS given,
       generate_series(0, :total - 1, :chunk_items) AS first
""")


def submit(
    platform: Platform, actor: Actor, submission: Submission, *, row_file: Load | None = None
) -> UUID:
    """Store a submission as a durable operation and send its first dispatch messages.

    Args:
        platform: The outside world.
        actor: Who submits.
        submission: The request.
        row_file: A file that names the rows, with their own values. All or nothing takes it only
            if every line is valid; when continuing on error, invalid lines fail and are reported
            with the others.

    Returns:
        The operation's id; the id of the earlier operation if the idempotency key was used before
        with the same content.

    Raises:
        InvalidInput: A value is not what was expected; nothing was stored.
        NotFound: The person in `approved_by`, or a name or id among the values, is unknown.
        PermissionDenied: A filter chooses among rows that the actor may not view.
        IdempotencyMismatch: The key was used with other content.
    """
    request = check_submission(platform.pace, submission, has_row_file=row_file is not None)
    values = _values(platform.pace, actor, submission, request)
    plan = ChunkPlan.of(
        platform.pace,
        atomic=submission.atomic,
        items=submission.chunk_items,
        rate=submission.rate,
        parallel=submission.parallel,
        # A dry run judges all items, which harms nobody; its canary is for executing it.
        canary=None if submission.dry_run else submission.canary,
        is_later=submission.run_at is not None,
    )
    if submission.where is not None:
        # A filter reveals what rows hold, even if nothing may be done with them.
        authorize(platform, actor, request.model.resource_type, "view")
    # A file goes into a temporary table, which takes a transaction; it is buffered first, so that
    # this transaction doesn't wait for a slow sender. Anything else is one statement.
    most = most_items(platform.pace, submission)
    opened = platform.database.begin() if row_file else platform.single.connect()
    with (
        watch_probes(platform, actor, submission.verb),
        buffer_row_file(row_file, most) as buffered_file,
        refuse_oversized("file"),
        opened as db,
    ):
        file_rows = _copy_file(platform.pace, db, actor, submission, values, row_file=buffered_file)
        # Check the idempotency key before resolving names: names may have changed since.
        if earlier := _earlier_operation(db, actor, values):
            return earlier
        _resolve_names(db, actor, request, values)
        if values["queue"] == "bulk":
            room = in_flight_room(db, platform.pace, actor.tenant_id, "bulk")
            plan = replace(plan, in_flight_limit=min(plan.in_flight_limit, room))
        if request.ids is not None and plan.is_plain and submission.canary is None:
            size = {"chunk_items": plan.items, "in_flight_limit": plan.in_flight_limit}
            stored = StoredChunks(len(request.ids), db.execute(_INSERT, values | size).rowcount)
        else:
            chosen = _chosen(platform, db, actor, submission, values, file_rows=file_rows)
            stored = materialize(
                db, values, chosen, plan, most=most, expected=submission.expect_count
            )
        if not stored.chunks:
            earlier = _earlier_operation(db, actor, values)
            return earlier or _refuse_count(platform.pace, db, submission, stored)
        if row_file is not None:
            store_faults(db, values["id"], submission.chunk_items or platform.pace.chunk_items)
    operation_id: UUID = values["id"]
    first_chunks = min(stored.chunks, plan.in_flight_limit)
    dispatch_first(platform, operation_id, values["queue"], first_chunks, plan.apart_s)
    return operation_id


def _copy_file(
    pace: Pace,
    db: Connection,
    actor: Actor,
    submission: Submission,
    values: dict[str, Any],
    *,
    row_file: Load | None,
) -> Rows | None:
    """Copy a file, if any, to a table of this transaction; return the query for its rows."""
    if row_file is None:
        return None
    chosen, digest = copy_row_file(pace, db, actor.tenant_id, submission, row_file)
    if values["fingerprint"] is not None:
        values["fingerprint"] = hashlib.sha256(values["fingerprint"] + digest).digest()
    return chosen


def _chosen(
    platform: Platform,
    db: Connection,
    actor: Actor,
    submission: Submission,
    values: Mapping[str, Any],
    *,
    file_rows: Rows | None,
) -> Rows:
    """Return the query for the rows of the submission, with their expected versions."""
    if file_rows is not None:
        if submission.atomic:
            refuse_faults(db)
        return file_rows
    inputs = null().cast(JSONB).label("inputs")
    if submission.where is None:
        arrays = (literal(values[name], ARRAY(BigInteger)) for name in ("ids", "versions"))
        pairs = func.unnest(*arrays).table_valued("id", "version", name="given").render_derived()
        return select(*pairs.c, inputs)
    model = kinds()[values["kind"]]
    now = platform.clock(db)
    condition = select_where(db, actor.tenant_id, model, submission.where, now)
    return select(model.id, null().cast(BigInteger).label("version"), inputs).where(condition)


def _resolve_names(
    db: Connection, actor: Actor, request: CheckedSubmission, values: dict[str, Any]
) -> None:
    """Replace names by ids in the values that are stored."""
    if values["approved_by"] is not None:
        values["approved_by"] = _person_id(db, actor.tenant_id, values["approved_by"])
    if request.values is not None:
        resolved = resolve_references(db, actor.tenant_id, request.model, request.values)
        values["changes"] = _as_json(resolved)


def _refuse_count(
    pace: Pace, db: Connection, submission: Submission, stored: StoredChunks
) -> NoReturn:
    if submission.where is None and not stored.total:
        refuse_faults(db, is_whole=True)
    got = f"{stored.total:,} matching rows"
    if 1 <= stored.total <= most_items(pace, submission):
        expected = f"{submission.expect_count:,}; look at them before you change the number"
        raise InvalidInput(field="expect_count", got=got, expected=expected)
    field = "where" if submission.where is not None else "file"
    raise InvalidInput(field=field, got=got, expected=allowed_items(pace, submission))


def _values(
    pace: Pace, actor: Actor, submission: Submission, request: CheckedSubmission
) -> dict[str, Any]:
    total = None if request.ids is None else len(request.ids)
    is_single = total == 1
    default_wait_s = pace.person_wait_s if is_single else pace.wait_s
    expected = submission.expected_versions
    what = f"transition_to_{request.target}" if request.target else submission.verb
    values = {
        "tenant_id": actor.tenant_id,
        "actor_id": actor.person_id,
        "kind": request.model.resource_type,
        "verb": submission.verb,
        "operation_type": what,
        "reason": submission.reason or ("user_action" if is_single else "bulk"),
        "target_state": request.target,
        "changes": None if request.values is None else _as_json(request.values),
        "approved_by": submission.approved_by,
        "comments": submission.comments,
        "details": json.dumps(dict(submission.metadata), sort_keys=True),
        "atomic": submission.atomic,
        "dry_run": submission.dry_run,
        "isolation_level": submission.isolation_level,
        "max_retries": pace.retries if submission.max_retries is None else submission.max_retries,
        "lease_seconds": submission.lease_s or (pace.person_lease_s if is_single else pace.lease_s),
        "wait_seconds": default_wait_s if submission.wait_s is None else submission.wait_s,
        "run_at": submission.run_at,
        "stop_at_first_failure": submission.stop_at_first_failure,
        "parallel": submission.parallel,
        "total": total,
        "ids": request.ids,
        "versions": [expected.get(row_id) for row_id in request.ids or ()] if expected else None,
        "selection": submission.where,
        "rate": submission.rate,
        "canary": submission.canary,
    }
    return values | {
        "id": uuid4(),
        "state": "QUEUED",
        "origin": origin_of(actor),
        "queue": "interactive" if is_single else "bulk",
        "idempotency_key": submission.idempotency_key,
        "fingerprint": _fingerprint(submission, values) if submission.idempotency_key else None,
    }


def _fingerprint(submission: Submission, values: Mapping[str, Any]) -> bytes:
    # Without defaults, so that an interface with other settings makes the same fingerprint.
    content: dict[str, Any] = {
        **values,
        "lease_seconds": submission.lease_s,
        "wait_seconds": submission.wait_s,
        "max_retries": submission.max_retries,
        "run_at": submission.run_at and submission.run_at.timestamp(),
    }
    present = {name: value for name, value in content.items() if value is not None}
    return hashlib.sha256(json.dumps(present, sort_keys=True).encode()).digest()


def _as_json(values: Mapping[str, Any]) -> str:
    return json.dumps({name: plain(value) for name, value in values.items()}, sort_keys=True)


def _person_id(db: Connection, tenant_id: int, name: str) -> int:
    person_id = db.scalar(
        select(Person.id).filter_by(tenant_id=tenant_id, name=name, deleted_at=None)
    )
    if person_id is None:
        raise NotFound(what="person", got=name)
    return person_id


def _earlier_operation(db: Connection, actor: Actor, values: Mapping[str, Any]) -> UUID | None:
    if values["idempotency_key"] is None:
        return None
    same_person = (
        OperationRow.actor_id.is_(None)
        if actor.person_id is None
        else OperationRow.actor_id == actor.person_id
    )
    earlier = db.execute(
        select(OperationRow.id, OperationRow.fingerprint).where(
            OperationRow.tenant_id == actor.tenant_id,
            same_person,
            OperationRow.idempotency_key == values["idempotency_key"],
        )
    ).one_or_none()
    if earlier is None:
        return None
    if earlier.fingerprint != values["fingerprint"]:
        raise IdempotencyMismatch(key=values["idempotency_key"], operation_id=str(earlier.id))
    operation_id: UUID = earlier.id
    return operation_id
