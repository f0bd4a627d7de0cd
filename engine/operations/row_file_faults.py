"""Faulty lines of a row file: refuse the file, or store the lines as items that failed."""

from uuid import UUID

from sqlalchemy import Connection, text

from domain.bulk import LINES
from domain.errors import InvalidInput

_LISTED = 3

_FAULTS = text("""
SELECT line, fault ->> 'message' AS message, count(*) OVER () AS total
  FROM row_file WHERE fault IS NOT NULL ORDER BY line LIMIT :most
""")

# Before the first chunk, because these failed first; ids and chunks follow the order of the lines.
_STORE_FAULTS = text("""
WITH bad AS (
  SELECT line - :lines AS id, inputs, fault ->> 'code' AS code, jsonb_build_object(
           'code', fault ->> 'code', 'message', fault ->> 'message',
           'codes', jsonb_build_array(fault ->> 'code'), 'retryable', false,
           'field', fault ->> 'field', 'value', fault ->> 'value') AS told,
         CAST((row_number() OVER (ORDER BY line) - 1) / :chunk_items
              - (count(*) OVER () + :chunk_items - 1) / :chunk_items AS int) AS chunk_no
    FROM row_file WHERE fault IS NOT NULL
), codes AS (
  SELECT chunk_no, jsonb_object_agg(code, n) AS counted FROM (
    SELECT chunk_no, code, count(*) AS n FROM bad GROUP BY chunk_no, code) AS by_code
   GROUP BY chunk_no
), stored AS (
  INSERT INTO operation_chunk (operation_id, chunk_no, ids, status, inputs, outcomes, versions,
    failures, failure_codes, failed)
  SELECT :operation_id, chunk_no, array_agg(id ORDER BY id), 'DONE',
         jsonb_object_agg(CAST(id AS text), inputs),
         array_fill(CAST(3 AS smallint), ARRAY[CAST(count(*) AS int)]),
         array_fill(CAST(0 AS bigint), ARRAY[CAST(count(*) AS int)]),
         jsonb_object_agg(CAST(id AS text), told), codes.counted, count(*)
    FROM bad JOIN codes USING (chunk_no) GROUP BY chunk_no, codes.counted
)
UPDATE operation SET total = total + (SELECT count(*) FROM bad) WHERE id = :operation_id
""")


_EXPECTED = {
    False: "good ones only for all or nothing; continue on error to have the others done",
    True: "at least one that names a row",
}


def refuse_faults(db: Connection, *, is_whole: bool = False) -> None:
    """Refuse a file with faulty lines; *is_whole* says that it has no others.

    Raises:
        InvalidInput: There are any; it lists the first lines and says how many there are.
    """
    faults = db.execute(_FAULTS, {"most": _LISTED}).all()
    if not faults:
        return
    listed = "; ".join(f"line {fault.line}: {fault.message}" for fault in faults)
    more = f"; {faults[0].total - _LISTED:,} more" if faults[0].total > _LISTED else ""
    raise InvalidInput(
        field="file",
        got=f"{faults[0].total:,} bad line{'s' if len(faults) > 1 else ''} ({listed}{more})",
        expected=_EXPECTED[is_whole],
    )


def store_faults(db: Connection, operation_id: UUID, chunk_items: int) -> None:
    """Store the faulty lines as items that have failed already, in chunks of their own."""
    names = {"operation_id": operation_id, "chunk_items": chunk_items, "lines": LINES}
    db.execute(_STORE_FAULTS, names)
