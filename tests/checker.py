"""One checker for every scenario: what must hold of the whole database once the work is over."""

import threading
import time
from collections.abc import Iterator
from typing import Any

from redis import Redis
from sqlalchemy import Connection, text

import lockside
from domain.audit.verification import Finding
from engine.audit.writer import write_records
from models.base import kinds
from reads.audit.completeness import find_incomplete
from reads.audit.verification import verify_seals
from tests.patience import PATIENCE_S

# Longer than the second that most leases of tests last, as a killed worker's locks have to expire;
# shorter than the others, so that a lock that nobody gave back is seen.
_LOCKS_GONE_S = 30.0
_DRAINED_S = PATIENCE_S

# Each statement returns what breaks the rule that it is named for.
_RULES = {
    "nothing is pending: every operation has ended": """
        SELECT id, state FROM operation WHERE finished_at IS NULL OR result IS NULL""",
    "nothing is pending: every chunk has ended": """
        SELECT operation_id, chunk_no, status, attempt, error FROM operation_chunk
         WHERE status IN ('PENDING', 'RUNNING')""",
    "every ended operation told its pollers": """
        SELECT id, state FROM operation
         WHERE finished_at IS NOT NULL AND result_stored_at IS NULL""",
    "the outbox is drained": "SELECT id, record FROM outbox",
    "every item has one outcome": """
        SELECT operation_id, chunk_no FROM operation_chunk
         WHERE cardinality(outcomes) IS DISTINCT FROM cardinality(ids)
            OR 0 = ANY(outcomes)""",
    "the chunks of an operation hold each of its items once": """
        SELECT o.id, o.total, count(i.id), count(DISTINCT i.id)
          FROM operation o LEFT JOIN operation_chunk c ON c.operation_id = o.id
          LEFT JOIN LATERAL unnest(c.ids) AS i(id) ON true
         WHERE o.queue <> 'none'
         GROUP BY o.id HAVING count(i.id) <> o.total OR count(DISTINCT i.id) <> o.total""",
    "a chunk's counts are those of its outcomes": """
        SELECT c.operation_id, c.chunk_no, c.succeeded, c.skipped, c.failed, c.cancelled
          FROM operation_chunk c, LATERAL (
            SELECT count(*) FILTER (WHERE o = 1) AS succeeded,
                   count(*) FILTER (WHERE o = 2) AS skipped,
                   count(*) FILTER (WHERE o = 3) AS failed,
                   count(*) FILTER (WHERE o = 4) AS cancelled FROM unnest(c.outcomes) AS o) AS n
         WHERE (c.succeeded, c.skipped, c.failed, c.cancelled)
            IS DISTINCT FROM (n.succeeded, n.skipped, n.failed, n.cancelled)""",
    "every failed item says why, and no other does": """
        SELECT c.operation_id, c.chunk_no
          FROM operation_chunk c
         WHERE (SELECT coalesce(array_agg(CAST(key AS bigint) ORDER BY CAST(key AS bigint)), '{}')
                  FROM jsonb_object_keys(coalesce(c.failures, '{}')) AS key)
            <> (SELECT coalesce(array_agg(i.id ORDER BY i.id), '{}')
                  FROM unnest(c.ids, c.outcomes) AS i(id, outcome) WHERE i.outcome = 3)""",
    "an operation's result counts what its chunks count": """
        SELECT o.id, o.state, o.result FROM operation o JOIN (
            SELECT operation_id, sum(succeeded) AS succeeded, sum(skipped) AS skipped,
                   sum(failed) AS failed, sum(cancelled) AS cancelled
              FROM operation_chunk GROUP BY operation_id) AS n ON n.operation_id = o.id
         WHERE (CAST(o.result ->> 'successful_items' AS int),
                CAST(o.result ->> 'skipped_items' AS int),
                CAST(o.result ->> 'failed_items' AS int),
                CAST(o.result ->> 'cancelled_items' AS int))
            IS DISTINCT FROM (n.succeeded, n.skipped, n.failed, n.cancelled)
            OR n.succeeded + n.skipped + n.failed + n.cancelled <> o.total
            OR o.result ->> 'state' IS DISTINCT FROM o.state""",
    "an operation recorded each item that it moved once": """
        SELECT o.id, n.moved, n.items, o.result ->> 'successful_items'
          FROM operation o, LATERAL (
            SELECT count(*) AS moved, count(DISTINCT entity_id) AS items FROM (
              SELECT kind, entity_id, success, correlation_id FROM state_transition_audit
               UNION ALL SELECT kind, entity_id, success, correlation_id FROM audit_log) AS a
             WHERE a.correlation_id = o.id AND a.kind = o.kind AND a.success) AS n
         WHERE o.queue <> 'none' AND o.verb NOT IN ('hook', 'alert')
           AND (n.moved <> n.items OR n.moved <> CASE WHEN o.dry_run THEN 0
                ELSE CAST(o.result ->> 'successful_items' AS int) END)""",
    "an operation that alerts raised one alert an item": """
        SELECT o.id, o.result ->> 'successful_items' FROM operation o
         WHERE o.verb = 'alert' AND NOT o.dry_run
           AND CAST(o.result ->> 'successful_items' AS int)
            <> (SELECT count(*) FROM alert a WHERE a.operation_id = o.id)""",
    "what an interface wrote at once is recorded once, each row of an import": """
        SELECT o.id, o.verb, n.written, n.items, o.result ->> 'successful_items'
          FROM operation o, LATERAL (
            SELECT count(*) AS written, count(DISTINCT (a.kind, a.entity_id)) AS items
              FROM audit_log a WHERE a.correlation_id = o.id AND a.success) AS n
         WHERE o.queue = 'none'
           AND (n.written <> n.items OR n.written < 1 OR o.verb = 'import'
                AND n.written <> CAST(o.result ->> 'successful_items' AS int))""",
    "an operation that was denied something recorded the denial": """
        SELECT o.id, o.state FROM operation o
         WHERE NOT o.dry_run AND EXISTS (
            SELECT FROM operation_chunk c, jsonb_each(c.failures) AS told
             WHERE c.operation_id = o.id AND told.value -> 'codes' ? 'permission_denied')
           AND NOT EXISTS (
            SELECT FROM permission_denial_audit d WHERE d.correlation_id = o.id)""",
    "a rolled back operation moved nothing": """
        SELECT id FROM operation WHERE state = 'ROLLED_BACK'
           AND CAST(result ->> 'successful_items' AS int) <> 0""",
    "a bulk operation is recorded once": """
        SELECT o.id, count(a.event_id) FROM operation o
          LEFT JOIN bulk_operation_audit a ON a.correlation_id = o.id
         WHERE o.queue <> 'none'
         GROUP BY o.id
        HAVING count(a.event_id) <> CASE WHEN o.total > 1 AND NOT o.dry_run
                                      AND o.verb <> 'hook' THEN 1 ELSE 0 END""",
}

