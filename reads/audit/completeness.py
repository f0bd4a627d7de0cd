"""Completeness: check that every version of every row is recorded, and that rows match records.

This finds what was changed or deleted without the platform, of which there is no record. It is
computed in one snapshot, with the outbox and the archives.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DataError

from domain.audit.verification import Verified
from domain.errors import Unavailable
from domain.redaction.masks import MASKED
from models.archive_file import Unreadable, as_array, batches, read_lines
from models.base import Record, records
from reads.audit.archived_records import ArchiveStore

_BEGINNING = datetime(1, 1, 2, tzinfo=UTC)
_NEVER = datetime(9999, 12, 30, tzinfo=UTC)

_NOT_COMPARED = frozenset(
    {"id", "tenant_id", "uuid", "version", "deleted_at"}
    | {f"{done}_{what}" for done in ("created", "updated") for what in ("at", "by")}
)
"""Columns that records don't name: they are a record's own version, time and actor."""

# What is still in the outbox counts as recorded: it was committed with its change.
_RECORDED = """
told AS (
  SELECT entity_id, version, occurred_at, to_state, reason, NULL AS event_type,
         NULL::jsonb AS changes
    FROM state_transition_audit WHERE tenant_id = :tenant_id AND kind = :resource_type AND success
  UNION ALL
  SELECT entity_id, version, occurred_at, NULL, reason, event_type, changes
    FROM audit_log WHERE tenant_id = :tenant_id AND kind = :resource_type AND success
  UNION ALL
  SELECT i.id, i.version, b.occurred_at, b.body ->> 'to_state', b.body ->> 'reason',
         b.body ->> 'event_type', CAST(i.changes AS jsonb)
    FROM outbox b, unnest(b.entity_ids, b.versions, b.error_codes, b.changes)
           AS i(id, version, error_code, changes)
   WHERE b.tenant_id = :tenant_id AND b.body ->> 'kind' = :resource_type
     AND b.record IN ('state_transition', 'audit_log') AND i.error_code IS NULL
  UNION ALL
  SELECT entity_id, version, occurred_at, to_state, reason, event_type, changes
    FROM archived_told WHERE kind = :resource_type
)
"""

_VERSIONS = """
WITH {told}, counted AS (
  SELECT entity_id, count(*) AS records, count(DISTINCT version) AS versions,
         min(version) AS first, max(version) AS last, bool_or(event_type = 'DELETED') AS is_deleted
    FROM told GROUP BY entity_id
)
SELECT coalesce(w.id, c.entity_id) AS id, w.version, coalesce(c.records, 0) AS records,
       coalesce(c.versions, 0) AS versions, c.last, c.is_deleted, w.deleted_at
  FROM (SELECT * FROM {table} WHERE tenant_id = :tenant_id) AS w
  FULL JOIN counted c ON c.entity_id = w.id
 WHERE w.id IS NULL OR c.entity_id IS NULL AND w.updated_at >= :kept_from
    OR c.records <> w.version - CASE WHEN w.created_at < :kept_from THEN c.first - 1 ELSE 0 END
    OR c.versions <> c.records OR c.last <> w.version
    OR coalesce(c.is_deleted, false) <> (w.deleted_at IS NOT NULL)
       AND (w.deleted_at IS NULL OR w.deleted_at >= :kept_from)
 ORDER BY 1
"""

# The newest recorded value of each field must be the row's value.
_VALUES = """
WITH {told}, fields AS (
  SELECT t.entity_id, f.key AS name, f.value -> 'after' AS after, t.version
    FROM told t, jsonb_each(t.changes) AS f
   WHERE t.event_type <> 'DELETED' AND f.key = ANY(:columns)
  UNION ALL
  SELECT entity_id, 'state', to_jsonb(to_state), version FROM told WHERE to_state IS NOT NULL
  UNION ALL
  SELECT entity_id, 'state_since', to_jsonb(occurred_at), version FROM told
   WHERE to_state IS NOT NULL AND reason <> 'override'
), newest AS (
  SELECT DISTINCT ON (entity_id, name) entity_id, name, after FROM fields
   ORDER BY entity_id, name, version DESC
), replayed AS (
  SELECT entity_id, jsonb_object_agg(name, after) AS told FROM newest
   WHERE CAST(after AS text) !~ :masked GROUP BY entity_id
)
SELECT w.id, w.version, d.fields
  FROM {table} w JOIN replayed r ON r.entity_id = w.id
 CROSS JOIN LATERAL (
   SELECT array_agg(key ORDER BY key) AS fields
     FROM jsonb_each(to_jsonb(jsonb_populate_record(w, r.told))) AS said
     JOIN jsonb_each(to_jsonb(w)) AS is_now USING (key)
    WHERE said.value IS DISTINCT FROM is_now.value) AS d
 WHERE w.tenant_id = :tenant_id AND jsonb_populate_record(w, r.told) IS DISTINCT FROM w
 ORDER BY w.id
