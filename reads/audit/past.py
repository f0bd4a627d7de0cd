"""The past: read what a row was at a time, how long it was in each state, and how many were."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, Row, Table, select, text

from domain.audit.replay import UNKNOWN, Past, past_of, stays_of
from domain.errors import NotFound
from models.base import Record, kinds, records
from reads.audit.history import read_steps
from reads.records.records import children_of

# From the present back: a row that has moved since was, before that, in the state that its first
# move came from. If one of its versions isn't recorded, including the last one of that time, its
# state is unknown.
_STATES = """
WITH waiting AS MATERIALIZED (
  SELECT i.id, i.version, i.from_state, o.occurred_at
    FROM outbox o, unnest(o.entity_ids, o.versions, o.from_states, o.error_codes)
           AS i(id, version, from_state, error_code)
   WHERE o.tenant_id = :tenant_id AND o.record IN ('state_transition', 'audit_log')
     AND o.body ->> 'kind' = :kind AND i.error_code IS NULL
), since AS (
  SELECT entity_id AS id, version, from_state
    FROM audit_trail
   WHERE tenant_id = :tenant_id AND kind = :kind AND success AND occurred_at > :at
     AND record IN ('state_transition', 'audit_log')
  UNION ALL
  SELECT id, version, from_state FROM waiting WHERE occurred_at > :at
), moved AS (
  SELECT id, min(version) AS first, count(*) AS versions,
         (array_agg(from_state ORDER BY version) FILTER (WHERE from_state IS NOT NULL))[1] AS state
    FROM since GROUP BY id
), placed AS (
  SELECT CASE WHEN w.updated_at <= :at
                OR moved.first + moved.versions = w.version + 1
               AND (moved.first = 2 OR p.version IS NOT NULL OR q.version IS NOT NULL)
              THEN coalesce(moved.state, w.state) END AS state
    FROM {table} w LEFT JOIN moved ON moved.id = w.id
    LEFT JOIN audit_trail p
      ON p.tenant_id = :tenant_id AND p.kind = :kind AND p.entity_id = moved.id
     AND p.version = moved.first - 1 AND p.success AND p.occurred_at <= :at
    LEFT JOIN waiting q
      ON q.id = moved.id AND q.version = moved.first - 1 AND q.occurred_at <= :at
   WHERE w.tenant_id = :tenant_id AND w.created_at <= :at
     AND (w.deleted_at IS NULL OR w.deleted_at > :at)
)
SELECT state, count(*) AS rows FROM placed GROUP BY state
"""

_STAYS = text("""
SELECT from_state AS state, count(*) AS stays,
       avg(time_in_previous_state_s) AS mean_s,
       percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY time_in_previous_state_s) AS cuts
  FROM state_transition_audit
 WHERE tenant_id = :tenant_id AND kind = :kind AND success AND from_state <> to_state
   AND occurred_at >= :since AND occurred_at < :until AND time_in_previous_state_s IS NOT NULL
 GROUP BY from_state
""")


def find_as_of(
    db: Connection, tenant_id: int, resource_type: str, row_id: int, at: datetime
) -> dict[str, Any]:
    """Return what a record was at a time, in a transaction of one snapshot.

    Returns:
        `kind`, `id`, `at`, `exists`, `since` (when it was created or deleted), `version`; the known
        `values` by column, and why other columns are `unknown`; its children at that time.

    Raises:
        NotFound: The tenant never had such a record.
    """
    model = records()[resource_type]
    pasts = _read_pasts(db, tenant_id, model, _table(model).c.id == row_id, at)
    if not pasts:
        raise NotFound(what=resource_type, got=row_id)
    result = {"kind": resource_type, "id": row_id, "at": at, **_view(pasts[0])}
    for child in children_of(model) if pasts[0].exists else ():
        is_child = _table(child).c[str(child.parent)] == row_id
        child_pasts = _read_pasts(db, tenant_id, child, is_child, at)
        result[f"{child.resource_type}s"] = [_view(past) for past in child_pasts if past.exists]
    return result


def count_states_at(db: Connection, tenant_id: int, kind: str, at: datetime) -> dict[str, Any]:
    """Return how many rows of a resource type were in each state at a time, set-based.

    Returns:
        `states` in the machine's order, and how many rows were in an `unknown` state.
    """
    model = kinds()[kind]
    query = text(_STATES.format(table=model.__tablename__))
    names = {"tenant_id": tenant_id, "kind": kind, "at": at}
    counts: dict[str | None, int] = dict(db.execute(query, names).all())
    states = {state: counts[state] for state in model.machine.states if state in counts}
    return {"kind": kind, "at": at, "states": states, "unknown": counts.get(None, 0)}


def find_stays(
    db: Connection, tenant_id: int, kind: str, row_id: int, now: datetime
) -> dict[str, Any]:
    """Return how long a row was in each state, in a transaction of one snapshot.

    Returns:
        `states` in the order in which it first came there, each with `state`, `seconds`, `visits`
        and `is_present`; and `unknown_s`, the seconds of its life in unknown states.

    Raises:
        NotFound: The tenant never had such a row.
    """
    model = kinds()[kind]
    table = _table(model)
    row = db.execute(
        select(table).where(table.c.tenant_id == tenant_id, table.c.id == row_id)
    ).one_or_none()
    if row is None:
        raise NotFound(what=kind, got=row_id)
    steps = read_steps(db, tenant_id, kind, table, [row_id])[row_id]
    stays, unknown_s = stays_of(steps, dict(row._mapping), now)
    states = [asdict(stay) for stay in stays]
    return {"kind": kind, "id": row_id, "states": states, "unknown_s": unknown_s}


def measure_stays(
    db: Connection, tenant_id: int, kind: str, since: datetime, until: datetime
) -> dict[str, Any]:
    """Return how long rows of a resource type stayed in states, for stays that ended in a span.

    Returns:
        `states` in the machine's order, each with `stays`, `mean_s`, `median_s` and `p90_s`.
    """
    names = {"tenant_id": tenant_id, "kind": kind, "since": since, "until": until}
    by_state = {row.state: row for row in db.execute(_STAYS, names)}
    stays = (by_state[state] for state in kinds()[kind].machine.states if state in by_state)
    return {
        "kind": kind,
        "since": since,
        "until": until,
        "states": [
            {
                "state": stay.state,
                "stays": stay.stays,
                "mean_s": stay.mean_s,
                "median_s": stay.cuts[0],
                "p90_s": stay.cuts[1],
            }
            for stay in stays
        ],
    }


def _read_pasts(
    db: Connection, tenant_id: int, model: type[Record], condition: Any, at: datetime
) -> list[Past]:
    table = _table(model)
    query = select(table).where(table.c.tenant_id == tenant_id, condition).order_by(table.c.id)
    rows: Sequence[Row[Any]] = db.execute(query).all()
    steps = read_steps(db, tenant_id, model.resource_type, table, [row.id for row in rows])
    defaulted = {column.name for column in table.c if column.server_default is not None}
    return [past_of(steps[row.id], dict(row._mapping), at, defaulted=defaulted) for row in rows]


def _view(past: Past) -> dict[str, Any]:
    unknown = {name: {"code": why, "message": UNKNOWN[why]} for name, why in past.unknown.items()}
    return {**asdict(past), "unknown": unknown}


def _table(model: type[Record]) -> Table:
    return cast("Table", model.__table__)