_RULES_OF_A_KIND = {
    "every version of a {kind} has its one record": """
        SELECT w.id, w.version, count(a.version), count(DISTINCT a.version), max(a.version)
          FROM {table} w LEFT JOIN (
            SELECT kind, entity_id, version FROM state_transition_audit WHERE success
             UNION ALL SELECT kind, entity_id, version FROM audit_log WHERE success) AS a
            ON a.kind = '{kind}' AND a.entity_id = w.id
         GROUP BY w.id
        HAVING count(a.version) <> w.version
            OR count(DISTINCT a.version) <> w.version
            OR max(a.version) <> w.version""",
    "a {kind} was created as its version 1, and only once": """
        SELECT w.id, count(a.version), max(a.version)
          FROM {table} w LEFT JOIN audit_log a
            ON a.kind = '{kind}' AND a.entity_id = w.id AND a.event_type = 'CREATED'
         GROUP BY w.id HAVING count(a.version) <> 1 OR max(a.version) <> 1""",
    "the records of a {kind} lead from state to state, to the one it has": """
        SELECT * FROM (
          SELECT w.id, w.state, a.version, a.from_state, a.to_state,
                 lag(a.to_state) OVER row_history AS came_from,
                 lead(a.version) OVER row_history IS NULL AS last
            FROM {table} w JOIN state_transition_audit a
              ON a.kind = '{kind}' AND a.entity_id = w.id AND a.success
          WINDOW row_history AS (PARTITION BY w.id ORDER BY a.version)) AS h
         WHERE came_from IS NOT NULL AND from_state <> came_from OR last AND to_state <> state""",
}


def check_invariants(site: lockside.Session) -> None:
    """Assert that everything submitted has ended, once, recorded, with nothing left behind.

    Drains the outbox first: when records are written is not what is checked here.

    Raises:
        AssertionError: With each broken rule and the first rows that break it.
    """
    _drain(site)
    with site.platform.database.connect() as db:
        broken = list(_broken(db))
    left = _locks_left(site)
    if left:
        broken.append(f"no lock is left: {left[:5]}")
    assert not broken, "\n".join(broken)


def _drain(site: lockside.Session) -> None:
    """Write all records, also those that somebody else is just writing."""
    paused = threading.Event()
    until = time.monotonic() + _DRAINED_S
    while time.monotonic() < until:
        write_records(site.platform)
        with site.platform.database.connect() as db:
            if not db.scalar(text("SELECT count(*) FROM outbox")):
                return
        paused.wait(0.05)


def _broken(db: Connection) -> Iterator[str]:
    rules = dict(_RULES)
    for kind, model in kinds().items():
        rules |= {
            name.format(kind=kind): query.format(kind=kind, table=model.__tablename__)
            for name, query in _RULES_OF_A_KIND.items()
        }
    for name, query in rules.items():
        rows = db.execute(text(query)).all()
        if rows:
            first: list[Any] = [tuple(each) for each in rows[:5]]
            yield f"{name}: {len(rows)} break it, e.g. {first}"
    # A tenant with neither a chain nor work has nothing that could be missing.
    tables = ["audit_chain", *(model.__tablename__ for model in kinds().values())]
    busy = " UNION ".join(f"SELECT tenant_id FROM {table}" for table in tables)
    for tenant_id in db.scalars(text(f"{busy} ORDER BY 1")).all():
        *_, seen = verify_seals(db, tenant_id)
        find_incomplete(db, tenant_id, seen)
        # The people of the tests' template are there without their records.
        told = [each for each in seen.findings if _is_of_work(each)]
        if told:
            yield f"the records of tenant {tenant_id} are whole: {told[:5]}"


def _is_of_work(finding: Finding) -> bool:
    return finding.seal_no is not None or (finding.record or {}).get("kind") in kinds()


def _locks_left(site: lockside.Session) -> list[str]:
    """Return the locks that outlive every lease; a killed worker's own may take one to go."""
    paused = threading.Event()
    until = time.monotonic() + _LOCKS_GONE_S
    with Redis.from_url(site.settings.redis_database(2)) as redis:
        while left := [key.decode() for key in redis.scan_iter("lockside:lock:*", count=1000)]:
            if time.monotonic() > until:
                break
            paused.wait(0.05)
    return left
