"""Audit writer: turn the outbox into sealed records, as a set in one transaction a batch."""

import logging
from dataclasses import asdict

from sqlalchemy import Connection, text
from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError

from domain.audit.seal import DIGEST_BYTES, Seal, merkle_root
from engine.audit.wake import WRITE_AUDIT, wake_audit
from engine.ports.platform import Platform
from models.audit import MAKE_PARTITIONS
from models.seal import commitment_of, count_words, leaf_of

_log = logging.getLogger(__name__)

_BATCH = 50
"""Outbox rows, each of up to a whole chunk, that one transaction turns into records at most."""

_BATCH_ITEMS = 10_000
"""Items after which no more rows are taken: others wait a tenth of a second for it at most."""

# The tenant whose outbox waits longest, unless another writer holds its chain: that writer looks
# again after its batch, and finds what was committed meanwhile. A head that isn't the last seal
# was tampered with: nothing is added to it, and verification reports it.
_LOCK_HEAD = text("""
SELECT c.tenant_id, c.seal_no, c.digest FROM audit_chain c
 CROSS JOIN LATERAL (SELECT min(id) AS id FROM outbox o WHERE o.tenant_id = c.tenant_id) AS waiting
  LEFT JOIN LATERAL (SELECT s.seal_no, s.digest FROM audit_seal s WHERE s.tenant_id = c.tenant_id
                      ORDER BY s.seal_no DESC LIMIT 1) AS last ON true
 WHERE waiting.id IS NOT NULL AND c.seal_no = coalesce(last.seal_no, 0)
   AND c.digest = coalesce(last.digest, c.digest) AND c.tenant_id <> ALL(:but)
 ORDER BY waiting.id LIMIT 1 FOR UPDATE OF c SKIP LOCKED
""")

_BEGIN_CHAINS = text("""
INSERT INTO audit_chain (tenant_id)
SELECT DISTINCT tenant_id FROM outbox o
 WHERE NOT EXISTS (SELECT FROM audit_chain c WHERE c.tenant_id = o.tenant_id)
ON CONFLICT DO NOTHING
""")

_HAS_OUTBOX = text("SELECT EXISTS (SELECT FROM outbox)")

_INSERT_SEAL = text("""
WITH sealed AS (
  INSERT INTO audit_seal (tenant_id, seal_no, previous, root, digest, records, sealed_at, leaves)
  VALUES (:tenant_id, :seal_no, :previous, :root, :digest, :records, :sealed_at, :leaves)
)
UPDATE audit_chain SET seal_no = :seal_no, digest = :digest, records = records + :records
 WHERE tenant_id = :tenant_id
""")


# Rows leave the outbox in the transaction that writes their records. An item's event id is its
# chunk's with the item's number as the last twelve digits, so that neighbours lie together in
# the index.
_TAKE_OUTBOX = """
WITH waiting AS MATERIALIZED (
  SELECT id, coalesce(cardinality(entity_ids), 1) AS items FROM outbox
   WHERE tenant_id = :tenant_id ORDER BY id LIMIT :most
), counted AS MATERIALIZED (
  SELECT id, sum(items) OVER (ORDER BY id) - items AS before, uuid_send(gen_random_uuid()) AS secret
    FROM waiting
), taken AS (
  DELETE FROM outbox o USING counted c WHERE o.id = c.id AND c.before < :items
  RETURNING o.*, c.before, c.secret
)
"""

_TRANSITION = """
event_id, occurred_at, tenant_id, correlation_id, actor_id, kind, entity_id, version,
from_state, to_state, approved_by, time_in_previous_state_s, reason, comments, metadata,
success, error_code, error_message, execution_time_ms, lock_acquisition_time_ms, lock_key,
isolation_level, retry_attempt
"""

_TRANSITION_ROWS = """
SELECT CAST(b.event_prefix || lpad(to_hex(i.n), 12, '0') AS uuid), b.occurred_at, b.tenant_id,
       b.correlation_id, b.actor_id, b.kind, i.id, i.version, i.from_state, b.to_state,
       b.approved_by, extract(epoch FROM b.occurred_at - i.since), b.reason,
       coalesce(i.comments, b.comments), nullif(b.metadata, '{}'), i.error_code IS NULL,
       i.error_code, i.error_message, b.execution_time_ms, b.lock_acquisition_time_ms,
       b.lock_prefix || i.id, b.isolation_level, b.retry_attempt, t.before + i.n - 1, t.secret
  FROM taken t
  CROSS JOIN LATERAL (
    SELECT t.occurred_at, t.tenant_id, left(CAST(t.event_id AS text), 24) AS event_prefix,
           'lockside:lock:' || t.tenant_id || ':' || (t.body ->> 'kind') || ':' AS lock_prefix,
           r.*
      FROM jsonb_to_record(t.body) AS r(kind text, to_state text, correlation_id uuid,
        actor_id bigint, approved_by bigint, reason text, comments text, metadata jsonb,
        execution_time_ms float8, lock_acquisition_time_ms float8, isolation_level text,
        retry_attempt int) OFFSET 0) AS b
  CROSS JOIN LATERAL unnest(t.entity_ids, t.versions, t.from_states, t.states_since,
    t.error_codes, t.error_messages, t.comments) WITH ORDINALITY
    AS i(id, version, from_state, since, error_code, error_message, comments, n)
 WHERE t.record = 'state_transition'
"""

