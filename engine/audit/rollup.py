"""Rollups: what the records of each hour come to, kept up to date by what was sealed since.

Seals of a tenant are numbered without gaps and commit in their order, so a number is a mark that
nothing can slip under: not a record that came late, and not one of a long transaction. Counts
and mark move in one transaction, so each record is counted once, whoever runs this how often.
"""

from sqlalchemy import Connection, Row, TextClause, text

from engine.ports.platform import Platform
from models.rollup import AuditRollup

_MOST_RECORDS = 200_000
"""So many, or one seal, in one transaction."""

_BEFORE_SEALS = -1

_BEGIN = text("""
INSERT INTO audit_rollup_mark (tenant_id) SELECT id FROM tenant ON CONFLICT DO NOTHING
""")

_NEXT = text("""
SELECT m.tenant_id, m.seal_no FROM audit_rollup_mark m
 WHERE m.seal_no < 0
    OR EXISTS (SELECT FROM audit_seal s WHERE s.tenant_id = m.tenant_id AND s.seal_no > m.seal_no)
 ORDER BY m.tenant_id LIMIT 1 FOR UPDATE SKIP LOCKED
""")

_LAST = text("""
SELECT max(seal_no) FROM (
  SELECT seal_no, sum(records) OVER (ORDER BY seal_no) - records AS before
    FROM audit_seal WHERE tenant_id = :tenant_id AND seal_no > :after
   ORDER BY seal_no LIMIT 1000
) AS waiting WHERE before < :most
""")

_MOVE = text("UPDATE audit_rollup_mark SET seal_no = :last WHERE tenant_id = :tenant_id")

_COUNT = """
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
  ) AS told
 GROUP BY 2, 3, 4
ON CONFLICT (tenant_id, hour, kind, actor_id) DO UPDATE SET {added}
"""

_COUNTS = [each.name for each in AuditRollup.__table__.c if not each.primary_key]


def _counting(new: str) -> TextClause:
    return text(
        _COUNT.format(
            columns=", ".join(_COUNTS),
            sums=", ".join(f"sum({each})" for each in _COUNTS),
            added=", ".join(f"{each} = r.{each} + excluded.{each}" for each in _COUNTS),
            new=new,
        )
    )


_COUNT_SEALED = _counting("seal_no > :after AND seal_no <= :last")
_COUNT_UNSEALED = _counting("seal_no IS NULL")


def roll_up(platform: Platform) -> int:
    """Count what was sealed since the last time, of all tenants; return how many seals it was."""
    with platform.database.begin() as db:
        db.execute(_BEGIN)
    counted = 0
    while True:
        with platform.database.begin() as db:
            mark = db.execute(_NEXT).first()
            if mark is None:
                return counted
            counted += _count(db, mark)
            platform.step("rolled_up")


def _count(db: Connection, mark: Row[tuple[int, int]]) -> int:
    """Count some seals of a tenant, or all that was recorded before there were any."""
    names = {"tenant_id": mark.tenant_id, "after": mark.seal_no}
    if mark.seal_no == _BEFORE_SEALS:
        db.execute(_COUNT_UNSEALED, names)
        db.execute(_MOVE, names | {"last": 0})
        return 0
    last = db.execute(_LAST, names | {"most": _MOST_RECORDS}).scalar_one()
    db.execute(_COUNT_SEALED, names | {"last": last})
    db.execute(_MOVE, names | {"last": last})
    return int(last) - int(mark.seal_no)