"""


_CREATE_TABLE = text("""
CREATE TEMP TABLE IF NOT EXISTS archived_told (
  kind text, entity_id bigint, version int, occurred_at timestamptz, to_state text, reason text,
  event_type text, changes jsonb
) ON COMMIT DROP
""")

_COPY_LINES = text("""
INSERT INTO archived_told
SELECT r ->> 'kind', CAST(r ->> 'entity_id' AS bigint), CAST(r ->> 'version' AS int),
       CAST(r ->> 'occurred_at' AS timestamptz), r ->> 'to_state', r ->> 'reason',
       r ->> 'event_type', r -> 'changes'
  FROM jsonb_array_elements(CAST(:lines AS jsonb)) AS r WHERE CAST(r ->> 'success' AS boolean)
""")

_ARCHIVES = text("""
SELECT path, dropped_at FROM audit_archive
 WHERE tenant_id = :tenant_id AND replaced_at IS NULL AND restored_until IS NULL
   AND record IN ('state_transition_audit', 'audit_log')
""")


def find_incomplete(
    db: Connection, tenant_id: int, verified: Verified, store: ArchiveStore | None = None
) -> None:
    """Report every row of a tenant whose records are incomplete, or don't lead to its values.

    Args:
        db: A transaction of one snapshot; a temporary table holds what archives say.
        tenant_id: Whose rows.
        verified: Gets the findings.
        store: Where archives are. Where some were dropped, the records of a row that is older
            than archives are kept may begin later than with its first version; where some can't
            be read, those of every row.
    """
    db.execute(_CREATE_TABLE)
    db.execute(text("TRUNCATE archived_told"))
    kept_from = _copy_archived(db, tenant_id, store)
    for resource_type, model in records().items():
        table = str(model.__tablename__)
        names = {"tenant_id": tenant_id, "resource_type": resource_type, "kept_from": kept_from}
        for row in db.execute(text(_VERSIONS.format(told=_RECORDED, table=table)), names):
            code, message = _finding_of(resource_type, row)
            verified.add(code, message, record=_row_key(resource_type, row))
        names_of_values = {"columns": _columns(model), "masked": MASKED}
        for row in db.execute(
            text(_VALUES.format(told=_RECORDED, table=table)), names | names_of_values
        ):
            fields = ", ".join(row.fields)
            message = (
                f"{resource_type} {row.id} isn't what its records say: {fields} changed past them."
            )
            verified.add("row_changed", message, record=_row_key(resource_type, row))


def _copy_archived(db: Connection, tenant_id: int, store: ArchiveStore | None) -> datetime:
    """Copy what archives say into the table; return since when records must be complete."""
    kept_from = _BEGINNING
    for archive in db.execute(_ARCHIVES, {"tenant_id": tenant_id}).all():
        if store is None:
            return _NEVER
        if archive.dropped_at is not None:
            kept_from = max(kept_from, store.kept_from(db))
            continue
        try:
            for lines in batches(read_lines(store.folder / archive.path)):
                with db.begin_nested():
                    db.execute(_COPY_LINES, {"lines": as_array(lines)})
        except (Unreadable, Unavailable, DataError):
            # Verification reports what is wrong with the file.
            kept_from = _NEVER
    return kept_from


def _columns(model: type[Record]) -> list[str]:
    return [column.name for column in model.__table__.c if column.name not in _NOT_COMPARED]


def _row_key(resource_type: str, row: Any) -> dict[str, Any]:
    return {"kind": resource_type, "entity_id": row.id, "version": row.version}


def _finding_of(resource_type: str, row: Any) -> tuple[str, str]:
    if row.version is None:
        return (
            "row_gone",
            f"{resource_type} {row.id} is gone: its {row.records:,} records are still there.",
        )
    if row.records < row.version or row.versions < row.version:
        detail = f"{row.versions:,} of its {row.version:,} versions have a record"
        return (
            "version_unrecorded",
            f"{resource_type} {row.id} was changed past the records: {detail}.",
        )
    if row.records > row.version:
        detail = f"{row.records:,} records for {row.version:,} versions"
        return "version_set_back", f"{resource_type} {row.id} was set back: {detail}."
    state = "deleted" if row.deleted_at is not None else "not deleted"
    return "row_changed", f"{resource_type} {row.id} is {state}, and its records say otherwise."