_ENTITY = """
event_id, occurred_at, tenant_id, correlation_id, actor_id, event_type, kind, entity_id,
version, reason, comments, changes, metadata, success, error_code, error_message,
execution_time_ms, lock_acquisition_time_ms, session_id, ip_address, security_flags
"""

_ENTITY_ROWS = """
SELECT CAST(left(CAST(t.event_id AS text), 24) || lpad(to_hex(i.n), 12, '0') AS uuid),
       t.occurred_at, t.tenant_id, b.correlation_id, b.actor_id, b.event_type, b.kind, i.id,
       i.version, b.reason, b.comments, CAST(i.changes AS jsonb), nullif(b.metadata, '{}'),
       i.error_code IS NULL, i.error_code, i.error_message, b.execution_time_ms,
       b.lock_acquisition_time_ms, b.session_id, b.ip_address, b.security_flags,
       t.before + i.n - 1, t.secret
  FROM taken t
  CROSS JOIN LATERAL (
    SELECT * FROM jsonb_to_record(t.body) AS r(kind text, event_type text, correlation_id uuid,
      actor_id bigint, reason text, comments text, metadata jsonb, execution_time_ms float8,
      lock_acquisition_time_ms float8, session_id text, ip_address text, security_flags text[])
      OFFSET 0) AS b
  CROSS JOIN LATERAL unnest(t.entity_ids, t.versions, t.changes, t.error_codes,
    t.error_messages) WITH ORDINALITY AS i(id, version, changes, error_code, error_message, n)
 WHERE t.record = 'audit_log'
"""

_DENIAL = """
event_id, occurred_at, tenant_id, correlation_id, actor_id, kind, attempted_action, items,
entity_ids, required_permissions, user_permissions, is_suspicious, risk_score, session_id,
ip_address, security_flags
"""

_DENIAL_ROWS = """
SELECT t.event_id, t.occurred_at, t.tenant_id, r.*, t.before, t.secret
  FROM taken t
  CROSS JOIN LATERAL (
    SELECT * FROM jsonb_to_record(t.body) AS b(correlation_id uuid, actor_id bigint, kind text,
      attempted_action text, items int, entity_ids bigint[], required_permissions text[],
      user_permissions text[], is_suspicious boolean, risk_score int, session_id text,
      ip_address text, security_flags text[])) AS r
 WHERE t.record = 'permission_denial'
"""

_OPERATION = """
event_id, occurred_at, tenant_id, correlation_id, actor_id, kind, operation_type, state,
total_items, successful_items, failed_items, successful_ids, failed_ids, failure_details,
was_rolled_back, rollback_reason
"""

_OPERATION_ROWS = """
SELECT t.event_id, t.occurred_at, t.tenant_id, r.*, t.before, t.secret
  FROM taken t
  CROSS JOIN LATERAL (
    SELECT * FROM jsonb_to_record(t.body) AS b(correlation_id uuid, actor_id bigint, kind text,
      operation_type text, state text, total_items int, successful_items int,
      failed_items int, successful_ids bigint[], failed_ids bigint[], failure_details jsonb,
      was_rolled_back boolean, rollback_reason text)) AS r
 WHERE t.record = 'bulk_operation'
"""

# Each record has a salt of its own: the salt of one reveals nothing about the words of another.
# Digests are computed from the stored row, not from what was sent.
_STORE_RECORDS = """(
  INSERT INTO {table} AS stored ({columns}, seal_no, seal_place, salt, commitment)
  SELECT salted.*, CASE WHEN salt IS NOT NULL THEN {commitment} END
    FROM (
      SELECT {columns}, :seal_no, place,
             CASE WHEN {words} > 0
                  THEN substr(sha256(secret || int8send(place)), 1, 16) END AS salt
        FROM ({records}) AS drafted({columns}, place, secret) OFFSET 0
    ) AS salted
  RETURNING seal_place AS place, {leaf} AS leaf
)"""

