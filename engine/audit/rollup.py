"""Rollups: count audit records by hour, adding those that were sealed since the last run.

Seals of a tenant are numbered without gaps and commit in their order. So a seal number is a safe
high-water mark: no record that came late, or in a long transaction, can get a seal below it.
Counts and mark move in one transaction, so each record is counted once, however often and by
however many processes this runs.
"""

from sqlalchemy import Connection, Row, TextClause, text

from engine.ports.platform import Platform
from models.rollup import AuditRollup

_MOST_RECORDS = 200_000
"""Records that one transaction counts at most; a single larger seal is counted whole."""

_BEFORE_SEALS = -1

_INSERT_MARKS = text("""
INSERT INTO audit_rollup_mark (tenant_id) SELECT id FROM tenant ON CONFLICT DO NOTHING
""")

_LOCK_NEXT_MARK = text("""
SELECT m.tenant_id, m.seal_no FROM audit_rollup_mark m
 WHERE m.seal_no < 0
    OR EXISTS (SELECT FROM audit_seal s WHERE s.tenant_id = m.tenant_id AND s.seal_no > m.seal_no)
 ORDER BY m.tenant_id LIMIT 1 FOR UPDATE SKIP LOCKED
""")

_LAST_SEAL = text("""
SELECT max(seal_no) FROM (
  SELECT seal_no, sum(records) OVER (ORDER BY seal_no) - records AS before
    FROM audit_seal WHERE tenant_id = :tenant_id AND seal_no > :after
   ORDER BY seal_no LIMIT 1000
) AS waiting WHERE before < :most
""")

_MOVE_MARK = text("UPDATE audit_rollup_mark SET seal_no = :last WHERE tenant_id = :tenant_id")

_COUNT_RECORDS = """
INSERT INTO audit_rollup AS r (tenant_id, hour, kind, actor_id, {columns})
SELECT :tenant_id, date_trunc('hour', occurred_at, 'UTC') AS hour, kind,
       coalesce(actor_id, 0) AS actor_id, {sums}
  FROM (
    SELECT occurred_at, kind, actor_id, CAST(success AS int) AS succeeded,
           CAST(NOT success AS int) AS failed, 0 AS changed, 0 AS refused, 0 AS denials,
           CAST(coalesce(retry_attempt, 0) > 0 AS int) AS retried,
           coalesce(execution_time_ms, 0) AS execution_ms,
           coalesce(lock_acquisition_time_ms, 0) AS lock_ms
      FROM state_transition_audit WHERE tenant_id = :tenant_id AND {new}
    UNION ALL
    SELECT occurred_at, kind, actor_id, 0, 0, CAST(success AS int), CAST(NOT success AS int), 0,
           0, 0, 0
      FROM audit_log WHERE tenant_id = :tenant_id AND {new}
    UNION ALL
    SELECT occurred_at, kind, actor_id, 0, 0, 0, 0, 1, 0, 0, 0
      FROM permission_denial_audit WHERE tenant_id = :tenant_id AND {new}
  ) AS counted
 GROUP BY 2, 3, 4
ON CONFLICT (tenant_id, hour, kind, actor_id) DO UPDATE SET {added}
"""

_COUNT_COLUMNS = [column.name for column in AuditRollup.__table__.c if not column.primary_key]


def _count_statement(new: str) -> TextClause:
    return text(
        _COUNT_RECORDS.format(
            columns=", ".join(_COUNT_COLUMNS),
            sums=", ".join(f"sum({name})" for name in _COUNT_COLUMNS),
            added=", ".join(f"{name} = r.{name} + excluded.{name}" for name in _COUNT_COLUMNS),
            new=new,
        )
    )


_COUNT_SEALED = _count_statement("seal_no > :after AND seal_no <= :last")
_COUNT_UNSEALED = _count_statement("seal_no IS NULL")


def roll_up(platform: Platform) -> int:
    """Count the records sealed since the last run, of all tenants; return the number of seals."""
    with platform.database.begin() as db:
        db.execute(_INSERT_MARKS)
    counted = 0
    while True:
        with platform.database.begin() as db:
            mark = db.execute(_LOCK_NEXT_MARK).first()
            if mark is None:
                return counted
            counted += _count_next_seals(db, mark)
            platform.step("rolled_up")


def _count_next_seals(db: Connection, mark: Row[tuple[int, int]]) -> int:
    """Count the next seals of a tenant, or all records that were written before its first seal."""
    mark_key = {"tenant_id": mark.tenant_id, "after": mark.seal_no}
    if mark.seal_no == _BEFORE_SEALS:
        db.execute(_COUNT_UNSEALED, mark_key)
        db.execute(_MOVE_MARK, mark_key | {"last": 0})
        return 0
    last = db.execute(_LAST_SEAL, mark_key | {"most": _MOST_RECORDS}).scalar_one()
    db.execute(_COUNT_SEALED, mark_key | {"last": last})
    db.execute(_MOVE_MARK, mark_key | {"last": last})
    return int(last) - int(mark.seal_no)
