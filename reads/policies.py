"""Policy queries: list policies with their last run, the history of runs, and alerts."""

from typing import Any

from sqlalchemy import Connection, text

from domain.errors import NotFound
from domain.machines.operation import OPEN_STATES
from models.scheduled_run import HELD

_POLICIES = text(f"""
SELECT p.id, p.name, p.kind, p.mode, p.selection, p.exempt, p.clock, p.after, p.grace, p.time,
       p.verb, p.target_state, p.every_minutes, p.cap, p.version,
       EXISTS (SELECT FROM scheduled_run r WHERE r.policy_id = p.id AND {HELD}) AS stopped,
       open.id AS waits_for, open.state AS waits_in,
       last.as_of AS last_run_at, last.outcome AS last_outcome, last.matched AS last_matched,
       last.taken AS last_taken, last.message AS last_message,
       last.succeeded AS last_succeeded, last.failed AS last_failed
  FROM policy p LEFT JOIN LATERAL (
    SELECT r.*, o.result -> 'successful_items' AS succeeded, o.result -> 'failed_items' AS failed
      FROM scheduled_run r LEFT JOIN operation o ON o.id = r.operation_id
     WHERE r.policy_id = p.id AND r.stage = 'act' ORDER BY r.period DESC LIMIT 1) AS last ON true
  LEFT JOIN LATERAL (
    SELECT o.id, o.state FROM operation o JOIN scheduled_run r ON r.operation_id = o.id
     WHERE o.state IN {OPEN_STATES} AND r.policy_id = p.id LIMIT 1) AS open ON true
 WHERE p.tenant_id = :tenant_id AND p.deleted_at IS NULL
 ORDER BY p.kind, p.id
""")  # noqa: S608 -- made of a constant

_HISTORY = """
SELECT r.id, r.policy ->> 'name' AS policy, CAST(r.policy ->> 'version' AS int) AS version,
       r.stage, r.period, r.as_of, r.outcome, r.matched, r.taken, r.matched - r.taken AS left,
       r.usual, r.missed, r.message, r.operation_id, o.state,
       o.result -> 'successful_items' AS succeeded, o.result -> 'failed_items' AS failed,
       (SELECT u.id FROM operation u
         WHERE u.parent_id = r.operation_id AND u.purpose = 'undo') AS undone_by,
       (SELECT name FROM person w WHERE w.id = r.requested_by) AS requested_by,
       r.held_because, r.released_at,
       (SELECT name FROM person w WHERE w.id = r.released_by) AS released_by
  FROM scheduled_run r LEFT JOIN operation o ON o.id = r.operation_id
 WHERE r.tenant_id = :tenant_id
   AND (CAST(:policy_id AS bigint) IS NULL OR r.policy_id = :policy_id)
   {which}
 ORDER BY r.id DESC LIMIT :most
"""
_EVERY_RUN = text(_HISTORY.format(which=""))
_RUNS_WITH_WORK = text(_HISTORY.format(which="AND r.outcome <> 'nothing'"))

_ALERTS = text("""
SELECT a.id, p.name AS policy, a.code, a.kind, a.entity_id, a.message, a.since, a.raised_at,
       a.operation_id, a.acknowledged_at,
       (SELECT name FROM person w WHERE w.id = a.acknowledged_by) AS acknowledged_by
  FROM alert a JOIN policy p ON p.id = a.policy_id
 WHERE a.tenant_id = :tenant_id AND (:all OR a.acknowledged_at IS NULL)
   AND (CAST(:policy_id AS bigint) IS NULL OR a.policy_id = :policy_id)
 ORDER BY a.id DESC LIMIT :most
""")

# A policy is late if it missed three periods and has existed for as long; one that waits for its
# operation isn't.
_TROUBLED = text(f"""
SELECT array_agg(p.name ORDER BY p.id) FILTER (WHERE held.is_so) AS stopped,
       count(*) FILTER (WHERE NOT held.is_so AND NOT held.waits
         AND coalesce(last.created_at, p.updated_at)
         < clock_timestamp() - greatest(make_interval(mins => 3 * p.every_minutes),
                                        interval '10 min')) AS late
  FROM policy p CROSS JOIN LATERAL (
    SELECT EXISTS (SELECT FROM scheduled_run r WHERE r.policy_id = p.id AND {HELD}) AS is_so,
           EXISTS (SELECT FROM operation o JOIN scheduled_run r ON r.operation_id = o.id
                    WHERE o.state IN {OPEN_STATES} AND r.policy_id = p.id) AS waits
  ) AS held LEFT JOIN LATERAL (
    SELECT r.created_at FROM scheduled_run r
     WHERE r.policy_id = p.id AND r.stage = 'act' ORDER BY r.period DESC LIMIT 1) AS last ON true
 WHERE p.mode <> 'off' AND p.deleted_at IS NULL
""")  # noqa: S608 -- made of a constant

_FIND = text("""
SELECT id FROM policy WHERE tenant_id = :tenant_id AND (name = :name OR CAST(id AS text) = :name)
 ORDER BY deleted_at IS NOT NULL, name <> :name, id DESC LIMIT 1
""")

PolicyRows = list[dict[str, Any]]


def list_policies(db: Connection, tenant_id: int) -> PolicyRows:
    """Return a tenant's policies, each with its last run."""
    return _read_rows(db, _POLICIES, tenant_id=tenant_id)


def policy_id_of(db: Connection, tenant_id: int, name: str | int) -> int:
    """Return the id of a policy by its name or id; deleted policies still have runs.

    Raises:
        NotFound: There never was such a policy.
    """
    policy_id = db.scalar(_FIND, {"tenant_id": tenant_id, "name": str(name)})
    if policy_id is None:
        raise NotFound(what="policy", got=name)
    return int(policy_id)


def list_runs(
    db: Connection, tenant_id: int, *, policy_id: int | None, idle: bool, most: int
) -> PolicyRows:
    """Return the newest runs, of one policy if given; with *idle* also those that found nothing."""
    query = _EVERY_RUN if idle else _RUNS_WITH_WORK
    return _read_rows(db, query, tenant_id=tenant_id, policy_id=policy_id, most=most)


def list_alerts(
    db: Connection, tenant_id: int, *, policy_id: int | None, everything: bool, most: int
) -> PolicyRows:
    """Return the newest alerts; with *everything* also those that were acknowledged."""
    names = {"tenant_id": tenant_id, "policy_id": policy_id, "all": everything, "most": most}
    return _read_rows(db, _ALERTS, **names)


def find_troubled(db: Connection) -> tuple[list[str], int]:
    """Return which policies of all tenants are stopped, and how many weren't run in time."""
    row = db.execute(_TROUBLED).one()
    return list(row.stopped or ()), int(row.late)


def _read_rows(db: Connection, query: Any, **names: Any) -> PolicyRows:
    return [dict(row._mapping) for row in db.execute(query, names)]