_SELECT_LEAVES = """
SELECT string_agg(leaf, ''::bytea ORDER BY place) AS leaves, (SELECT count(*) FROM taken) AS taken
  FROM (
    SELECT * FROM transitions UNION ALL SELECT * FROM entities
    UNION ALL SELECT * FROM denials UNION ALL SELECT * FROM operations
  ) AS stored
"""


class _Unwritable(Exception):
    """A tenant's outbox rows can't be written; its arguments are the tenant's id and the error."""


def _store(table: str, columns: str, records: str) -> str:
    """Return SQL that stores records with their place in the seal and returns their digests."""
    return _STORE_RECORDS.format(
        table=table,
        columns=columns.strip(),
        records=records.strip(),
        words=count_words(table, "drafted"),
        commitment=commitment_of(table, "salted", "salt"),
        leaf=leaf_of(table, "stored"),
    )


_WRITE_BATCH = text(
    ", ".join(
        (
            _TAKE_OUTBOX.strip(),
            f"transitions AS {_store('state_transition_audit', _TRANSITION, _TRANSITION_ROWS)}",
            f"entities AS {_store('audit_log', _ENTITY, _ENTITY_ROWS)}",
            f"denials AS {_store('permission_denial_audit', _DENIAL, _DENIAL_ROWS)}",
            f"operations AS {_store('bulk_operation_audit', _OPERATION, _OPERATION_ROWS)}",
        )
    )
    + _SELECT_LEAVES
)


def write_some(platform: Platform) -> int:
    """Turn a batch of the outbox into sealed records, and publish a message for the rest.

    The rest waits for a message of its own so that people's work, whose queue has priority, gets
    its turn in between.

    Returns:
        How many rows of the outbox were written.
    """
    written = write_records(platform, batches=1)
    with platform.single.connect() as db:
        if written and db.scalar(_HAS_OUTBOX):
            wake_audit(platform, surely=True)
    return written


def write_records(platform: Platform, *, batches: int | None = None) -> int:
    """Turn the outbox into sealed records, until it is empty or so many batches are written.

    If a row of a tenant can't be written, all rows of that tenant wait, and the log says why.

    Returns:
        How many rows of the outbox were written.
    """
    platform.locks.forget(WRITE_AUDIT)
    written = 0
    stuck: list[int] = []
    while batches is None or batches > 0:
        try:
            with platform.database.begin() as db:
                taken = _write_batch(platform, db, but=stuck)
                if taken:
                    platform.step("records_written")
        except _Unwritable as unwritable:
            tenant_id, error = unwritable.args
            _log.error(
                "records can't be written", extra={"tenant_id": tenant_id, "error": str(error.orig)}
            )
            stuck.append(tenant_id)
            continue
        written += taken
        if not taken and not _begin_chains(platform):
            break
        if taken and batches is not None:
            batches -= 1
    return written


def _begin_chains(platform: Platform) -> bool:
    """Insert a chain for each tenant that has outbox rows and none yet; return whether one is new.

    In a transaction of its own, so that other writers that insert the same wait only briefly.
    """
    with platform.database.begin() as db:
        return bool(db.execute(_BEGIN_CHAINS).rowcount)


def _write_batch(platform: Platform, db: Connection, *, but: list[int]) -> int:
    """Write and seal a batch of one tenant, in its chain's order; return the number of outbox rows.

    Raises:
        _Unwritable: PostgreSQL refuses a row of the batch.
    """
    head = db.execute(_LOCK_HEAD, {"but": but}).first()
    if head is None:
        return 0
    seal_no = head.seal_no + 1
    batch = {"tenant_id": head.tenant_id, "seal_no": seal_no}
    try:
        done = db.execute(_WRITE_BATCH, {**batch, "most": _BATCH, "items": _BATCH_ITEMS}).one()
    except (DataError, IntegrityError, ProgrammingError) as error:
        raise _Unwritable(head.tenant_id, error) from error
    if done.leaves is None:
        return int(done.taken)  # outbox rows without items
    seal = Seal(
        tenant_id=head.tenant_id,
        seal_no=seal_no,
        previous=head.digest,
        root=merkle_root(done.leaves),
        records=len(done.leaves) // DIGEST_BYTES,
        sealed_at=platform.clock(db),
    )
    db.execute(_INSERT_SEAL, {**asdict(seal), "digest": seal.digest, "leaves": done.leaves})
    return int(done.taken)


def make_partitions(platform: Platform) -> None:
    """Make the monthly partitions that records will need, ahead of time."""
    with platform.database.begin() as db:
        db.execute(MAKE_PARTITIONS)
